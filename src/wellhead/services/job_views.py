"""One job with everything that helps to understand it, and how a collection grew."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from wellhead.domain.connections import ConnectionDetails
from wellhead.domain.glances import Growth, JobGlance, TimelineEvent
from wellhead.domain.jobs import SyncJob
from wellhead.services import collections, connections, overview, runs
from wellhead.services.parts import Parts
from wellhead.store import failures as failures_store
from wellhead.store import job_view as store
from wellhead.store.failures import JobFailure
from wellhead.store.scopes import ScopeRun

MOST_FAILURES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as its page shows it at one moment."""

    job: SyncJob
    glance: JobGlance | None
    """What moves; None once it is over."""
    scopes: Sequence[ScopeRun]
    timeline: Sequence[TimelineEvent]
    failures: Sequence[JobFailure]
    """The first ones."""


async def view_job(parts: Parts, organization_id: UUID, job_id: UUID) -> JobView:
    """Return a job with its listing, its timeline and its first failures."""
    job = await runs.get_run(parts, organization_id, job_id)
    async with parts.db.connect() as connection:
        failures = (
            await failures_store.page(
                connection, job_id, limit=MOST_FAILURES, after=None
            )
            if job.counts.failed
            else []
        )
    return JobView(
        job=job,
        glance=await overview.find_open_job(parts, organization_id, job_id),
        scopes=await store.scopes(parts.reads, job_id) if job.is_open else (),
        timeline=await store.timeline(parts.reads, job),
        failures=failures,
    )


async def connection_of(
    parts: Parts, organization_id: UUID, job: SyncJob
) -> ConnectionDetails:
    return await connections.get_connection(parts, organization_id, job.connection_id)


async def growth_of(
    parts: Parts, organization_id: UUID, readable_id: str
) -> list[Growth]:
    """Count what is in a collection by type and by the day on which it came."""
    collection_id = await collections.find_collection_id(
        parts, organization_id, readable_id
    )
    return await store.growth(parts.reads, organization_id, collection_id)
