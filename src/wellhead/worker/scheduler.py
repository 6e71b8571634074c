"""The ticker: starts jobs of connections whose time has come."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import ConflictError
from wellhead.services import runs, schedules
from wellhead.services.parts import Parts
from wellhead.store import connections, jobs

BATCH = 100
FULL_RUN_WAITS = timedelta(hours=1)
"""How long the daily full run waits for a job that is open."""
LOOK_AGAIN = timedelta(seconds=15)

_log = structlog.get_logger(__name__)

_Take = Callable[..., Awaitable[list[SourceConnection]]]
_Meet = Callable[[Parts, AsyncConnection, SourceConnection, datetime], Awaitable[bool]]


async def tick(parts: Parts) -> int:
    """Start what is due, once for however many moments passed; returns how many.

    A connection that is paused or has an open job is not started, it waits for its
    next moment; a daily full run waits for the open job. Any number of workers may
    tick at once: each takes other rows.
    """
    now = parts.clock.now()
    # the full ones first: one of them covers what else is due
    full = await _start_all(parts, now, connections.take_full_due, _meet_full_run)
    return full + await _start_all(parts, now, connections.take_due, _meet_run)


async def _start_all(parts: Parts, now: datetime, take: _Take, meet: _Meet) -> int:
    started = 0
    while True:
        async with parts.db.begin() as connection:
            due = await take(connection, now, limit=BATCH)
            for one in due:
                started += await meet(parts, connection, one, now)
        if len(due) < BATCH:
            return started


async def _meet_run(
    parts: Parts, connection: AsyncConnection, due: SourceConnection, now: datetime
) -> bool:
    """Start it if it can be started, and set its next moment either way."""
    next_run_at = schedules.run_after(due, now=now)
    await connections.change(connection, due.id, {"next_run_at": next_run_at})
    if due.full_waits_until is not None:
        return False  # or the full run would wait for ever for jobs like this one
    return await _start(parts, connection, due)


async def _meet_full_run(
    parts: Parts, connection: AsyncConnection, due: SourceConnection, now: datetime
) -> bool:
    """Start it, or let it wait for the open job, or leave it to the next day."""
    if _may_start(due) and await jobs.open_job(connection, due.id) is not None:
        waits_until = due.full_waits_until or now + FULL_RUN_WAITS
        if now < waits_until:
            await connections.change(
                connection,
                due.id,
                {
                    "next_full_at": min(now + LOOK_AGAIN, waits_until),
                    "full_waits_until": waits_until,
                },
            )
            return False
    await connections.change(
        connection,
        due.id,
        {
            "next_full_at": schedules.full_run_after(due, now=now),
            "full_waits_until": None,
        },
    )
    return await _start(parts, connection, due, force_full=True, trigger="full")


def _may_start(due: SourceConnection) -> bool:
    return due.paused_reason is None and due.is_authenticated


async def _start(
    parts: Parts, connection: AsyncConnection, due: SourceConnection, **how: Any
) -> bool:
    if not _may_start(due):
        return False
    try:
        await runs.enqueue_run(parts, connection, due, **{"trigger": "schedule", **how})
    except ConflictError as error:
        _log.info("not started", connection_id=str(due.id), reason=str(error))
        return False
    return True
