"""Entities whose passages were cut otherwise than it is done now."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.reading import Reads

_IS_STALE = """
    e.pipeline_fingerprint NOT LIKE %(same)s AND e.content_hash <> ''
"""
_COUNT = f"""
SELECT s.id, s.organization_id, c.readable_id, s.name, count(*), sum(e.chunk_count)
FROM entity e JOIN source_connection s ON s.id = e.connection_id
JOIN collection c ON c.id = s.collection_id
WHERE NOT s.is_deleting AND {_IS_STALE}
GROUP BY s.id, c.id ORDER BY c.created_at, c.id, s.created_at, s.id
"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class StaleConnection:
    """A connection, and how much of it is to be read and embedded again."""

    connection_id: UUID
    organization_id: UUID
    collection: str
    name: str
    entities: int
    passages: int


async def by_connection(reads: Reads, same: str) -> list[StaleConnection]:
    """Count entities whose fingerprint is not like this one's."""
    return await reads.fetch(_COUNT, {"same": same}, StaleConnection)


async def page(
    connection: AsyncConnection, connection_id: UUID, same: str, *, limit: int
) -> dict[bytes, int]:
    """Return versions by key; those that were made to be written anew are left out."""
    rows = await connection.execute(
        text(
            "SELECT entity_key, version FROM entity WHERE connection_id = :c"
            " AND pipeline_fingerprint NOT LIKE :same AND content_hash <> ''"
            " ORDER BY entity_key LIMIT :limit"
        ),
        {"c": connection_id, "same": same, "limit": limit},
    )
    return {row.entity_key: row.version for row in rows}
