"""Which tables of the index belong to a collection: the live one, the next, others."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.embedding import IndexTable
from wellhead.store.garbage import GRACE_SECONDS, ZOMBIE_SECONDS
from wellhead.store.reading import InTransaction, Reads

_LIVE = """
SELECT coalesce(table_id, id), embedding_model_name, vector_size
FROM collection WHERE id = %(collection)s
"""
PASSES = 2
"""A writer that slept may make a dropped table anew: it is dropped again later."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a job may write, and whether it has to wait: the table is being left."""

    table: IndexTable
    is_closed: bool


async def live(reads: Reads, collection_id: UUID) -> IndexTable | None:
    """Return the table that is searched and written."""
    found = await reads.fetch(_LIVE, {"collection": collection_id}, IndexTable)
    return found[0] if found else None


async def live_id(connection: AsyncConnection, collection_id: UUID) -> UUID:
    """Return the id of the table that is searched and written."""
    found = await live(InTransaction(connection), collection_id)
    return collection_id if found is None else found.id


async def door(connection: AsyncConnection, collection_id: UUID) -> Door:
    """Return where a job of the collection writes.

    The caller has locked the job's connection, which whoever closes the door locks too.
    """
    row = (
        await connection.execute(
            text(
                "SELECT coalesce(c.table_id, c.id), c.embedding_model_name,"
                " c.vector_size, coalesce(r.phase = 'closing', false)"
                " FROM collection c LEFT JOIN reembedding r ON r.collection_id = c.id"
                " WHERE c.id = :id"
            ),
            {"id": collection_id},
        )
    ).one()
    return Door(IndexTable(row[0], row[1], row[2]), is_closed=row[3])


async def all_of(connection: AsyncConnection, collection_id: UUID) -> list[UUID]:
    """Return the live table and the next: what leaves one leaves the other."""
    rows = await connection.execute(
        text(
            "SELECT coalesce(table_id, id), 0 FROM collection WHERE id = :id"
            " UNION ALL SELECT table_id, 1 FROM reembedding WHERE collection_id = :id"
            " ORDER BY 2"
        ),
        {"id": collection_id},
    )
    return [row[0] for row in rows]


async def known(connection: AsyncConnection) -> set[UUID]:
    """Return every table that has an owner, or is yet to be dropped."""
    rows = await connection.execute(
        text(
            "SELECT coalesce(table_id, id) FROM collection"
            " UNION SELECT table_id FROM reembedding"
            " UNION SELECT table_id FROM retired_table"
        )
    )
    return {row[0] for row in rows}


async def retire(
    connection: AsyncConnection, table_id: UUID, collection_id: UUID
) -> None:
    """Let it be dropped once no search can have it open."""
    await connection.execute(
        text(
            "INSERT INTO retired_table (table_id, collection_id, not_before, passes)"
            " VALUES (:t, :c, clock_timestamp() + make_interval(secs => :grace),"
            " :passes) ON CONFLICT DO NOTHING"
        ),
        {"t": table_id, "c": collection_id, "grace": GRACE_SECONDS, "passes": PASSES},
    )


async def due_to_drop(connection: AsyncConnection) -> Sequence[tuple[UUID, UUID]]:
    """Return (table_id, collection_id) of old tables that nobody reads any more."""
    rows = await connection.execute(
        text(
            "SELECT table_id, collection_id FROM retired_table"
            " WHERE not_before <= now() ORDER BY not_before"
        )
    )
    return [(row[0], row[1]) for row in rows]


async def dropped(connection: AsyncConnection, table_id: UUID) -> None:
    """It is gone: forget it, or come again for the second pass."""
    await connection.execute(
        text(
            "WITH done AS (DELETE FROM retired_table"
            "   WHERE table_id = :t AND passes <= 1)"
            " UPDATE retired_table SET passes = passes - 1,"
            " not_before = now() + make_interval(secs => :zombie)"
            " WHERE table_id = :t AND passes > 1"
        ),
        {"t": table_id, "zombie": ZOMBIE_SECONDS},
    )
