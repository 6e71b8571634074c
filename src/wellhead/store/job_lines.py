"""Sync jobs as lists show them: a few columns, by index and by the driver alone."""

from typing import Any
from uuid import UUID

from wellhead.domain.jobs import JobLine, JobStatus
from wellhead.store.reading import Reads

_STATUS = {status.value: status for status in JobStatus}
COLUMNS = """
  j.id, j.connection_id, j.status, j.started_at, j.completed_at,
  extract(epoch FROM j.completed_at - j.started_at)::float8,
  j.inserted, j.updated, j.deleted, j.failed,
  CASE WHEN j.status = 'failed' THEN j.error END,
  CASE WHEN j.status = 'failed' THEN j.error_category END,
  j.error_details
"""
# S608: these queries are made of constants
_NEWEST = f"""
SELECT {COLUMNS} FROM sync_job j
WHERE j.connection_id = %(connection)s
  AND EXISTS (
    SELECT FROM source_connection c WHERE c.id = %(connection)s
    AND c.organization_id = %(organization)s AND NOT c.is_deleting)
"""  # noqa: S608
_BEFORE = """
  AND j.sequence < (
    SELECT sequence FROM sync_job
    WHERE id = %(before)s AND connection_id = %(connection)s)
"""
_OF_STATUS = " AND j.status = %(status)s"
_IN_ORDER = " ORDER BY j.sequence DESC LIMIT %(limit)s"


def line(id_: UUID, connection_id: UUID, status: str, *more: Any) -> JobLine:
    return JobLine(id_, connection_id, _STATUS[status], *more)


async def newest(  # keyword options of one query
    reads: Reads,
    organization_id: UUID,
    connection_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    status: JobStatus | None = None,
) -> list[JobLine]:
    """List a connection's jobs, newest first by creation, one indexed query.

    Nothing is listed of a connection that is being deleted or of another organization.
    """
    query = (
        _NEWEST
        + ("" if before is None else _BEFORE)
        + ("" if status is None else _OF_STATUS)
        + _IN_ORDER
    )
    values = {
        "organization": organization_id,
        "connection": connection_id,
        "limit": limit,
        "before": before,
        "status": status and status.value,
    }
    return await reads.fetch(query, values, line)
