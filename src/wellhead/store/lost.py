"""Committed entities whose chunks the index has lost: made to be synced again."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store import connections, cursors, garbage
from wellhead.store.locks import Lock

_FORGET = text(
    """
    UPDATE entity e SET source_version = NULL, content_hash = '',
      version = CASE WHEN :hides THEN nextval('version_seq') ELSE e.version END,
      chunk_count = CASE WHEN :hides THEN 0 ELSE e.chunk_count END
    FROM (
      SELECT one.entity_key, one.version FROM entity one
      JOIN unnest(CAST(:keys AS bytea[]), CAST(:versions AS bigint[])) AS t(k, v)
        ON one.entity_key = t.k AND one.version = t.v
      WHERE one.connection_id = :c ORDER BY one.entity_key FOR UPDATE OF one
    ) AS was
    WHERE e.connection_id = :c AND e.entity_key = was.entity_key
    RETURNING was.entity_key, was.version
    """
)


async def forget(
    connection: AsyncConnection,
    connection_id: UUID,
    lost: Mapping[bytes, int],
    *,
    hides: bool = True,
) -> int:
    """Make the next job of a connection write these entities anew; returns how many.

    `lost` are versions by key; who has moved on since is left alone. They take a new
    version without chunks, so that nothing half of them is shown and what is left of
    the old one becomes garbage; not so without `hides`, where all of them is there.
    """
    owner = await connections.get(connection, connection_id, lock=Lock.CHANGE)
    if owner is None or await _is_deleting(connection, connection_id):
        return 0
    rows = (
        await connection.execute(
            _FORGET,
            {
                "c": connection_id,
                "keys": list(lost),
                "versions": list(lost.values()),
                "hides": hides,
            },
        )
    ).all()
    if not rows:
        return 0
    await connection.execute(
        # else a standing failure of the newest content would never be looked at
        text(
            "UPDATE failure SET source_version = NULL WHERE connection_id = :c"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"c": connection_id, "keys": [row.entity_key for row in rows]},
    )
    if hides:
        await garbage.discard(
            connection,
            owner.collection_id,
            connection_id,
            [row.version for row in rows],
        )
    await cursors.require_full(connection, connection_id)
    return len(rows)


async def _is_deleting(connection: AsyncConnection, connection_id: UUID) -> bool:
    return bool(
        await connection.scalar(
            text("SELECT is_deleting FROM source_connection WHERE id = :c"),
            {"c": connection_id},
        )
    )
