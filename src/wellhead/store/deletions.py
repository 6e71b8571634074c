"""Removing connections and collections for good, in steps that may be repeated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store import garbage, rate_limits
from wellhead.store.schema import collection, source_connection


async def doomed_connection(
    connection: AsyncConnection, connection_id: UUID
) -> Row[*tuple[Any, ...]] | None:
    """Return (collection_id, purged_at) of a connection that is being deleted."""
    return (
        await connection.execute(
            select(
                source_connection.c.collection_id, source_connection.c.purged_at
            ).where(
                source_connection.c.id == connection_id,
                source_connection.c.is_deleting,
            )
        )
    ).one_or_none()


async def doomed(connection: AsyncConnection) -> tuple[list[UUID], list[UUID]]:
    """Return connections and collections that are being deleted."""
    connections = await connection.execute(
        select(source_connection.c.id).where(source_connection.c.is_deleting)
    )
    collections = await connection.execute(
        select(collection.c.id).where(collection.c.is_deleting)
    )
    return [row[0] for row in connections], [row[0] for row in collections]


async def purge_page(
    connection: AsyncConnection, connection_id: UUID, *, limit: int
) -> int:
    """Delete up to `limit` entity rows of a connection; returns how many."""
    result = await connection.execute(
        text(
            "DELETE FROM entity WHERE connection_id = :c AND entity_key IN ("
            " SELECT entity_key FROM entity WHERE connection_id = :c"
            " ORDER BY entity_key LIMIT :limit FOR UPDATE)"
        ),
        {"c": connection_id, "limit": limit},
    )
    return int(result.rowcount)


async def mark_purged(
    connection: AsyncConnection, connection_id: UUID, at: datetime
) -> None:
    """The first pass is done; what a paused writer adds later needs a second one."""
    for table in ("intent", "garbage"):
        await connection.execute(
            text(f"DELETE FROM {table} WHERE connection_id = :c"),  # noqa: S608
            {"c": connection_id},
        )
    await connection.execute(
        text("DELETE FROM credential WHERE connection_id = :c"), {"c": connection_id}
    )
    await connection.execute(
        update(source_connection)
        .where(source_connection.c.id == connection_id)
        .values(purged_at=at)
    )


async def remove_connection(connection: AsyncConnection, connection_id: UUID) -> None:
    """Remove the row; jobs, failures and scopes go with it."""
    await connection.execute(
        delete(source_connection).where(source_connection.c.id == connection_id)
    )
    await rate_limits.forget(connection, connection_id)


async def members(
    connection: AsyncConnection, collection_id: UUID
) -> Sequence[tuple[UUID, datetime | None]]:
    """Return (id, purged_at) of every connection that a collection still has."""
    rows = await connection.execute(
        select(source_connection.c.id, source_connection.c.purged_at).where(
            source_connection.c.collection_id == collection_id
        )
    )
    return [(row[0], row[1]) for row in rows]


async def remove_collection(connection: AsyncConnection, collection_id: UUID) -> None:
    await garbage.forget_collection(connection, collection_id)
    await connection.execute(delete(collection).where(collection.c.id == collection_id))
