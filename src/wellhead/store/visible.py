"""What of a collection a search may show, as one snapshot of the ledger sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wellhead.domain.principals import Principal
from wellhead.store.may_see import MAY_SEE, values_of
from wellhead.store.reading import Reads

EntityId = tuple[UUID, bytes]
"""A connection and the key of an entity within it."""


@dataclass(frozen=True, slots=True)
class VisibleEntity:
    """What the ledger knows of a live entity; `meta` as the pipeline wrote it."""

    source_name: str
    type: str
    source_id: str
    updated_by: UUID
    meta: Mapping[str, Any]


_HIDDEN = """
SELECT (
         SELECT coalesce(table_id, id) FROM collection WHERE id = %(collection)s
       ),
       ARRAY(
         SELECT id FROM source_connection
         WHERE collection_id = %(collection)s AND is_deleting
       ),
       ARRAY(
         SELECT job.id
         FROM sync_job job JOIN source_connection s ON s.id = job.connection_id
         WHERE s.collection_id = %(collection)s AND job.rollback = 'pending'
       )
"""
# binary arrays: hundreds of keys cost more to write as text than to look up
_WANTED = """
FROM unnest(%(connections)b::uuid[], %(keys)b::bytea[])
       AS wanted (connection_id, entity_key)
JOIN entity e USING (connection_id, entity_key)
JOIN source_connection s ON s.id = e.connection_id
"""
# S608: made of constants
_VERIFIED = f"""
SELECT e.connection_id, e.entity_key, e.version {_WANTED}
JOIN collection c ON c.id = s.collection_id
WHERE s.collection_id = %(collection)s
  AND NOT c.is_deleting
  AND NOT s.is_deleting
  AND NOT EXISTS (
    SELECT FROM sync_job job
    WHERE job.id = e.inserted_by AND job.rollback = 'pending'
  )
  AND {MAY_SEE}
"""  # noqa: S608
_DESCRIBED = f"""
SELECT e.connection_id, e.entity_key, s.short_name, e.type, e.source_id,
       e.updated_by, e.meta {_WANTED}
"""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Which table is searched, if there is one, and what of it is not shown."""

    table_id: UUID | None
    connections: list[UUID]
    """Those being deleted."""
    jobs: list[UUID]
    """Those being rolled back."""


async def horizon(reads: Reads, collection_id: UUID) -> Horizon:
    """Return where this snapshot finds the collection's chunks, and which it hides."""
    [found] = await reads.fetch(_HIDDEN, {"collection": collection_id}, Horizon)
    return found


async def verified_versions(
    reads: Reads,
    collection_id: UUID,
    wanted: Iterable[EntityId],
    *,
    principal: Principal | None,
) -> dict[EntityId, int]:
    """Return the live version of each wanted entity that the principal may see.

    An entity is absent if it is unknown, of another collection, of a connection or
    collection being deleted, or was inserted by a job being rolled back.
    """
    values = {**_arrays(wanted), **values_of(principal), "collection": collection_id}
    return dict(await reads.fetch(_VERIFIED, values, _version))


async def visible_entities(
    reads: Reads, wanted: Iterable[EntityId]
) -> dict[EntityId, VisibleEntity]:
    """Return what is known of entities that were verified in the same snapshot."""
    return dict(await reads.fetch(_DESCRIBED, _arrays(wanted), _described))


def _version(
    connection_id: UUID, entity_key: bytes, version: int
) -> tuple[EntityId, int]:
    return (connection_id, entity_key), version


def _described(
    connection_id: UUID, entity_key: bytes, *more: Any
) -> tuple[EntityId, VisibleEntity]:
    return (connection_id, entity_key), VisibleEntity(*more)


def _arrays(wanted: Iterable[EntityId]) -> dict[str, list[UUID] | list[bytes]]:
    ids = list(wanted)
    return {
        "connections": [connection_id for connection_id, _ in ids],
        "keys": [entity_key for _, entity_key in ids],
    }
