"""A sync job: its states, its counts, and the only function that moves it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.errors import ConflictError


class JobStatus(StrEnum):
    """States of a job; values as on the wire."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class JobMode(StrEnum):
    """Whether the whole source is listed, or only what changed since the cursor."""

    FULL = "full"
    INCREMENTAL = "incremental"


class Rollback(StrEnum):
    """What becomes of entities that a cancelled job inserted."""

    NONE = "none"
    PENDING = "pending"
    DONE = "done"


OPEN = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.CANCELLING})
FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
NEXT: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset(
        {JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED}
    ),
    JobStatus.RUNNING: frozenset(
        {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLING}
    ),
    JobStatus.CANCELLING: frozenset({JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Entities by what happened to them in one job."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    failed: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncJob:
    """One run of one source connection, as the ledger knows it."""

    id: UUID
    organization_id: UUID
    connection_id: UUID
    status: JobStatus = JobStatus.PENDING
    mode: JobMode = JobMode.FULL
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    counts: Counts = field(default_factory=Counts)
    error: str | None = None
    error_category: str | None = None
    error_details: dict[str, Any] | None = None
    generation: int = 0
    fence: int = 0
    attempt: int = 0
    lease_until: datetime | None = None
    progress_at: datetime | None = None
    waiting_until: datetime | None = None
    phase: str | None = None
    checkpoint: dict[str, Any] | None = None
    rollback: Rollback = Rollback.NONE
    keep_data: bool = False
    force_full: bool = False
    confirm_deletes: int | None = None
    trigger: str = "manual"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from start to end, None before the end or without a start."""
        return seconds_between(self.started_at, self.completed_at)


@dataclass(slots=True)  # a frozen one takes ten times as long to make, by the hundred
class JobLine:
    """A job as lists show it; its names and values are those of the answer."""

    id: UUID
    source_connection_id: UUID
    status: JobStatus
    started_at: datetime | None
    completed_at: datetime | None
    duration_seconds: float | None
    entities_inserted: int
    entities_updated: int
    entities_deleted: int
    entities_failed: int
    error: str | None
    """Shown of a failed job only, like its category."""
    error_category: str | None
    error_details: dict[str, Any] | None


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()


def move(job: SyncJob, to: JobStatus, *, at: datetime) -> SyncJob:
    """Return the job in its next status; moving to where it is changes nothing.

    Raises ConflictError where the graph of sync protocol section 9 has no edge.
    """
    if job.status is to:
        return job
    if to not in NEXT[job.status]:
        raise ConflictError(f"Job {job.id} is {job.status}, it cannot become {to}")
    moved = replace(job, status=to)
    # clocks of several machines differ; what came later is never said to be earlier
    at = max(at, job.started_at or job.created_at)
    if to is JobStatus.RUNNING and job.started_at is None:
        moved = replace(moved, started_at=at, progress_at=at)
    if to in FINAL:
        moved = replace(moved, completed_at=at, lease_until=None, waiting_until=None)
    return moved
