"""Sync jobs as the public contract shows them, and the extensions to it."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from wellhead.api.schemas.times import Instant
from wellhead.domain.errors import (
    CREDENTIALS,
    ErrorCategory,
    FailureClass,
    FailureStage,
)
from wellhead.domain.jobs import JobLine, JobMode, JobStatus, SyncJob
from wellhead.store.failures import JobFailure

MOST_DELETES = 2**62

Category = Annotated[
    str,
    Field(
        json_schema_extra={"enum": sorted({*CREDENTIALS, ErrorCategory.CONFIG_INVALID})}
    ),
]
"""Trouble that the owner of a connection has to mend."""


class RunRequest(BaseModel):
    """The same as the query parameters, for clients that send a body."""

    force_full_sync: bool = False
    confirm_deletes: int | None = Field(
        default=None,
        ge=0,
        le=MOST_DELETES,
        description="Let this many held deletes happen, as `deletes_held` says.",
        examples=[3],
    )

    @model_validator(mode="before")
    @classmethod
    def _meant(cls, body: Any) -> Any:
        """Keep what is understood: other servers of this API ignore any body."""
        if not isinstance(body, dict):
            return {}
        known = {name: body.get(name) for name in cls.model_fields}
        return {name: value for name, value in known.items() if value is not None}


class SyncJobDetails(BaseModel):
    """A connection's last job."""

    id: UUID
    status: JobStatus
    started_at: Instant | None = None
    completed_at: Instant | None = None
    duration_seconds: float | None = None
    entities_inserted: int = 0
    entities_updated: int = 0
    entities_deleted: int = 0
    entities_failed: int = 0
    error: str | None = None
    error_category: Category | None = None

    @classmethod
    def of(cls, job: JobLine) -> "SyncJobDetails":
        return cls.model_validate(job, from_attributes=True)


class SourceConnectionJob(BaseModel):
    id: UUID
    source_connection_id: UUID
    status: JobStatus
    started_at: Instant | None = None
    completed_at: Instant | None = None
    duration_seconds: float | None = None
    entities_inserted: int = 0
    entities_updated: int = 0
    entities_deleted: int = 0
    entities_failed: int = 0
    error: str | None = None
    error_details: dict[str, Any] | None = Field(
        default=None,
        description="What else is worth knowing: failures, held deletes, clean-up.",
        examples=[{"failures_total": 1}],
    )
    error_category: Category | None = None

    @classmethod
    def of(cls, job: SyncJob) -> "SourceConnectionJob":
        return cls(
            source_connection_id=job.connection_id,
            error_details=job.error_details,
            **_fields(job),
        )


_LINES = TypeAdapter(list[JobLine])


def lines_json(lines: list[JobLine]) -> bytes:
    """Write lines as a list of SourceConnectionJob; they have its names and values.

    Making models of what the ledger holds would cost as much as reading it.
    """
    return _LINES.dump_json(lines)


class JobReport(SourceConnectionJob):
    """One job with what helps to understand it."""

    created_at: Instant
    mode: JobMode = Field(
        description="Whether everything is read or only what changed."
    )
    trigger: str = Field(description="What started it.", examples=["manual"])
    attempt: int = Field(description="How often a worker took it up.", examples=[1])
    phase: str | None = Field(
        default=None,
        description="What the worker is doing now, for people.",
        examples=["reading"],
    )
    progress_at: Instant | None = Field(
        default=None, description="When something last happened."
    )
    waiting_until: Instant | None = Field(
        default=None,
        description="Until when it waits before it tries the source again.",
    )
    entities_kept: int = Field(
        default=0, description="Entities that were as they had been."
    )

    @classmethod
    def of(cls, job: SyncJob) -> "JobReport":
        return cls(
            source_connection_id=job.connection_id,
            error_details=job.error_details,
            created_at=job.created_at,
            mode=job.mode,
            trigger=job.trigger,
            attempt=job.attempt,
            phase=job.phase,
            progress_at=job.progress_at,
            waiting_until=job.waiting_until,
            entities_kept=job.counts.kept,
            **_fields(job),
        )


def _fields(job: SyncJob) -> dict[str, Any]:
    is_failed = job.status is JobStatus.FAILED
    return {
        "id": job.id,
        "status": job.status,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "duration_seconds": job.duration_seconds,
        "entities_inserted": job.counts.inserted,
        "entities_updated": job.counts.updated,
        "entities_deleted": job.counts.deleted,
        "entities_failed": job.counts.failed,
        "error": job.error if is_failed else None,
        "error_category": job.error_category if is_failed else None,
    }


class EntityFailure(BaseModel):
    """One entity that a job could not process; its key names it in the next page."""

    entity_key: str
    source_id: str | None = Field(
        description="The entity's id in the source; null if it has none.",
        examples=["docs/plan.pdf"],
    )
    stage: FailureStage
    failure_class: FailureClass = Field(serialization_alias="class")
    reason: str
    failed_at: Instant

    @classmethod
    def of(cls, failure: JobFailure) -> "EntityFailure":
        return cls(
            entity_key=failure.entity_key.hex(),
            source_id=failure.source_id,
            stage=failure.stage,
            failure_class=failure.failure_class,
            reason=failure.reason,
            failed_at=failure.failed_at,
        )
