"""Telling endpoints: signed, retried, recorded, none at another's expense."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.errors import JobError
from wellhead.domain.webhooks import (
    GIVE_UP_AFTER,
    SCHEDULE,
    AttemptStatus,
    next_attempt,
    public_id,
    sign,
)
from wellhead.services.endpoints import Answer, Caller, EndpointError
from wellhead.services.parts import Parts
from wellhead.store import audit_log, deliveries, webhooks
from wellhead.store.deliveries import Claimed, Endpoint, Outcome

TIMEOUT_SECONDS = 30.0
LEASE_OVERTIME = timedelta(seconds=30)
"""How much longer a claim holds than a request may take."""
ENDPOINTS = 100
"""Endpoints that one worker talks to at a time."""
MESSAGES = 4
"""Messages on their way to one endpoint; one that fails gets them one by one."""
TURN_SECONDS = 10.0
"""After so long others have their turn."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Courier:
    """Who delivers; at most a few of its deliveries ask the database at a time."""

    parts: Parts
    caller: Caller
    schedule: Sequence[timedelta] = SCHEDULE
    timeout_seconds: float = TIMEOUT_SECONDS
    jitter: Callable[[], float] = random.random
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))


async def deliver(courier: Courier, subscription_id: UUID) -> None:
    """Send what one endpoint has to get now.

    What is left over, and what has to be tried again, is queued when it is due.
    """
    until = time.monotonic() + TURN_SECONDS
    while await _deliver_some(courier, subscription_id) and time.monotonic() < until:
        pass


async def _deliver_some(courier: Courier, subscription_id: UUID) -> bool:
    """Tell whether all went well, so that going on at once makes sense."""
    to, claimed = await _claim(courier, subscription_id)
    if to is None or not claimed:
        return False
    try:
        answers = await asyncio.gather(*(_send(courier, to, one) for one in claimed))
    except asyncio.CancelledError:  # the worker stops: somebody else sends them now
        await asyncio.shield(_hand_back(courier.parts, to, claimed))
        raise
    outcomes = [
        _outcome(courier, one, answer)
        for one, answer in zip(claimed, answers, strict=True)
    ]
    async with courier.gate:
        await _record(courier.parts, to, outcomes)
    return all(one.status is AttemptStatus.SUCCESS for one in outcomes)


async def _claim(
    courier: Courier, subscription_id: UUID
) -> tuple[Endpoint | None, list[Claimed]]:
    now = courier.parts.clock.now()
    lease = timedelta(seconds=courier.timeout_seconds) + LEASE_OVERTIME
    async with courier.gate, courier.parts.db.begin() as connection:
        to = await deliveries.endpoint(connection, subscription_id)
        if to is None:
            return None, []
        limit = MESSAGES if to.failing_since is None else 1
        return to, await deliveries.claim(
            connection, to, at=now, until=now + lease, limit=limit
        )


async def _send(courier: Courier, to: Endpoint, claimed: Claimed) -> Answer:
    body = json.dumps(
        claimed.payload, ensure_ascii=False, separators=(",", ":")
    ).encode()
    message_id = public_id("msg", claimed.message_id)
    try:
        secret = courier.parts.cipher.decrypt(to.secret)["secret"]
        signed = sign(secret, message_id, courier.parts.clock.now(), body)
        return await courier.caller.call(
            "POST",
            to.url,
            within=courier.timeout_seconds,
            headers={"content-type": "application/json", **signed},
            content=body,
        )
    except EndpointError as error:
        return Answer(0, str(error))
    except JobError:
        return Answer(0, "Not sent: the secret cannot be decrypted with present keys")


async def _hand_back(parts: Parts, to: Endpoint, claimed: Sequence[Claimed]) -> None:
    async with parts.db.begin() as connection:
        if await deliveries.hold(connection, to.subscription_id, claimed):
            await deliveries.hand_back(connection, claimed, at=parts.clock.now())


def _outcome(courier: Courier, claimed: Claimed, answer: Answer) -> Outcome:
    is_ok = 200 <= answer.status < 300
    wait = next_attempt(claimed.attempts, courier.schedule, jitter=courier.jitter())
    return Outcome(
        claimed=claimed,
        status=AttemptStatus.SUCCESS if is_ok else AttemptStatus.FAILED,
        response_status=answer.status,
        response=answer.text,
        next_attempt_at=None
        if is_ok or wait is None
        else courier.parts.clock.now() + wait,
    )


async def _record(parts: Parts, to: Endpoint, outcomes: Sequence[Outcome]) -> None:
    now = parts.clock.now()
    is_well = any(one.status is AttemptStatus.SUCCESS for one in outcomes)
    async with parts.db.begin() as connection:
        found = await deliveries.hold(
            connection, to.subscription_id, [one.claimed for one in outcomes]
        )
        if found is None:
            return
        for one in outcomes:
            await deliveries.record(connection, to.subscription_id, one)
        if found.disabled or found.url != to.url:
            return  # somebody saw to it meanwhile: this says nothing about it now
        await deliveries.note_health(
            connection, to.subscription_id, is_well=is_well, at=now
        )
        failed_for_good = any(
            one.status is AttemptStatus.FAILED and one.next_attempt_at is None
            for one in outcomes
        )
        since = found.failing_since
        if failed_for_good and not is_well and since and now - since >= GIVE_UP_AFTER:
            await _switch_off(parts, connection, to)


async def _switch_off(parts: Parts, connection: AsyncConnection, to: Endpoint) -> None:
    now = parts.clock.now()
    values = {"disabled": True, "gave_up_at": now, "updated_at": now}
    await webhooks.change(connection, to.subscription_id, values)
    await deliveries.give_up(connection, to.subscription_id)
    await audit_log.note(
        connection,
        parts.actor,
        to.organization_id,
        Action.SUBSCRIPTION_CHANGED,
        Subject("subscription", public_id("ep", to.subscription_id)),
        now,
        fields=["disabled"],
        reason="nothing could be delivered for days",
    )
    _log.warning("endpoint switched off", subscription_id=str(to.subscription_id))
