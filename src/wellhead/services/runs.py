"""Sync jobs as use cases: start, list, cancel."""

from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import (
    CREDENTIALS,
    BadRequestError,
    ConflictError,
    NotFoundError,
)
from wellhead.domain.jobs import FINAL, JobLine, JobMode, JobStatus, SyncJob, move
from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Parts
from wellhead.store import (
    audit_log,
    collections,
    connections,
    consents,
    job_lines,
    jobs,
)
from wellhead.store.jobs import CONSENT
from wellhead.store.locks import Lock
from wellhead.store.outbox import write_job_event


async def start_run(  # keyword options of one request
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    *,
    force_full: bool = False,
    confirm_deletes: int | None = None,
    trigger: str = "manual",
) -> SyncJob:
    """Start a sync of a connection now.

    Raises NotFoundError, BadRequestError for what is searched live, and ConflictError
    when a job is open or new credentials are needed first.
    """
    async with parts.db.begin() as connection:
        source_connection = await connections.find(
            connection, organization_id, connection_id, lock=Lock.SHARE
        )
        if source_connection is None:
            raise NotFoundError("SourceConnection not found")
        if source_connection.is_federated:
            raise BadRequestError(
                f"{source_connection.name} is searched live and never synced: there is "
                "nothing to run"
            )
        if not source_connection.is_authenticated:
            raise NotFoundError("No sync found for this source connection")
        # who may start runs may also say that the consent was meant
        at = parts.clock.now()
        if await consents.verify(connection, connection_id, at=at):
            return await start_verified_run(parts, connection, source_connection)
        job = await enqueue_run(
            parts,
            connection,
            source_connection,
            force_full=force_full,
            confirm_deletes=confirm_deletes,
            trigger=trigger,
        )
        await _note(
            connection,
            parts,
            job,
            Action.RUN_STARTED,
            force_full=job.force_full,
            confirm_deletes=confirm_deletes,
        )
        return job


async def start_runs(
    parts: Parts, organization_id: UUID, readable_id: str
) -> list[SyncJob]:
    """Start a sync of each connection of a collection that can be started now."""
    async with parts.db.connect() as connection:
        collection = await collections.find(connection, organization_id, readable_id)
        if collection is None:
            raise NotFoundError("Collection not found")
        members = await connections.in_collections(connection, [collection.id])
    started = []
    for member in members:
        with suppress(BadRequestError, ConflictError, NotFoundError):
            started.append(await start_run(parts, organization_id, member.id))
    return started


async def enqueue_run(  # keyword options of one request
    parts: Parts,
    connection: AsyncConnection,
    source_connection: SourceConnection,
    *,
    force_full: bool = False,
    confirm_deletes: int | None = None,
    trigger: str = "manual",
) -> SyncJob:
    """Write a PENDING job and its task in the caller's transaction.

    The caller holds the connection's row at least FOR SHARE. Two callers at once are
    told apart by the unique index on open jobs. Confirming held deletes needs a full
    listing, so it asks for one.
    """
    force_full = force_full or confirm_deletes is not None
    if source_connection.paused_reason in CREDENTIALS:
        what_to_do = (
            "Give consent again (reinitiate-oauth)"
            if source_connection.auth_method.is_in_browser
            else "Update the connection's credentials"
        )
        raise ConflictError(f"Cannot trigger sync: sync is paused. {what_to_do}")
    open_job = await jobs.open_job(connection, source_connection.id)
    if open_job is not None:
        raise _already(open_job.status)
    job = SyncJob(
        id=uuid4(),
        organization_id=source_connection.organization_id,
        connection_id=source_connection.id,
        created_at=parts.clock.now(),
        mode=mode_of(
            parts,
            source_connection.short_name,
            has_cursor=source_connection.cursor is not None,
            must_be_full=force_full or source_connection.needs_full,
        ),
        force_full=force_full,
        confirm_deletes=confirm_deletes,
        trigger=trigger,
    )
    try:
        async with connection.begin_nested():
            await jobs.add(connection, job)
    except IntegrityError as error:
        raise _already(JobStatus.PENDING) from error
    if trigger != CONSENT:  # that one waits until the consent is verified
        await parts.engine.defer(connection, Task.RUN_JOB, job.id)
    await write_job_event(connection, job, job.created_at)
    return job


async def prepare_verified_run(
    parts: Parts, connection: AsyncConnection, about: SourceConnection
) -> None:
    """Write down the run that starts once the consent just given is verified."""
    if about.is_federated:
        return
    if await jobs.open_job(connection, about.id) is None:
        await enqueue_run(parts, connection, about, trigger=CONSENT)


