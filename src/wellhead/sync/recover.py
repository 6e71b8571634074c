"""After a crash, a cancel or a bad cursor: back to what is committed."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.errors import JobError
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.store import cursors, garbage, jobs, rollbacks, scopes
from wellhead.sync.run import Run
from wellhead.sync.storable import original_token

ROLLBACK_PAGE = 500


async def discard_intents(run: Run) -> int:
    """Turn what a predecessor left half-done into garbage; returns how many versions.

    The old versions were never touched, and the checkpoint did not pass them.
    """
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING, JobStatus.CANCELLING)
        return await garbage.discard_intents(
            connection, run.collection_id, run.connection_id
        )


async def finish_rollbacks(run: Run) -> None:
    """Remove what cancelled jobs of this connection had inserted."""
    async with run.tools.db.begin() as connection:
        pending = await rollbacks.pending_of(connection, run.connection_id)
    for job_id in pending:
        await roll_back(run.tools.db, job_id)


async def roll_back(db: AsyncEngine, job_id: UUID) -> None:
    """Remove the entities that a cancelled job inserted, a page at a time.

    They are invisible since the job became CANCELLED; this makes them garbage, and
    may run twice or stop anywhere.
    """
    while True:
        async with db.begin() as connection:
            if await rollbacks.discard_page(connection, job_id, limit=ROLLBACK_PAGE):
                continue
            await rollbacks.finish(connection, job_id)
            return


async def position(run: Run) -> dict[str, Any] | None:
    """Return where reading goes on: this job's checkpoint, else the cursor."""
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        if job.checkpoint is not None or job.mode is JobMode.FULL:
            return original_token(job.checkpoint)
        return original_token(await cursors.read(connection, run.connection_id))


async def restart_as_full(run: Run) -> None:
    """The source refused the cursor: list everything instead; nothing is skipped."""
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        if job.mode is JobMode.FULL and job.checkpoint is None:
            raise JobError("the source refused a cursor although it was given none")
        await jobs.patch(
            connection, job, {"mode": JobMode.FULL.value, "checkpoint": None}
        )
        await scopes.forget(connection, job.id)


async def incomplete(run: Run) -> dict[str, str]:
    """Return scopes of which a part before the checkpoint could not be listed."""
    async with run.tools.db.begin() as connection:
        met = await scopes.read(connection, run.job.id)
    return {
        one.scope: one.reason or "listing incomplete"
        for one in met.values()
        if one.state == scopes.INCOMPLETE
    }


async def require_full(run: Run) -> None:
    """The next job lists everything: this one knows of entities it could not read."""
    async with run.tools.db.begin() as connection:
        await cursors.require_full(connection, run.connection_id)
