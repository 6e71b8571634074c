"""The ticker: starts jobs of connections whose time has come."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from croniter import CroniterError
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import ConflictError, ErrorCategory
from wellhead.domain.jobs import JobStatus, SyncJob, move
from wellhead.services import runs, schedules
from wellhead.services.parts import Parts
from wellhead.store import connections, jobs
from wellhead.store.database import is_gone
from wellhead.store.outbox import write_job_event

BATCH = 100
FULL_RUN_WAITS = timedelta(hours=1)
"""How long the daily full run waits for a job that is open."""
LOOK_AGAIN = timedelta(seconds=15)
TRY_AGAIN = timedelta(minutes=5)
"""How long one that could not be started waits, so that it holds nobody up."""

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
                started += await _meet_apart(parts, connection, one, now, meet)
        if len(due) < BATCH:
            return started


async def _meet_apart(
    parts: Parts,
    connection: AsyncConnection,
    due: SourceConnection,
    now: datetime,
    meet: _Meet,
) -> bool:
    """Meet one so that its failing stops none of the others in the transaction."""
    try:
        async with connection.begin_nested():
            return await meet(parts, connection, due, now)
    except CroniterError:
        _log.warning("schedule cannot be read", connection_id=str(due.id))
        if await _end_schedule(connection, due, now):
            return False
    except Exception as error:  # whatever one connection has, the others start
        if is_gone(error):
            raise
        _log.exception("not started", connection_id=str(due.id))
    await _put_off(connection, due, now)
    return False


async def _end_schedule(
    connection: AsyncConnection, due: SourceConnection, now: datetime
) -> bool:
    """Take it off the schedule, and tell its owner by a job that FAILED at once.

    A new schedule puts it back. Waits while a job is open or the connection is paused,
    which is told first.
    """
    is_open = await jobs.open_job(connection, due.id) is not None
    if is_open or not _may_start(due):
        return False
    pending = SyncJob(
        id=uuid4(),
        organization_id=due.organization_id,
        connection_id=due.id,
        created_at=now,
        trigger="schedule",
    )
    failed = replace(
        move(pending, JobStatus.FAILED, at=now),
        error=f"The schedule '{due.schedule_cron}' cannot be read: set another one",
        error_category=ErrorCategory.CONFIG_INVALID,
    )
    await jobs.add(connection, pending)
    await jobs.save(connection, failed, was=pending)
    await write_job_event(connection, failed, now)
    await connections.change(
        connection, due.id, dict.fromkeys(("next_run_at", "next_full_at"))
    )
    return True


async def _put_off(
    connection: AsyncConnection, due: SourceConnection, now: datetime
) -> None:
    """Let what is due of it come again a little later, after all others."""
    moments = {"next_run_at": due.next_run_at, "next_full_at": due.next_full_at}
    later = {
        name: now + TRY_AGAIN
        for name, moment in moments.items()
        if moment is not None and moment <= now
    }
    await connections.change(connection, due.id, later)


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
