"""The last transaction of a job, one for each way it can end."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.errors import CREDENTIALS
from wellhead.domain.jobs import JobMode, JobStatus, Rollback, SyncJob, move
from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Parts
from wellhead.store import cursors, garbage, jobs, ledger, quarantine, rollbacks, scopes
from wellhead.store.outbox import write_job_event
from wellhead.store.scopes import COMPLETE, INCOMPLETE, ScopeRun


async def complete(parts: Parts, held: SyncJob, collection_id: UUID) -> None:
    """COMPLETED: the cursor becomes the job's last checkpoint in the same moment.

    Raises FencedError when the job was cancelled or taken over meanwhile.
    """
    async with parts.db.begin() as connection:
        await cursors.lock(connection, held.connection_id)
        job = await jobs.lock(connection, held, JobStatus.RUNNING)
        now = parts.clock.now()
        was_full = job.mode is JobMode.FULL
        await cursors.advance(
            connection,
            job.connection_id,
            cursor=job.checkpoint,
            reconciled=now if was_full or job.phase == "sweeping" else None,
            was_full=was_full,
        )
        if await scopes.has_gaps(connection, job.id):
            # the cursor is past what could not be listed: only a full job brings it
            await cursors.require_full(connection, job.connection_id)
        await garbage.discard_intents(connection, collection_id, job.connection_id)
        details = await _details(connection, job)
        moved = move(job, JobStatus.COMPLETED, at=now)
        moved = replace(moved, phase=None, error_details=details or None)
        await _end(connection, moved, was=job)


async def fail(
    parts: Parts,
    held: SyncJob,
    collection_id: UUID,
    *,
    error: str,
    category: str | None = None,
    pauses: bool = False,
) -> None:
    """FAILED, with the reason; what was committed stays, nothing is swept."""
    async with parts.db.begin() as connection:
        await cursors.lock(connection, held.connection_id)
        job = await jobs.lock(connection, held, JobStatus.RUNNING)
        await garbage.discard_intents(connection, collection_id, job.connection_id)
        details = await _details(connection, job)
        if category is not None:
            details["category"] = category
        if job.mode is JobMode.FULL:
            await cursors.require_full(connection, job.connection_id)
        if pauses and category is not None:
            began_at = job.started_at or job.created_at
            await cursors.pause(
                connection, job.connection_id, category, began_at=began_at
            )
        moved = replace(
            move(job, JobStatus.FAILED, at=parts.clock.now()),
            phase=None,
            error=error,
            # a missing key is told like a refused one, and pauses nothing
            error_category=category if pauses or category in CREDENTIALS else None,
            error_details=details or None,
        )
        await _end(connection, moved, was=job)


async def cancel(parts: Parts, held: SyncJob, collection_id: UUID) -> None:
    """CANCELLED: from this moment nothing that the job inserted can be found.

    Its entities are taken back by a task of their own, however many they are.
    """
    async with parts.db.begin() as connection:
        await cursors.lock(connection, held.connection_id)
        job = await jobs.lock(connection, held, JobStatus.CANCELLING)
        await garbage.discard_intents(connection, collection_id, job.connection_id)
        details = await _details(connection, job)
        moved = move(job, JobStatus.CANCELLED, at=parts.clock.now())
        if job.mode is JobMode.FULL:
            await cursors.require_full(connection, job.connection_id)
        found = await ledger.cleanup_counts(connection, job.connection_id, job.id)
        if found["entities"] and not job.keep_data:
            details["cleanup"] = {"state": "pending"} | found
            moved = replace(moved, rollback=Rollback.PENDING)
            await cursors.require_full(connection, job.connection_id)
            await parts.engine.defer(connection, Task.ROLL_BACK, job.id)
        moved = replace(moved, phase=None, error_details=details or None)
        await _end(connection, moved, was=job)


async def _end(connection: AsyncConnection, job: SyncJob, *, was: SyncJob) -> None:
    await jobs.save(connection, job, was=was)
    if job.rollback is not Rollback.PENDING:
        await rollbacks.forget_changes(connection, job.id)
    if job.completed_at is not None:
        await write_job_event(connection, job, job.completed_at)


async def _details(connection: AsyncConnection, job: SyncJob) -> dict[str, Any]:
    """What a reader of the job's history wants to know beyond the counts."""
    details: dict[str, Any] = {}
    if job.counts.failed:
        details["failures_total"] = job.counts.failed
        details["failures"] = await quarantine.examples(connection, job.id)
    if job.attempt > 1:
        details["attempts"] = job.attempt
    quarantined = await quarantine.count_open(connection, job.connection_id)
    if quarantined:
        details["quarantined"] = quarantined
    listed = (await scopes.read(connection, job.id)).values()
    incomplete = [one for one in listed if _is_worth_telling(job, one)]
    if incomplete:
        details["incomplete_scopes"] = [
            {"scope": one.scope, "reason": one.reason} for one in incomplete[:20]
        ]
    held = await scopes.held_counts(connection, job.connection_id, job.generation)
    if held:
        details["deletes_held"] = sum(held.values())
        details["held_scopes"] = held
    return details


def _is_worth_telling(job: SyncJob, scope: ScopeRun) -> bool:
    """Tell whether a scope is incomplete that should have been listed whole.

    An incremental read is no listing, and one that was cut short says so by its status.
    """
    if scope.state == COMPLETE:
        return False
    return scope.reason is not None or (
        job.mode is JobMode.FULL and scope.state == INCOMPLETE
    )
