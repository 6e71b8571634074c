"""Versions that must leave the index, and when (sync protocol, section 4)."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

GRACE_SECONDS = 60
"""Longer than any search may take, so a version live in a snapshot is in the index."""
ZOMBIE_SECONDS = 15 * 60
"""After this a paused writer's late append is collected by a second pass."""


async def discard(
    connection: AsyncConnection,
    collection_id: UUID,
    connection_id: UUID,
    versions: Collection[int],
    *,
    passes: int = 1,
) -> None:
    """Hand versions to the maintainer; two passes for appends that may come late."""
    await connection.execute(
        text(
            "INSERT INTO garbage"
            " (version, collection_id, connection_id, not_before, passes)"
            " SELECT v, :collection_id, :connection_id,"
            " clock_timestamp() + make_interval(secs => :grace), :passes"
            " FROM unnest(CAST(:versions AS bigint[])) AS v"
            " ON CONFLICT (version) DO UPDATE SET"
            " passes = greatest(garbage.passes, excluded.passes)"
        ),
        {
            "collection_id": collection_id,
            "connection_id": connection_id,
            "versions": list(versions),
            "grace": GRACE_SECONDS,
            "passes": passes,
        },
    )


async def discard_intents(
    connection: AsyncConnection,
    collection_id: UUID,
    connection_id: UUID,
    *,
    versions: Collection[int] | None = None,
    passes: int = 2,
) -> int:
    """Turn intents (all of the connection, or these) into garbage; returns how many.

    They may hold what was erased meanwhile, so then they have to leave the disk too.
    """
    rows = await connection.execute(
        text(
            "DELETE FROM intent WHERE connection_id = :connection_id"
            " AND (CAST(:versions AS bigint[]) IS NULL"
            "      OR version = ANY(CAST(:versions AS bigint[])))"
            " RETURNING version"
        ),
        {
            "connection_id": connection_id,
            "versions": None if versions is None else list(versions),
        },
    )
    found = [int(row[0]) for row in rows]
    if found:
        await discard(connection, collection_id, connection_id, found, passes=passes)
        await connection.execute(
            text(
                "INSERT INTO expunge (version, collection_id)"
                " SELECT v, :collection_id"
                " FROM unnest(CAST(:versions AS bigint[])) AS v"
                " WHERE EXISTS (SELECT FROM tombstone WHERE connection_id = :c)"
                " ON CONFLICT DO NOTHING"
            ),
            {"collection_id": collection_id, "c": connection_id, "versions": found},
        )
    return len(found)


async def due_collections(connection: AsyncConnection) -> Sequence[UUID]:
    """Return collections with garbage whose time has come."""
    rows = await connection.execute(
        text("SELECT DISTINCT collection_id FROM garbage WHERE not_before <= now()")
    )
    return [row[0] for row in rows]


async def due_versions(
    connection: AsyncConnection, collection_id: UUID, *, limit: int
) -> list[int]:
    """Return versions of the collection to delete now."""
    rows = await connection.execute(
        text(
            "SELECT version FROM garbage WHERE collection_id = :collection_id"
            " AND not_before <= now() ORDER BY version LIMIT :limit"
        ),
        {"collection_id": collection_id, "limit": limit},
    )
    return [int(row[0]) for row in rows]


async def flushed(connection: AsyncConnection, versions: Collection[int]) -> None:
    """The index no longer has them: forget, or come again for the second pass."""
    await connection.execute(
        text(
            "WITH done AS (DELETE FROM garbage WHERE passes <= 1"
            " AND version = ANY(CAST(:versions AS bigint[])))"
            " UPDATE garbage SET passes = passes - 1,"
            " not_before = now() + make_interval(secs => :zombie)"
            " WHERE passes > 1 AND version = ANY(CAST(:versions AS bigint[]))"
        ),
        {"versions": list(versions), "zombie": ZOMBIE_SECONDS},
    )


async def forget_collection(connection: AsyncConnection, collection_id: UUID) -> None:
    """The whole table is gone, its garbage with it."""
    await connection.execute(
        text("DELETE FROM garbage WHERE collection_id = :id"), {"id": collection_id}
    )
