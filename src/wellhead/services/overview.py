"""An organization at a glance, for the people who run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from wellhead.domain.connections import ConnectionDetails
from wellhead.domain.glances import (
    Choice,
    ConnectionGlance,
    EndedJob,
    JobGlance,
    Standing,
)
from wellhead.domain.jobs import FINAL, JobStatus
from wellhead.services.parts import Parts
from wellhead.store import overview as store

MOST_NAMED = 8
MOST_OPEN = 100


@dataclass(frozen=True, slots=True)
class Overview:
    """How everything stands at one moment."""

    standing: Standing
    attention: list[ConnectionGlance]
    open_jobs: list[JobGlance]
    ended_jobs: list[EndedJob]


async def overview(parts: Parts, organization_id: UUID) -> Overview:
    """Judge all connections, and name those that somebody should look at."""
    now = parts.clock.now()
    async with parts.reads.snapshot() as reads:
        standing, ids = await store.standing(
            reads, organization_id, at=now, limit=MOST_NAMED
        )
        return Overview(
            standing,
            await store.glances(reads, ids, at=now),
            await store.open_jobs(reads, organization_id, limit=MOST_NAMED),
            await store.ended_jobs(
                reads, organization_id, tuple(FINAL), before=None, limit=MOST_NAMED
            ),
        )


async def list_glances(
    parts: Parts,
    organization_id: UUID,
    choice: Choice,
    *,
    before: UUID | None,
    limit: int,
) -> list[ConnectionGlance]:
    """List connections, newest first; `before` is the last one of the page before."""
    now = parts.clock.now()
    async with parts.reads.snapshot() as reads:
        ids = await store.choose(
            reads, organization_id, choice, at=now, before=before, limit=limit
        )
        return await store.glances(reads, ids, at=now)


async def glance_of(parts: Parts, found: ConnectionDetails) -> ConnectionGlance | None:
    """Judge a connection that was found; None if it went away meanwhile."""
    ids = [found.connection.id]
    glances = await store.glances(parts.reads, ids, at=parts.clock.now())
    return glances[0] if glances else None


async def list_open_jobs(parts: Parts, organization_id: UUID) -> list[JobGlance]:
    """List what is under way or queued, over all connections."""
    return await store.open_jobs(parts.reads, organization_id, limit=MOST_OPEN)


async def find_open_job(
    parts: Parts, organization_id: UUID, job_id: UUID
) -> JobGlance | None:
    """Return how this job stands; None if it is over."""
    found = await store.open_jobs(parts.reads, organization_id, limit=1, job_id=job_id)
    return found[0] if found else None


async def list_ended_jobs(
    parts: Parts,
    organization_id: UUID,
    statuses: Sequence[JobStatus],
    *,
    before: int | None,
    limit: int,
) -> list[EndedJob]:
    """List jobs of all connections, newest first; events are kept for some time."""
    return await store.ended_jobs(
        parts.reads, organization_id, statuses, before=before, limit=limit
    )
