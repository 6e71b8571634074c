"""Which entities a job could not process, and why."""

from uuid import UUID

from wellhead.domain.errors import NotFoundError
from wellhead.services import runs
from wellhead.services.parts import Parts
from wellhead.store import failures as store
from wellhead.store.failures import JobFailure


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
