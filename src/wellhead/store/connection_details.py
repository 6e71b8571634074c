"""One source connection with all that is shown of it, by one query."""

from typing import Any
from uuid import UUID

from wellhead.domain.connections import (
    AuthMethod,
    ConnectionDetails,
    RunTotals,
    SourceConnection,
)
from wellhead.domain.jobs import JobLine, JobStatus
from wellhead.store import job_lines
from wellhead.store.reading import Reads

_FIELDS = tuple(SourceConnection.__dataclass_fields__)
_COLUMNS = ", ".join(f"c.{name}" for name in _FIELDS)
# S608: this query is made of constants
_DETAILS = f"""
SELECT {_COLUMNS},
  types.names, types.counts, types.newest, held.scopes, held.counts,
  j.earlier_runs, j.earlier_successful, j.earlier_failed, {job_lines.COLUMNS}
FROM (
  SELECT one.*, k.readable_id AS readable_collection_id
  FROM source_connection one JOIN collection k ON k.id = one.collection_id
  WHERE one.id = %(connection)s AND one.organization_id = %(organization)s
    AND NOT one.is_deleting
) AS c
LEFT JOIN LATERAL (
  SELECT * FROM sync_job WHERE connection_id = c.id ORDER BY sequence DESC LIMIT 1
) AS j ON true
CROSS JOIN LATERAL (
  SELECT array_agg(type) AS names, array_agg(count) AS counts, array_agg(max) AS newest
  FROM (
    SELECT e.type, count(*), max(e.committed_at) FROM entity e
    LEFT JOIN sync_job i ON i.id = e.inserted_by AND i.rollback = 'pending'
    WHERE e.connection_id = c.id AND i.id IS NULL GROUP BY 1 ORDER BY 1) AS t
) AS types
CROSS JOIN LATERAL (
  SELECT array_agg(scope) AS scopes, array_agg(count) AS counts
  FROM (
    SELECT h.scope, count(*) FROM scope_hold h
    JOIN entity e ON e.connection_id = h.connection_id AND e.scope = h.scope
      AND e.seen_generation < h.generation
    WHERE h.connection_id = c.id GROUP BY 1 ORDER BY 1) AS t
) AS held
"""  # noqa: S608


async def find(
    reads: Reads, organization_id: UUID, connection_id: UUID
) -> ConnectionDetails | None:
    """Find what its organization may see: not what is being deleted."""
    values = {"connection": connection_id, "organization": organization_id}
    found = await reads.fetch(_DETAILS, values, _details)
    return found[0] if found else None


def _details(*row: Any) -> ConnectionDetails:
    values = dict(zip(_FIELDS, row, strict=False))
    values["auth_method"] = AuthMethod(values["auth_method"])
    types, counts, newest, scopes, held, *job = row[len(_FIELDS) :]
    earlier, line = job[:3], job[3:]
    last = None if line[0] is None else job_lines.line(*line)
    return ConnectionDetails(
        connection=SourceConnection(**values),
        last_job=last,
        totals=_totals(last, *earlier),
        entity_types=dict(
            zip(types or (), zip(counts or (), newest or (), strict=True), strict=True)
        ),
        deletes_held=dict(zip(scopes or (), held or (), strict=True)),
    )


def _totals(last: JobLine | None, runs: int, successful: int, failed: int) -> RunTotals:
    """Count the last job, too: it knows those before it."""
    if last is None:
        return RunTotals(total=0, successful=0, failed=0)
    return RunTotals(
        total=runs + 1,
        successful=successful + (last.status is JobStatus.COMPLETED),
        failed=failed + (last.status is JobStatus.FAILED),
    )
