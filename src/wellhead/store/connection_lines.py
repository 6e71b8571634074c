"""Source connections as lists and collections show them, by the driver alone."""

from typing import Any
from uuid import UUID

from wellhead.domain.connections import ConnectionLine, Member, connection_status
from wellhead.store.reading import Reads

# S608: these queries are made of constants
LAST_JOB = """
LEFT JOIN LATERAL (
  SELECT status, error_category, earlier_successful FROM sync_job
  WHERE connection_id = c.id ORDER BY sequence DESC LIMIT 1
) AS j ON true
"""
_PAGE = f"""
WITH c AS (
  SELECT c.*, k.readable_id FROM source_connection c
  JOIN collection k ON k.id = c.collection_id
  WHERE c.organization_id = %(organization)s AND NOT c.is_deleting
    AND (%(collection)s::text IS NULL OR k.readable_id = %(collection)s)
  ORDER BY c.created_at DESC, c.id LIMIT %(limit)s OFFSET %(skip)s),
counted AS (
  SELECT e.connection_id, count(*) FROM c JOIN entity e ON e.connection_id = c.id
  LEFT JOIN sync_job j ON j.id = e.inserted_by AND j.rollback = 'pending'
  WHERE j.id IS NULL GROUP BY 1)
SELECT c.id, c.name, c.short_name, c.readable_id, c.created_at, c.modified_at,
  c.is_authenticated, coalesce(counted.count, 0), c.is_federated,
  c.auth_method,
  j.status, j.error_category
FROM c LEFT JOIN counted ON counted.connection_id = c.id {LAST_JOB}
ORDER BY c.created_at DESC, c.id
"""  # noqa: S608
MEMBER_COLUMNS = """
  c.short_name, c.name, c.is_authenticated, j.status, j.error_category,
  c.is_federated OR coalesce(j.earlier_successful > 0
    OR j.status IN ('completed', 'running', 'cancelling'), false)
"""
_MEMBERS = f"""
SELECT {MEMBER_COLUMNS} FROM source_connection c {LAST_JOB}
WHERE c.collection_id = %(collection)s AND NOT c.is_deleting
ORDER BY c.created_at, c.id
"""  # noqa: S608


async def page(
    reads: Reads,
    organization_id: UUID,
    *,
    skip: int,
    limit: int,
    readable_collection_id: str | None,
) -> list[ConnectionLine]:
    """List connections, newest first."""
    values = {
        "organization": organization_id,
        "collection": readable_collection_id,
        "limit": limit,
        "skip": skip,
    }
    return await reads.fetch(_PAGE, values, _line)


async def members(reads: Reads, collection_id: UUID) -> list[Member]:
    """Return the connections of a collection, oldest first."""
    return await reads.fetch(_MEMBERS, {"collection": collection_id}, member)


def _line(*row: Any) -> ConnectionLine:
    *shown, last, category = row
    status = connection_status(
        is_authenticated=shown[6], last_status=last, error_category=category
    )
    return ConnectionLine(*[*shown, status])


def member(short_name: str, name: str, *more: Any) -> Member:
    """Make one of MEMBER_COLUMNS."""
    is_authenticated, last, category, ever_ran = more
    status = connection_status(
        is_authenticated=is_authenticated, last_status=last, error_category=category
    )
    return Member(short_name, name, status, ever_ran)
