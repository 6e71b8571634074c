"""Deliveries: claimed with a lease, sent, recorded; what is not recorded comes again.

A claimed delivery is due again when its lease is over, so one that a killed worker had
in its hands is sent once more, under the same message id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.webhooks import AttemptStatus, DeliveryState
from wellhead.store.schema_webhooks import delivery, delivery_attempt, subscription

LOST = "The worker was stopped before the answer could be recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to send, and how it has been going."""

    subscription_id: UUID
    organization_id: UUID
    url: str
    secret: bytes
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One delivery that is ours until its lease is over."""

    event_id: int
    message_id: UUID
    payload: dict[str, Any]
    attempt_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt went; without `next_attempt_at` it was the last."""

    claimed: Claimed
    status: AttemptStatus
    response_status: int
    response: str
    next_attempt_at: datetime | None


async def due(connection: AsyncConnection, *, at: datetime) -> Sequence[UUID]:
    """Return the subscriptions that have something to get now."""
    rows = await connection.execute(
        text(
            "SELECT s.id FROM subscription s WHERE NOT s.disabled AND EXISTS ("
            " SELECT 1 FROM delivery d WHERE d.subscription_id = s.id"
            " AND d.next_attempt_at <= :at)"
        ),
        {"at": at},
    )
    return [row.id for row in rows]


