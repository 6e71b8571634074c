"""How jobs stand, read for many at once: what progress streams are made of."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.jobs import FINAL, Counts, JobStatus


@dataclass(frozen=True, slots=True)
class JobState:
    """What of a job changes while it is followed."""

    id: UUID
    connection_id: UUID
    status: JobStatus
    counts: Counts
    error: str | None
    progress_at: datetime

    @property
    def is_over(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class EntityTypes:
    """Entities of a job's connection by type: all there are, and those it listed."""

    live: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)


_STATES = text(
    """
    SELECT id, connection_id, status, inserted, updated, deleted, failed, kept, error,
      coalesce(completed_at, progress_at, started_at, created_at)
    FROM sync_job WHERE id = ANY(CAST(:ids AS uuid[]))
    """
)

_TYPES = text(
    """
    SELECT job.id, e.type, count(*),
      count(*) FILTER (WHERE e.seen_generation = job.generation)
    FROM sync_job job JOIN entity e ON e.connection_id = job.connection_id
    LEFT JOIN sync_job undone ON undone.id = e.inserted_by
      AND undone.rollback = 'pending'
    WHERE job.id = ANY(CAST(:ids AS uuid[])) AND undone.id IS NULL
    GROUP BY 1, 2 ORDER BY 2
    """
)


async def states(
    connection: AsyncConnection, job_ids: Collection[UUID]
) -> dict[UUID, JobState]:
    """Return how these jobs stand; one that is not there any more is absent."""
    rows = await connection.execute(_STATES, {"ids": list(job_ids)})
    return {
        row[0]: JobState(
            id=row[0],
            connection_id=row[1],
            status=JobStatus(row[2]),
            counts=Counts(*row[3:8]),
            error=row[8],
            progress_at=row[9],
        )
        for row in rows
    }


async def types(
    connection: AsyncConnection, job_ids: Collection[UUID]
) -> dict[UUID, EntityTypes]:
    """Count searchable entities by type, for each of these jobs.

    What a job has listed is known until the next job of its connection lists it again.
    """
    found = {job_id: EntityTypes() for job_id in job_ids}
    for row in await connection.execute(_TYPES, {"ids": list(job_ids)}):
        found[row[0]].live[row[1]] = int(row[2])
        if row[3]:
            found[row[0]].listed[row[1]] = int(row[3])
    return found
