"""Changes of the embedder under way: begun, counted, closed, swapped in or given up.

docs/promises.md says why nothing is lost.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.embedding import IndexTable
from wellhead.store import index_tables
from wellhead.store.reading import Reads

WANTED = "embedder"
"""The setting that says whose vectors all collections are to have."""


class Phase(StrEnum):
    """How far a change of the embedder has come."""

    COPYING = "copying"
    """Jobs write to the live table; what they write is copied later."""
    CLOSING = "closing"
    """No job writes: the last of it is copied, compared, and swapped in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reembedding:
    """One collection on its way from a table to the next."""

    collection_id: UUID
    readable_id: str
    live: IndexTable
    next: IndexTable
    phase: Phase
    chunks: int
    copied: int
    error: str | None
    started_at: datetime

    @property
    def percent(self) -> int:
        return 100 * self.copied // self.chunks if self.chunks else 0


_FIND = """
SELECT c.id, c.readable_id, coalesce(c.table_id, c.id), c.embedding_model_name,
  c.vector_size, r.table_id, r.embedding_model_name, r.vector_size, r.phase, r.chunks,
  r.copied, r.error, r.started_at
FROM reembedding r JOIN collection c ON c.id = r.collection_id
WHERE (%(collection)s::uuid IS NULL OR c.id = %(collection)s) AND NOT c.is_deleting
  AND (%(organization)s::uuid IS NULL OR c.organization_id = %(organization)s)
ORDER BY c.created_at, c.id
"""


async def under_way(
    reads: Reads,
    *,
    collection_id: UUID | None = None,
    organization_id: UUID | None = None,
) -> list[Reembedding]:
    """Return those of one collection, of one organization, or all."""
    values = {"collection": collection_id, "organization": organization_id}
    return await reads.fetch(_FIND, values, _reembedding)


async def want(connection: AsyncConnection, model: str, dimension: int) -> None:
    """Say whose vectors all collections are to have: who started last decides."""
    await connection.execute(
        text(
            "INSERT INTO setting (name, value) VALUES (:n, :v)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            " WHERE setting.value <> excluded.value"
        ),
        {"n": WANTED, "v": _spelled(model, dimension)},
    )


async def is_wanted(reads: Reads, model: str, dimension: int) -> bool:
    """Tell whether this embedder is the one that was said last."""
    found = await reads.fetch(
        "SELECT value FROM setting WHERE name = %(n)s", {"n": WANTED}, str
    )
    return found == [_spelled(model, dimension)]


async def concerned(reads: Reads, model: str, dimension: int) -> list[UUID]:
    """Return collections with other vectors than these, or on the way to some."""
    return await reads.fetch(
        """
        SELECT c.id FROM collection c LEFT JOIN reembedding r ON r.collection_id = c.id
        WHERE NOT c.is_deleting AND (r.collection_id IS NOT NULL
          OR (c.embedding_model_name, c.vector_size) <> (%(model)s, %(dimension)s))
        ORDER BY c.created_at, c.id
        """,
        {"model": model, "dimension": dimension},
        _same,
    )


async def begin(
    connection: AsyncConnection, collection_id: UUID, to: IndexTable
) -> bool:
    """Set out for this table, unless that is done; False if there is nowhere to go.

    A table that was being made for another embedder is given up.
    """
    row = await _lock(connection, collection_id)
    if row is None:
        return False
    whose = (to.model, to.dimension)
    if row.next_id is not None and (row.next_model, row.next_size) != whose:
        await connection.execute(
            text("DELETE FROM reembedding WHERE collection_id = :c"),
            {"c": collection_id},
        )
        await index_tables.retire(connection, row.next_id, collection_id)
    if (row.model, row.size) == whose:
        return False
    await connection.execute(
        text(
            "INSERT INTO reembedding (collection_id, table_id, embedding_model_name,"
            " vector_size, phase, started_at, moved_at)"
            " VALUES (:c, :t, :m, :d, 'copying', now(), now())"
            " ON CONFLICT (collection_id) DO NOTHING"
        ),
        {"c": collection_id, "t": to.id, "m": to.model, "d": to.dimension},
    )
    return True


async def count(
    connection: AsyncConnection, collection_id: UUID, *, chunks: int, copied: int
) -> None:
    """Say how much there is, and how much of it is in the next table."""
    await connection.execute(
        text(
            "UPDATE reembedding SET chunks = :n, copied = :k, moved_at = now()"
            " WHERE collection_id = :c"
        ),
        {"c": collection_id, "n": chunks, "k": copied},
    )


