"""Which entities could not be processed, why, and trying them again."""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action
from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import FailureClass, NotFoundError
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.services import audit_log, runs
from wellhead.services.parts import Parts
from wellhead.store import connections, cursors, jobs
from wellhead.store import failures as store
from wellhead.store.failures import JobFailure, Quarantined, Selection
from wellhead.store.locks import Lock


class RetriedWhen(StrEnum):
    """What brings the next try of something in quarantine."""

    NEXT_JOB = "next_job"
    WAIT = "after_next_retry_at"
    """A later job, or an earlier one whose listing shows it."""
    LISTING = "next_listing"
    CHANGE = "source_version_or_pipeline_changes"


class RetriedIn(StrEnum):
    """Whether the job that was answered with makes the try, or the one after it."""

    THIS_JOB = "this_job"
    NEXT_JOB = "next_job"


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """A part of the list, and how long the whole list is."""

    failures: list[Quarantined]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What was made due, and the job that is to try it; no job if nothing was."""

    entities: int
    scopes: int
    not_found: tuple[str, ...]
    job: SyncJob | None = None
    is_started: bool = False
    retried_in: RetriedIn | None = None


async def list_failures(
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    job_id: UUID,
    *,
    limit: int,
    after: bytes | None,
) -> list[JobFailure]:
    """List the entities that failed; `after` is the last key of the page before."""
    job = await runs.get_run(parts, organization_id, job_id)
    if job.connection_id != connection_id:
        raise NotFoundError("Sync job not found")
    async with parts.db.connect() as connection:
        return await store.page(connection, job_id, limit=limit, after=after)


async def list_quarantined(
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    which: Selection,
    *,
    limit: int,
    after: bytes | None,
) -> QuarantinePage:
    """List what stands as failed, in whichever job; `after` is the last key before."""
    async with parts.db.connect() as connection:
        await _find(connection, organization_id, connection_id)
        found = await store.standing(
            connection, connection_id, which, limit=limit, after=after
        )
        total = await store.count_standing(connection, connection_id, which)
    return QuarantinePage(found, total)


def retried_when(failure: Quarantined) -> RetriedWhen:
    """Tell what has to happen before something is tried again."""
    if failure.is_due:
        return RetriedWhen.NEXT_JOB
    if failure.is_scope:
        return RetriedWhen.LISTING
    if failure.failure_class is FailureClass.TRANSIENT:
        return RetriedWhen.WAIT
    # nothing tells an unchanged one from a changed one before it is read
    is_known_by_version = failure.source_version is not None
    return RetriedWhen.CHANGE if is_known_by_version else RetriedWhen.LISTING


async def retry_failures(
    parts: Parts, organization_id: UUID, connection_id: UUID, which: Selection
) -> Retry:
    """Make failures due at once, permanent ones too, and start a job if none is open.

    A scope is tried again by listing everything, so the job is then a full one. Asking
    again changes nothing. Raises NotFoundError, and ConflictError while the connection
    needs new credentials first.
    """
    async with parts.db.begin() as connection:
        found = await _find(
            connection, organization_id, connection_id, lock=Lock.CHANGE
        )
        open_job = await jobs.open_job(connection, found.id, for_update=True)
        is_running = open_job is not None and open_job.status is not JobStatus.PENDING
        made = await store.make_due(
            connection,
            found.id,
            which,
            during=open_job.id if open_job is not None and is_running else None,
        )
        retry = Retry(
            entities=made.entities, scopes=made.scopes, not_found=made.not_found
        )
        if not made.entities and not made.scopes:
            return retry
        if open_job is None:
            job = await runs.enqueue_run(
                parts, connection, found, force_full=made.scopes > 0, trigger="retry"
            )
        else:
            job = open_job
            if made.scopes:
                await cursors.require_full(connection, found.id)
        await audit_log.note_connection(
            connection,
            parts,
            found,
            Action.FAILURES_RETRIED,
            entities=made.entities,
            scopes=made.scopes,
            sync_job_id=str(job.id),
        )
        return replace(
            retry,
            job=job,
            is_started=open_job is None,
            retried_in=RetriedIn.NEXT_JOB if is_running else RetriedIn.THIS_JOB,
        )


async def _find(
    connection: AsyncConnection,
    organization_id: UUID,
    connection_id: UUID,
    *,
    lock: Lock | None = None,
) -> SourceConnection:
    found = await connections.find(
        connection, organization_id, connection_id, lock=lock
    )
    if found is None:
        raise NotFoundError("SourceConnection not found")
    return found