async def start_verified_run(
    parts: Parts, connection: AsyncConnection, about: SourceConnection
) -> SyncJob:
    """Start the run that waited for this, or a new one if it was cancelled since."""
    job = await jobs.open_job(connection, about.id)
    if job is None:
        job = await enqueue_run(parts, connection, about, trigger=CONSENT)
    if job.status is JobStatus.PENDING:
        await parts.engine.defer(connection, Task.RUN_JOB, job.id)
    await _note(connection, parts, job, Action.RUN_STARTED, trigger=job.trigger)
    return job


def mode_of(
    parts: Parts, short_name: str, *, has_cursor: bool, must_be_full: bool
) -> JobMode:
    """Return how a job reads: by its cursor if the source can and nothing forbids.

    Asked when a job is written down, to foretell it, and at its claim, to fix it.
    """
    if must_be_full or not has_cursor:
        return JobMode.FULL
    try:
        info = parts.sources.get(short_name).info
    except NotFoundError:
        return JobMode.FULL
    return JobMode.INCREMENTAL if info.is_incremental else JobMode.FULL


def _already(status: JobStatus) -> ConflictError:
    return ConflictError(f"Cannot start new sync: a sync job is already {status.value}")


async def list_runs(  # keyword options of one request
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    status: JobStatus | None = None,
) -> list[JobLine]:
    """List a connection's jobs, newest first. Raises NotFoundError."""
    found = await job_lines.newest(
        parts.reads,
        organization_id,
        connection_id,
        limit=limit,
        before=before,
        status=status,
    )
    if not found:  # nothing to list, or nothing to list it of?
        await _require_listed(parts, organization_id, connection_id, before)
    return found


async def _require_listed(
    parts: Parts, organization_id: UUID, connection_id: UUID, before: UUID | None
) -> None:
    async with parts.db.connect() as connection:
        await _require(connection, organization_id, connection_id)
        mark = None if before is None else await jobs.get(connection, before)
    if before is not None and (mark is None or mark.connection_id != connection_id):
        raise NotFoundError("Sync job not found")


async def get_run(parts: Parts, organization_id: UUID, job_id: UUID) -> SyncJob:
    """Return one job. Raises NotFoundError."""
    async with parts.db.connect() as connection:
        job = await jobs.get(connection, job_id)
        if job is None or job.organization_id != organization_id:
            raise NotFoundError("Sync job not found")
        await _require(connection, organization_id, job.connection_id)
        return job


async def cancel_run(
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID | None,
    job_id: UUID,
    *,
    keep_data: bool = False,
) -> SyncJob:
    """Ask a job to stop; a running one becomes CANCELLING, its worker ends it.

    Asking again changes nothing. Raises NotFoundError, and ConflictError when the job
    is over.
    """
    async with parts.db.begin() as connection:
        job = await jobs.get(connection, job_id, for_update=True)
        if (
            job is None
            or job.organization_id != organization_id
            or connection_id not in (None, job.connection_id)
        ):
            raise NotFoundError("Sync job not found")
        if job.status in FINAL:
            raise ConflictError(f"Cannot cancel job in {job.status.value} state")
        cancelled = await _cancel(parts, connection, job, keep_data=keep_data)
        if cancelled is not job:
            await _note(
                connection, parts, job, Action.RUN_CANCELLED, keep_data=keep_data
            )
        return cancelled


async def close_open_job(
    parts: Parts, connection: AsyncConnection, connection_id: UUID
) -> None:
    """Cancel what is open, within a transaction that deletes the connection.

    The caller holds the connection's row, so no new job can start meanwhile.
    """
    job = await jobs.open_job(connection, connection_id, for_update=True)
    if job is not None:
        await _cancel(parts, connection, job, keep_data=False)


async def _cancel(
    parts: Parts, connection: AsyncConnection, job: SyncJob, *, keep_data: bool
) -> SyncJob:
    if job.status is JobStatus.CANCELLING:
        return job
    now = parts.clock.now()
    is_waiting = job.status is JobStatus.PENDING
    to = JobStatus.CANCELLED if is_waiting else JobStatus.CANCELLING
    moved = replace(move(job, to, at=now), keep_data=keep_data)
    await jobs.save(connection, moved, was=job)
    await write_job_event(connection, moved, now)
    if not is_waiting:
        await parts.engine.abort(connection, Task.RUN_JOB, job.id)
    return moved


async def _require(
    connection: AsyncConnection, organization_id: UUID, connection_id: UUID
) -> None:
    if await connections.find(connection, organization_id, connection_id) is None:
        raise NotFoundError("SourceConnection not found")


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    job: SyncJob,
    action: Action,
    **details: Any,
) -> None:
    await audit_log.note(
        connection,
        parts.actor,
        job.organization_id,
        action,
        Subject("sync_job", str(job.id)),
        parts.clock.now(),
        source_connection_id=str(job.connection_id),
        **details,
    )