async def advance(connection: AsyncConnection, collection_id: UUID, by: int) -> None:
    """Say that so many more chunks are in the next table."""
    await connection.execute(
        text(
            "UPDATE reembedding SET copied = copied + :by, moved_at = now(),"
            " error = NULL WHERE collection_id = :c"
        ),
        {"c": collection_id, "by": by},
    )


async def stumbled(
    connection: AsyncConnection, collection_id: UUID, error: str
) -> None:
    """Say why it does not go on, and let jobs write meanwhile."""
    await connection.execute(
        text(
            "UPDATE reembedding SET error = :e, phase = 'copying'"
            " WHERE collection_id = :c"
        ),
        {"c": collection_id, "e": error},
    )


async def close_door(
    connection: AsyncConnection, collection_id: UUID, next_id: UUID
) -> bool:
    """From this commit on no job commits chunks to the live table, nor begins to.

    Jobs under way lose their fence, as if other workers had claimed them, and nothing
    is held against them; they go on from their checkpoints after the swap. Claims lock
    the connection first, so each is either over by now, or finds the door closed.
    """
    row = await _lock(connection, collection_id)
    if row is None or row.next_id != next_id:
        return False
    of = {"c": collection_id}
    await connection.execute(
        text("UPDATE reembedding SET phase = 'closing' WHERE collection_id = :c"), of
    )
    await connection.execute(
        text(
            "UPDATE source_connection SET fence = fence + 1 WHERE id IN (SELECT id"
            " FROM source_connection WHERE collection_id = :c ORDER BY id"
            " FOR NO KEY UPDATE)"
        ),
        of,
    )
    # a statement of its own: it sees what those committed that were waited for
    await connection.execute(
        text(
            "UPDATE sync_job j SET fence = s.fence, released = true, phase = NULL,"
            " lease_until = now() FROM source_connection s"
            " WHERE s.id = j.connection_id AND s.collection_id = :c"
            " AND j.status IN ('running', 'cancelling')"
        ),
        of,
    )
    return True


async def swap(connection: AsyncConnection, collection_id: UUID, next_id: UUID) -> bool:
    """Make the next table the live one, if the door is still closed for it."""
    row = await _lock(connection, collection_id)
    if row is None or (row.next_id, row.phase) != (next_id, Phase.CLOSING):
        return False
    of = {"c": collection_id}
    await connection.execute(
        text(
            "UPDATE collection SET table_id = r.table_id, maintained_at = NULL,"
            " embedding_model_name = r.embedding_model_name,"
            " vector_size = r.vector_size"
            " FROM reembedding r WHERE r.collection_id = collection.id"
            " AND collection.id = :c"
        ),
        of,
    )
    await connection.execute(
        text("DELETE FROM reembedding WHERE collection_id = :c"), of
    )
    # the files of this table may hold what was erased while it was made
    await connection.execute(
        text(
            "UPDATE expunge SET clean_state = NULL, rewritten_at = NULL"
            " WHERE collection_id = :c"
        ),
        of,
    )
    await index_tables.retire(connection, row.live_id, collection_id)
    return True


async def live_chunks(connection: AsyncConnection, collection_id: UUID) -> int:
    """Count the chunks of every entity that search may show."""
    query = text(
        "SELECT coalesce(sum(e.chunk_count), 0) FROM entity e"
        " JOIN source_connection s ON s.id = e.connection_id"
        " WHERE s.collection_id = :c AND NOT s.is_deleting"
    )
    return int((await connection.execute(query, {"c": collection_id})).scalar_one())


async def _lock(connection: AsyncConnection, collection_id: UUID) -> Any:
    """Lock the collection, before its connections and their jobs; None if it goes."""
    await connection.execute(
        text("SELECT 1 FROM collection WHERE id = :c FOR NO KEY UPDATE"),
        {"c": collection_id},
    )
    rows = await connection.execute(
        text(
            "SELECT coalesce(c.table_id, c.id) AS live_id,"
            " c.embedding_model_name AS model, c.vector_size AS size,"
            " r.table_id AS next_id, r.embedding_model_name AS next_model,"
            " r.vector_size AS next_size, r.phase"
            " FROM collection c LEFT JOIN reembedding r ON r.collection_id = c.id"
            " WHERE c.id = :c AND NOT c.is_deleting"
        ),
        {"c": collection_id},
    )
    return rows.one_or_none()


def _spelled(model: str, dimension: int) -> str:
    return f"{model}/{dimension}"


def _same(id_: UUID) -> UUID:
    return id_


def _reembedding(*row: Any) -> Reembedding:
    return Reembedding(
        collection_id=row[0],
        readable_id=row[1],
        live=IndexTable(*row[2:5]),
        next=IndexTable(*row[5:8]),
        phase=Phase(row[8]),
        chunks=row[9],
        copied=row[10],
        error=row[11],
        started_at=row[12],
    )
