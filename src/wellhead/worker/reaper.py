"""The reaper: what should be under way and is not is queued again."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Parts
from wellhead.store import deletions, jobs

LOCK = 0x77656C6C  # one reaper at a time, whichever worker it is in


async def reap(parts: Parts) -> int:
    """Queue abandoned jobs, rollbacks and purges anew; returns how many.

    It never cancels and never fails anything: waiting is no fault.
    """
    await parts.engine.drop_dead()
    async with parts.db.begin() as connection:
        is_mine = await connection.scalar(
            text("SELECT pg_try_advisory_xact_lock(:k)"), {"k": LOCK}
        )
        if not is_mine:
            return 0
        abandoned = await jobs.abandoned(connection)
        for job_id in abandoned:
            await parts.engine.defer(connection, Task.RUN_JOB, job_id)
        return len(abandoned) + await _requeue(parts, connection)


async def _requeue(parts: Parts, connection: AsyncConnection) -> int:
    connections, collections = await deletions.doomed(connection)
    wanted = [
        *((Task.ROLL_BACK, one) for one in await jobs.rolling_back(connection)),
        *((Task.PURGE_CONNECTION, one) for one in connections),
        *((Task.DROP_COLLECTION, one) for one in collections),
    ]
    queued = 0
    for task, subject in wanted:
        if not await parts.engine.is_known(connection, task, subject):
            await parts.engine.defer(connection, task, subject)
            queued += 1
    return queued
