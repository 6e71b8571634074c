"""The sync jobs of a source connection."""

from uuid import UUID

from fastapi import Request, Response

from wellhead.api.deps import Limit, Reading, Services, Tenant
from wellhead.api.routing import AfterKey, PrefixRouter, link_next
from wellhead.api.schemas.jobs import (
    EntityFailure,
    JobReport,
    SourceConnectionJob,
    lines_json,
)
from wellhead.domain.errors import NotFoundError
from wellhead.domain.jobs import JobStatus
from wellhead.services import failures, runs

router = PrefixRouter(
    prefix="/source-connections/{source_connection_id}/jobs",
    tags=["source-connections"],
)


@router.get("", response_model=list[SourceConnectionJob])
async def list_jobs(
    source_connection_id: UUID,
    reading: Reading,
    request: Request,
    limit: Limit = 100,
    before: UUID | None = None,
    status: JobStatus | None = None,
) -> Response:
    """List sync jobs, newest first; counts are live while a job runs.

    When there may be more, the Link header says where (`before` the last job).
    """
    found = await runs.list_runs(
        *reading, source_connection_id, limit=limit, before=before, status=status
    )
    response = Response(lines_json(found), media_type="application/json")
    if len(found) == limit:
        link_next(request, response, before=str(found[-1].id))
    return response


@router.get("/{job_id}")
async def get_job(
    source_connection_id: UUID, job_id: UUID, parts: Services, tenant: Tenant
) -> JobReport:
    """Return one job, in more detail than lists do."""
    job = await runs.get_run(parts, tenant, job_id)
    if job.connection_id != source_connection_id:
        raise NotFoundError("Sync job not found")
    return JobReport.of(job)


@router.post("/{job_id}/cancel")
async def cancel_job(
    source_connection_id: UUID,
    job_id: UUID,
    parts: Services,
    tenant: Tenant,
    keep_data: bool = False,
) -> SourceConnectionJob:
    """Stop a job; what it inserted is removed unless `keep_data`."""
    job = await runs.cancel_run(
        parts, tenant, source_connection_id, job_id, keep_data=keep_data
    )
    return SourceConnectionJob.of(job)


@router.get("/{job_id}/failures")
async def list_job_failures(
    source_connection_id: UUID,
    job_id: UUID,
    parts: Services,
    tenant: Tenant,
    request: Request,
    response: Response,
    limit: Limit = 100,
    after: AfterKey = None,
) -> list[EntityFailure]:
    """List the entities that a job could not process, with stage and reason.

    When there may be more, the Link header says where (`after` the last key).
    """
    found = await failures.list_failures(
        parts,
        tenant,
        source_connection_id,
        job_id,
        limit=limit,
        after=None if after is None else bytes.fromhex(after),
    )
    if len(found) == limit:
        link_next(request, response, after=found[-1].entity_key.hex())
    return [EntityFailure.of(one) for one in found]
