"""What of a collection a search may show, as one snapshot of the ledger sees it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

EntityId = tuple[UUID, bytes]
"""A connection and the key of an entity within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleEntity:
    """What the ledger knows of a live entity; `meta` as the pipeline wrote it."""

    source_name: str
    type: str
    source_id: str
    updated_by: UUID
    meta: Mapping[str, Any]


_HIDDEN = text(
    """
    SELECT ARRAY(
             SELECT id FROM source_connection
             WHERE collection_id = :collection_id AND is_deleting
           ),
           ARRAY(
             SELECT job.id
             FROM sync_job job JOIN source_connection s ON s.id = job.connection_id
             WHERE s.collection_id = :collection_id AND job.rollback = 'pending'
           )
    """
)

_WANTED = """
    FROM unnest(CAST(:connection_ids AS uuid[]), CAST(:entity_keys AS bytea[]))
           AS wanted (connection_id, entity_key)
    JOIN entity e USING (connection_id, entity_key)
    JOIN source_connection s ON s.id = e.connection_id
"""

_VERIFIED = text(
    f"""
    SELECT e.connection_id, e.entity_key, e.version {_WANTED}
    JOIN collection c ON c.id = s.collection_id
    WHERE s.collection_id = :collection_id
      AND NOT c.is_deleting
      AND NOT s.is_deleting
      AND NOT EXISTS (
        SELECT FROM sync_job job
        WHERE job.id = e.inserted_by AND job.rollback = 'pending'
      )
      AND (
        CAST(:viewer AS text) IS NULL
        OR e.meta -> 'is_public' = CAST('true' AS jsonb)
        OR e.meta -> 'viewers' @> to_jsonb(CAST(:viewer AS text))
      )
    """  # noqa: S608  # made of constants
)

_DESCRIBED = text(
    f"""
    SELECT e.connection_id, e.entity_key, s.short_name, e.type, e.source_id,
           e.updated_by, e.meta {_WANTED}
    """  # made of constants
)


async def hidden(
    connection: AsyncConnection, collection_id: UUID
) -> tuple[list[UUID], list[UUID]]:
    """Return the connections being deleted and the jobs being rolled back."""
    found = await connection.execute(_HIDDEN, {"collection_id": collection_id})
    connections, jobs = found.one()
    return list(connections), list(jobs)


async def verified_versions(
    connection: AsyncConnection,
    collection_id: UUID,
    wanted: Iterable[EntityId],
    *,
    viewer: str | None,
) -> dict[EntityId, int]:
    """Return the live version of each wanted entity that the viewer may see.

    An entity is absent if it is unknown, of another collection, of a connection or
    collection being deleted, or was inserted by a job being rolled back.
    """
    found = await connection.execute(
        _VERIFIED,
        {**_arrays(wanted), "collection_id": collection_id, "viewer": viewer},
    )
    return {(row[0], row[1]): row[2] for row in found}


async def visible_entities(
    connection: AsyncConnection, wanted: Iterable[EntityId]
) -> dict[EntityId, VisibleEntity]:
    """Return what is known of entities that were verified in the same snapshot."""
    found = await connection.execute(_DESCRIBED, _arrays(wanted))
    return {
        (row.connection_id, row.entity_key): VisibleEntity(
            source_name=row.short_name,
            type=row.type,
            source_id=row.source_id,
            updated_by=row.updated_by,
            meta=row.meta,
        )
        for row in found
    }


def _arrays(wanted: Iterable[EntityId]) -> dict[str, list[UUID] | list[bytes]]:
    ids = list(wanted)
    return {
        "connection_ids": [connection_id for connection_id, _ in ids],
        "entity_keys": [entity_key for _, entity_key in ids],
    }