async def endpoint(
    connection: AsyncConnection, subscription_id: UUID
) -> Endpoint | None:
    """Return where to send; None if it is gone or switched off."""
    query = select(subscription).where(
        subscription.c.id == subscription_id, subscription.c.disabled.is_(False)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Endpoint(
        subscription_id=row.id,
        organization_id=row.organization_id,
        url=row.url,
        secret=bytes(row.secret),
        failing_since=row.failing_since,
    )


async def claim(
    connection: AsyncConnection,
    to: Endpoint,
    *,
    at: datetime,
    until: datetime,
    limit: int,
) -> list[Claimed]:
    """Take what is due, oldest first, and write down that it is being tried."""
    rows = await connection.execute(
        _CLAIM, {"id": to.subscription_id, "at": at, "until": until, "limit": limit}
    )
    found = [Claimed(**row._asdict()) for row in rows]
    if not found:
        return []
    await connection.execute(
        update(delivery_attempt)
        .where(
            delivery_attempt.c.subscription_id == to.subscription_id,
            delivery_attempt.c.event_id.in_([one.event_id for one in found]),
            delivery_attempt.c.status == AttemptStatus.PENDING.value,
        )
        .values(status=AttemptStatus.FAILED.value, response=LOST)
    )
    await connection.execute(
        insert(delivery_attempt),
        [
            {
                "id": one.attempt_id,
                "event_id": one.event_id,
                "subscription_id": to.subscription_id,
                "url": to.url,
                "at": at,
                "status": AttemptStatus.PENDING.value,
            }
            for one in found
        ],
    )
    return found


_CLAIM = text(
    """
    WITH due AS (
      SELECT event_id FROM delivery
      WHERE subscription_id = :id AND next_attempt_at <= :at
      ORDER BY next_attempt_at, event_id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery d SET attempts = d.attempts + 1, next_attempt_at = :until,
      attempt_id = gen_random_uuid()
    FROM due JOIN event e ON e.id = due.event_id
    WHERE d.event_id = due.event_id AND d.subscription_id = :id
    RETURNING d.event_id, e.message_id, e.payload, d.attempt_id, d.attempts
    """
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint stands now, which may have changed while it was called."""

    url: str
    disabled: bool
    failing_since: datetime | None


async def hold(
    connection: AsyncConnection, subscription_id: UUID, claimed: Sequence[Claimed]
) -> Standing | None:
    """Lock the subscription, then these deliveries; None if it is gone.

    Everybody locks in this order, and attempts after their deliveries.
    """
    query = select(
        subscription.c.url, subscription.c.disabled, subscription.c.failing_since
    ).where(subscription.c.id == subscription_id)
    found = await connection.execute(query.with_for_update(key_share=True))
    row = found.one_or_none()
    if row is None:
        return None
    await connection.execute(
        select(delivery.c.event_id)
        .where(
            delivery.c.subscription_id == subscription_id,
            delivery.c.event_id.in_([one.event_id for one in claimed]),
        )
        .order_by(delivery.c.event_id)
        .with_for_update()
    )
    return Standing(*row)


async def record(
    connection: AsyncConnection, subscription_id: UUID, outcome: Outcome
) -> None:
    """Write how an attempt went, and when the next one is.

    If the delivery was claimed again or given up meanwhile only a success counts.
    """
    claimed = outcome.claimed
    await connection.execute(
        update(delivery_attempt)
        .where(delivery_attempt.c.id == claimed.attempt_id)
        .values(
            status=outcome.status.value,
            response_status=outcome.response_status,
            response=outcome.response,
        )
    )
    is_delivered = outcome.status is AttemptStatus.SUCCESS
    change = update(delivery).where(
        delivery.c.event_id == claimed.event_id,
        delivery.c.subscription_id == subscription_id,
    )
    if is_delivered:
        state = DeliveryState.DELIVERED
    else:
        change = change.where(
            delivery.c.attempt_id == claimed.attempt_id,
            delivery.c.state == DeliveryState.PENDING.value,
        )
        is_last = outcome.next_attempt_at is None
        state = DeliveryState.FAILED if is_last else DeliveryState.PENDING
    await connection.execute(
        change.values(
            state=state.value,
            next_attempt_at=None if is_delivered else outcome.next_attempt_at,
        )
    )


async def hand_back(
    connection: AsyncConnection, claimed: Sequence[Claimed], *, at: datetime
) -> None:
    """Make due at once what was claimed; an interrupted attempt does not count."""
    await connection.execute(
        update(delivery_attempt)
        .where(delivery_attempt.c.id.in_([one.attempt_id for one in claimed]))
        .values(status=AttemptStatus.FAILED.value, response=LOST)
    )
    await connection.execute(
        update(delivery)
        .where(
            delivery.c.event_id.in_([one.event_id for one in claimed]),
            delivery.c.attempt_id.in_([one.attempt_id for one in claimed]),
            delivery.c.state == DeliveryState.PENDING.value,
        )
        .values(attempts=delivery.c.attempts - 1, next_attempt_at=at)
    )


async def give_up(connection: AsyncConnection, subscription_id: UUID) -> int:
    """Fail what waits, because the endpoint is switched off; returns how many."""
    result: CursorResult[Any] = await connection.execute(
        update(delivery)
        .where(
            delivery.c.subscription_id == subscription_id,
            delivery.c.state == DeliveryState.PENDING.value,
        )
        .values(state=DeliveryState.FAILED.value, next_attempt_at=None)
    )
    return result.rowcount


async def note_health(
    connection: AsyncConnection,
    subscription_id: UUID,
    *,
    is_well: bool,
    at: datetime,
) -> None:
    """Remember since when nothing was delivered."""
    change = update(subscription).where(subscription.c.id == subscription_id)
    if is_well:
        change = change.where(subscription.c.failing_since.is_not(None))
        await connection.execute(change.values(failing_since=None))
    else:
        change = change.where(subscription.c.failing_since.is_(None))
        await connection.execute(change.values(failing_since=at))


async def recover(
    connection: AsyncConnection,
    subscription_id: UUID,
    *,
    since: datetime,
    until: datetime | None,
    at: datetime,
) -> int:
    """Make due again what failed or was never sent; returns how many messages."""
    result: CursorResult[Any] = await connection.execute(
        _RECOVER, {"id": subscription_id, "since": since, "until": until, "at": at}
    )
    return result.rowcount


# Events are locked before deliveries, as in `fan_out`, or each may wait for the other.
_RECOVER = text(
    """
    INSERT INTO delivery AS d (event_id, subscription_id, next_attempt_at)
    SELECT e.id, s.id, CAST(:at AS timestamptz)
    FROM subscription s JOIN event e ON e.organization_id = s.organization_id
      AND e.event_type = ANY(s.event_types)
    WHERE s.id = :id AND e.created_at >= :since
      AND e.created_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
    FOR KEY SHARE OF e
    ON CONFLICT (event_id, subscription_id) DO UPDATE
      SET state = 'pending', attempts = 0, attempt_id = NULL,
        next_attempt_at = excluded.next_attempt_at
      WHERE d.state = 'failed'
    """
)
