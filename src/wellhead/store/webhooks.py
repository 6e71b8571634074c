"""Subscriptions in the ledger, and what they were told: messages and attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.webhooks import (
    HEALTH_ATTEMPTS,
    Attempt,
    AttemptStatus,
    Message,
    Subscription,
    health,
)
from wellhead.store.schema_webhooks import delivery_attempt, event, subscription

_SUBSCRIPTION = tuple(one for one in subscription.c if one.name != "secret")


def _subscription(row: Row[Any]) -> Subscription:
    fields = row._asdict()
    return Subscription(**fields | {"event_types": tuple(fields["event_types"])})


async def add(connection: AsyncConnection, new: Subscription, *, secret: bytes) -> None:
    """Insert a subscription; `secret` is encrypted."""
    await connection.execute(
        insert(subscription).values(
            id=new.id,
            organization_id=new.organization_id,
            url=new.url,
            event_types=list(new.event_types),
            secret=secret,
            created_at=new.created_at,
            updated_at=new.updated_at,
        )
    )


async def find(
    connection: AsyncConnection,
    organization_id: UUID,
    subscription_id: UUID,
    *,
    for_update: bool = False,
) -> Subscription | None:
    query = select(*_SUBSCRIPTION).where(
        subscription.c.id == subscription_id,
        subscription.c.organization_id == organization_id,
    )
    if for_update:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _subscription(row)


async def in_organization(
    connection: AsyncConnection, organization_id: UUID
) -> list[Subscription]:
    """List subscriptions, newest first."""
    rows = await connection.execute(
        select(*_SUBSCRIPTION)
        .where(subscription.c.organization_id == organization_id)
        .order_by(subscription.c.created_at.desc(), subscription.c.id)
    )
    return [_subscription(row) for row in rows]


async def secret_of(connection: AsyncConnection, subscription_id: UUID) -> bytes:
    query = select(subscription.c.secret).where(subscription.c.id == subscription_id)
    return bytes((await connection.execute(query)).scalar_one())


async def change(
    connection: AsyncConnection, subscription_id: UUID, values: Mapping[str, Any]
) -> None:
    await connection.execute(
        update(subscription).where(subscription.c.id == subscription_id).values(values)
    )


async def remove(connection: AsyncConnection, subscription_id: UUID) -> None:
    """Delete it with its deliveries and attempts."""
    await connection.execute(
        delete(subscription).where(subscription.c.id == subscription_id)
    )


async def with_health(
    connection: AsyncConnection, found: Sequence[Subscription]
) -> dict[UUID, Subscription]:
    """Return them by id, each with how it has answered lately."""
    rows = await connection.execute(
        text(
            "SELECT s.id, a.status FROM unnest(CAST(:ids AS uuid[])) AS s (id),"
            " LATERAL (SELECT status, at, id FROM delivery_attempt"
            "   WHERE subscription_id = s.id AND status <> 'pending'"
            "   ORDER BY at DESC, id LIMIT :most) a"
            " ORDER BY s.id, a.at DESC, a.id"
        ),
        {"ids": [one.id for one in found], "most": HEALTH_ATTEMPTS},
    )
    newest: dict[UUID, list[AttemptStatus]] = {}
    for row in rows:
        newest.setdefault(row.id, []).append(AttemptStatus(row.status))
    return {
        one.id: replace(one, health=health(newest.get(one.id, []))) for one in found
    }


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.message_id,
        sequence=row.id,
        event_type=row.event_type,
        payload=row.payload,
        at=row.created_at,
    )


async def messages(
    connection: AsyncConnection,
    organization_id: UUID,
    *,
    limit: int,
    before: int | None,
    event_types: Sequence[str] | None,
) -> list[Message]:
    """List events newest first; `before` is a sequence number."""
    query = select(event).where(event.c.organization_id == organization_id)
    if before is not None:
        query = query.where(event.c.id < before)
    if event_types:
        query = query.where(event.c.event_type.in_(event_types))
    rows = await connection.execute(query.order_by(event.c.id.desc()).limit(limit))
    return [_message(row) for row in rows]


async def find_message(
    connection: AsyncConnection, organization_id: UUID, message_id: UUID
) -> Message | None:
    query = select(event).where(
        event.c.message_id == message_id, event.c.organization_id == organization_id
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _message(row)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        id=row.id,
        message_id=row.message_id,
        subscription_id=row.subscription_id,
        url=row.url,
        at=row.at,
        status=AttemptStatus(row.status),
        response_status=row.response_status,
        response=row.response,
    )


async def attempts(
    connection: AsyncConnection,
    *,
    subscription_id: UUID | None = None,
    message: Message | None = None,
    limit: int,
) -> list[Attempt]:
    """List attempts newest first, of a subscription, or of a message to anyone."""
    query = select(delivery_attempt, event.c.message_id).join(
        event, event.c.id == delivery_attempt.c.event_id
    )
    if subscription_id is not None:
        query = query.where(delivery_attempt.c.subscription_id == subscription_id)
    if message is not None:
        query = query.where(delivery_attempt.c.event_id == message.sequence)
    order = (delivery_attempt.c.at.desc(), delivery_attempt.c.id)
    rows = await connection.execute(query.order_by(*order).limit(limit))
    return [_attempt(row) for row in rows]
