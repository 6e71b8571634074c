"""The messages of progress streams; each tells everything, none only a difference."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.domain.jobs import JobStatus
from wellhead.services.progress import Progress

TYPES_EXAMPLE = {"File": 42}


class Connected(BaseModel):
    """The stream is open."""

    type: Literal["connected"] = Field(
        default="connected", description="The kind of message."
    )
    job_id: UUID


class Heartbeat(BaseModel):
    """Nothing has happened, but the stream is alive."""

    type: Literal["heartbeat"] = Field(
        default="heartbeat", description="The kind of message."
    )
    database: Literal["up", "away"] = Field(
        description="`away`: it cannot be read just now; the stream goes on by itself."
    )


class JobProgress(BaseModel):
    """The counts of a job so far."""

    inserted: int = Field(description="Entities that were new.")
    updated: int = Field(description="Entities that had changed.")
    deleted: int = Field(description="Entities that were there no more.")
    kept: int = Field(description="Entities that were as they had been.")
    skipped: int = Field(description="Entities that failed.")
    entities_encountered: dict[str, int] = Field(
        description="By type: entities that this job listed and that can be searched.",
        examples=[TYPES_EXAMPLE],
    )
    status: JobStatus | None = Field(
        description="`completed`, `failed` or `cancelled` once it has ended, else null."
    )
    last_update_timestamp: Instant = Field(description="When something last happened.")

    @classmethod
    def of(cls, progress: Progress) -> "JobProgress":
        job = progress.job
        return cls(
            inserted=job.counts.inserted,
            updated=job.counts.updated,
            deleted=job.counts.deleted,
            kept=job.counts.kept,
            skipped=job.counts.failed,
            entities_encountered=progress.types.listed,
            status=job.status if job.is_over else None,
            last_update_timestamp=job.progress_at,
        )


class EntityState(BaseModel):
    """What the connection of a job holds so far."""

    type: Literal["entity_state"] = Field(
        default="entity_state", description="The kind of message."
    )
    job_id: UUID
    sync_id: UUID
    entity_counts: dict[str, int] = Field(
        description="By type: entities of the connection that can be searched.",
        examples=[TYPES_EXAMPLE],
    )
    total_entities: int = Field(description="The sum of them.", examples=[42])
    timestamp: Instant = Field(description="When something last happened.")
    job_status: JobStatus = Field(description="Where the job is in its life.")

    @classmethod
    def of(cls, progress: Progress) -> "EntityState":
        job, live = progress.job, progress.types.live
        return cls(
            job_id=job.id,
            sync_id=job.connection_id,
            entity_counts=live,
            total_entities=sum(live.values()),
            timestamp=job.progress_at,
            job_status=job.status,
        )


class SyncComplete(BaseModel):
    """The job has ended; nothing follows."""

    type: Literal["sync_complete"] = Field(
        default="sync_complete", description="The kind of message."
    )
    job_id: UUID
    sync_id: UUID
    is_complete: bool = Field(description="Whether it completed.")
    is_failed: bool = Field(description="Whether it failed.")
    final_counts: dict[str, int] = Field(
        description="By type: entities of the connection that can be searched.",
        examples=[TYPES_EXAMPLE],
    )
    total_entities: int = Field(description="The sum of them.", examples=[42])
    total_operations: int = Field(
        description="How many entities the job inserted, updated or deleted.",
        examples=[42],
    )
    final_status: JobStatus = Field(description="How it ended.")
    error: str | None = Field(description="Why it failed.", examples=[None])
    timestamp: Instant = Field(description="When it ended.")

    @classmethod
    def of(cls, progress: Progress) -> "SyncComplete":
        job, live = progress.job, progress.types.live
        counts = job.counts
        return cls(
            job_id=job.id,
            sync_id=job.connection_id,
            is_complete=job.status is JobStatus.COMPLETED,
            is_failed=job.status is JobStatus.FAILED,
            final_counts=live,
            total_entities=sum(live.values()),
            total_operations=counts.inserted + counts.updated + counts.deleted,
            final_status=job.status,
            error=job.error if job.status is JobStatus.FAILED else None,
            timestamp=job.progress_at,
        )
