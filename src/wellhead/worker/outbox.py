"""From events to deliveries: who wants them is written down, then queued."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Parts
from wellhead.store import deliveries, outbox

EVENTS = 500
PURGED = 1000


async def publish(parts: Parts) -> int:
    """Write a delivery for each subscriber of each new event; returns how many events.

    Then queue every endpoint that has something due: retries whose time has come, and
    what a worker that was killed left behind.
    """
    published = 0
    while True:
        async with parts.db.begin() as connection:
            found = await outbox.fan_out(connection, at=parts.clock.now(), limit=EVENTS)
            await queue(parts, connection, found.subscriptions)
        published += found.events
        if found.events < EVENTS:
            break
    async with parts.db.begin() as connection:
        due = await deliveries.due(connection, at=parts.clock.now())
        await queue(parts, connection, due)
    return published


async def queue(
    parts: Parts, connection: AsyncConnection, subscriptions: Sequence[UUID]
) -> None:
    """Queue endpoints that are neither queued nor being worked on: one task each.

    In one order, or two publishers would wait for each other.
    """
    for one in sorted(subscriptions):
        if not await parts.engine.is_known(connection, Task.DELIVER, one):
            await parts.engine.defer(connection, Task.DELIVER, one)


async def purge_messages(parts: Parts) -> int:
    """Forget messages that are older than they are kept for; returns how many."""
    before = parts.clock.now() - parts.webhooks.keep
    purged = 0
    while True:
        async with parts.db.begin() as connection:
            gone = await outbox.purge(connection, before=before, limit=PURGED)
        purged += gone
        if gone < PURGED:
            return purged
