"""One live entity as the ledger knows it, found by its public names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wellhead.domain.entities import EntityName, entity_key
from wellhead.domain.principals import Principal
from wellhead.store.may_see import MAY_SEE, values_of
from wellhead.store.reading import Reads

_LIVE = f"""
SELECT coalesce(c.table_id, c.id), e.version, e.chunk_count, s.short_name, e.meta
FROM collection c
JOIN source_connection s ON s.collection_id = c.id
JOIN entity e ON e.connection_id = s.id
WHERE c.organization_id = %(organization)s AND c.readable_id = %(readable_id)s
  AND s.id = %(connection)s
  AND NOT c.is_deleting AND NOT s.is_deleting
  AND NOT EXISTS (
    SELECT FROM sync_job job
    WHERE job.id = e.inserted_by AND job.rollback = 'pending'
  )
  AND {MAY_SEE}
"""  # noqa: S608  # made of constants
_BY_KEY = f"{_LIVE} AND e.entity_key = %(key)b"
_BY_ID = f"{_LIVE} AND e.type = %(type)s AND e.source_id = %(id)s"
_ESCAPED = "\\{"
"""In what is stored of an id that PostgreSQL does not take; its key is another's."""


@dataclass(frozen=True, slots=True)
class EntityLine:
    """What is needed to read and to name it; `meta` as the pipeline wrote it."""

    table_id: UUID
    version: int
    chunk_count: int
    source_name: str
    meta: Mapping[str, Any]


async def find(
    reads: Reads,
    organization_id: UUID,
    entity: EntityName,
    principal: Principal | None,
) -> EntityLine | None:
    """Find what searches for this principal may show."""
    ident = (entity.entity_type, entity.entity_id)
    values = {
        **values_of(principal),
        "organization": organization_id,
        "readable_id": entity.readable_id,
        "connection": entity.connection_id,
        "key": entity_key(*ident),
        "type": ident[0],
        "id": ident[1],
    }
    found = await reads.fetch(_BY_KEY, values, EntityLine)
    if not found and any(_ESCAPED in part for part in ident):
        found = await reads.fetch(_BY_ID, values, EntityLine)
    return found[0] if found else None
