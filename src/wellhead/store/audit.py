"""The ledger compared with a list of what the index holds, set against set."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from wellhead.domain.chunks import StoredVersion
from wellhead.domain.entities import Access
from wellhead.store.database import raw
from wellhead.store.schema import OPEN_JOB

OVERDUE = timedelta(minutes=5)
"""Garbage is flushed every few seconds where a worker lives."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A live version as the ledger has it."""

    connection_id: UUID
    entity_key: bytes
    version: int
    chunk_count: int
    inserted_by: UUID | None


@asynccontextmanager
async def session(db: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection with tables of its own to put what the index holds in.

    Each statement is a transaction: a snapshot of its own, and nothing is locked while
    the index is read.
    """
    async with db.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(
            text(
                "CREATE TEMP TABLE stored (version bigint, connection_id uuid,"
                " entity_key bytea, inserted_by uuid, chunks int, ordinals int,"
                " highest int, is_uniform boolean)"
            )
        )
        try:
            yield connection
        finally:
            for table in ("stored", "suspect", "stray"):
                await connection.execute(text(f"DROP TABLE IF EXISTS pg_temp.{table}"))


async def load(connection: AsyncConnection, found: Iterable[StoredVersion]) -> None:
    """Add what was found in the index to the list."""
    driver = await raw(connection)
    async with (
        driver.cursor() as cursor,
        cursor.copy("COPY pg_temp.stored FROM STDIN") as copy,
    ):
        for one in found:
            await copy.write_row(
                (
                    one.version,
                    one.connection_id,
                    one.entity_key,
                    one.inserted_by,
                    one.chunks,
                    one.ordinals,
                    one.highest,
                    one.is_uniform,
                )
            )


# a version that waits to be written anew keeps its doubled chunks until then
_SUSPECT = """
    CREATE TEMP TABLE suspect AS
    SELECT e.connection_id, e.entity_key, e.version, e.chunk_count, e.inserted_by
    FROM entity e JOIN source_connection c ON c.id = e.connection_id
    LEFT JOIN pg_temp.stored s ON s.version = e.version
    WHERE c.collection_id = CAST(:collection_id AS uuid) AND NOT c.is_deleting
      AND ( coalesce(s.ordinals, 0) <> e.chunk_count
         OR s.highest <> e.chunk_count - 1
         OR NOT s.is_uniform
         OR s.connection_id <> e.connection_id
         OR s.entity_key <> e.entity_key
         OR e.content_hash <> '' AND s.version IS NOT NULL
            AND (s.chunks <> s.ordinals
                 OR s.inserted_by IS DISTINCT FROM e.inserted_by))
"""

_IS_KNOWN = """
    EXISTS (
      SELECT FROM entity e JOIN source_connection c ON c.id = e.connection_id
      WHERE e.version = s.version AND c.collection_id = CAST(:collection_id AS uuid))
    OR EXISTS (SELECT FROM intent i WHERE i.version = s.version)
    OR EXISTS (SELECT FROM garbage g WHERE g.version = s.version
               AND g.collection_id = CAST(:collection_id AS uuid))
    OR EXISTS (SELECT FROM source_connection d
               WHERE d.id = s.connection_id AND d.is_deleting)
"""

_STRAY = f"""
    CREATE TEMP TABLE stray AS
    SELECT s.version FROM pg_temp.stored s WHERE NOT ({_IS_KNOWN})
"""  # noqa: S608  # made of constants


async def compare(
    connection: AsyncConnection, collection_id: UUID
) -> tuple[int, int, int]:
    """Set ledger against list: how many entities there are, suspects, and strays.

    The list was read first. So what was committed since is a suspect only until the
    index is asked again, and what was thrown away since is still garbage, or gone.
    """
    parameters = {"collection_id": collection_id}
    await connection.execute(text("ANALYZE pg_temp.stored"))
    await connection.execute(text(_SUSPECT), parameters)
    await connection.execute(text(_STRAY), parameters)
    row = (
        await connection.execute(
            text(
                "SELECT (SELECT count(*) FROM entity e JOIN source_connection c"
                "   ON c.id = e.connection_id WHERE c.collection_id = :collection_id),"
                " (SELECT count(*) FROM pg_temp.suspect),"
                " (SELECT count(*) FROM pg_temp.stray)"
            ),
            parameters,
        )
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


async def suspects(
    connection: AsyncConnection, *, after: int, limit: int
) -> list[Committed]:
    """Page through suspects by version."""
    rows = await connection.execute(
        text(
            "SELECT * FROM pg_temp.suspect WHERE version > :after"
            " ORDER BY version LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [Committed(*row) for row in rows]


async def strays(connection: AsyncConnection, *, after: int, limit: int) -> list[int]:
    """Page through versions that the ledger knows nothing of."""
    rows = await connection.execute(
        text(
            "SELECT version FROM pg_temp.stray WHERE version > :after"
            " ORDER BY version LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [int(row.version) for row in rows]


async def half_there(
    connection: AsyncConnection, *, after: int, limit: int
) -> list[int]:
    """Page through suspects of which the index has something."""
    rows = await connection.execute(
        text(
            "SELECT version FROM pg_temp.suspect WHERE version > :after AND EXISTS"
            " (SELECT FROM pg_temp.stored s WHERE s.version = suspect.version)"
            " ORDER BY version LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return [int(row.version) for row in rows]


async def suspected_chunks(connection: AsyncConnection) -> int:
    """Count the chunks that suspects are to have."""
    query = text("SELECT coalesce(sum(chunk_count), 0) FROM pg_temp.suspect")
    return int((await connection.execute(query)).scalar_one())


async def access_of(
    connection: AsyncConnection, wanted: Iterable[Committed]
) -> dict[int, Access]:
    """Return who may see those that are still committed, by version."""
    asked = list(wanted)
    live = await still_committed(connection, asked)
    rows = await connection.execute(
        text(
            "SELECT e.version, e.meta -> 'viewers' AS viewers,"
            " CAST(e.meta ->> 'is_public' AS boolean) AS is_public"
            " FROM entity e JOIN unnest(CAST(:c AS uuid[]), CAST(:k AS bytea[]))"
            " AS t(c, k) ON e.connection_id = t.c AND e.entity_key = t.k"
        ),
        {
            "c": [one.connection_id for one in asked],
            "k": [one.entity_key for one in asked],
        },
    )
    return {
        int(row.version): Access(
            None if row.viewers is None else tuple(row.viewers), row.is_public
        )
        for row in rows
        if row.version in live
    }


async def still_committed(
    connection: AsyncConnection, wanted: Iterable[Committed]
) -> set[int]:
    """Return those versions that are still live, of connections not being deleted."""
    asked = list(wanted)
    rows = await connection.execute(
        text(
            "SELECT e.version FROM entity e JOIN unnest(CAST(:c AS uuid[]),"
            " CAST(:k AS bytea[]), CAST(:v AS bigint[])) AS t(c, k, v)"
            " ON e.connection_id = t.c AND e.entity_key = t.k AND e.version = t.v"
            " JOIN source_connection s ON s.id = e.connection_id"
            " WHERE NOT s.is_deleting"
        ),
        {
            "c": [one.connection_id for one in asked],
            "k": [one.entity_key for one in asked],
            "v": [one.version for one in asked],
        },
    )
    return {int(row.version) for row in rows}


async def has_chunks(connection: AsyncConnection, collection_id: UUID) -> bool:
    """Tell whether anything of the collection has to be in the index."""
    query = text(
        "SELECT EXISTS (SELECT FROM entity e JOIN source_connection c"
        " ON c.id = e.connection_id WHERE c.collection_id = :id"
        " AND NOT c.is_deleting AND e.chunk_count > 0)"
    )
    return bool(await connection.scalar(query, {"id": collection_id}))


async def count_waiting(connection: AsyncConnection, collection_id: UUID) -> int:
    """Count entities that the next job writes anew."""
    query = text(
        "SELECT count(*) FROM entity e JOIN source_connection c"
        " ON c.id = e.connection_id WHERE c.collection_id = :id"
        " AND NOT c.is_deleting AND e.content_hash = ''"
    )
    return int((await connection.execute(query, {"id": collection_id})).scalar_one())


async def to_run(connection: AsyncConnection) -> list[UUID]:
    """Return connections that have entities to write anew and no open job."""
    rows = await connection.execute(
        text(
            "SELECT c.id FROM source_connection c WHERE c.needs_full"  # noqa: S608
            " AND NOT c.is_deleting AND EXISTS (SELECT FROM entity e"
            "   WHERE e.connection_id = c.id AND e.content_hash = '')"
            " AND NOT EXISTS (SELECT FROM sync_job j WHERE j.connection_id = c.id"
            f"   AND j.{OPEN_JOB}) ORDER BY c.created_at"
        )
    )
    return [row.id for row in rows]


async def highest_stored(connection: AsyncConnection) -> int:
    query = text("SELECT coalesce(max(version), 0) FROM pg_temp.stored")
    return int((await connection.execute(query)).scalar_one())


async def all_collections(connection: AsyncConnection) -> list[Row[Any]]:
    """Return (id, readable_id, is_deleting) of every collection."""
    return list(
        await connection.execute(
            text("SELECT id, readable_id, is_deleting FROM collection ORDER BY id")
        )
    )


async def raise_version_sequence(
    connection: AsyncConnection, highest: int, *, repair: bool
) -> int:
    """Never draw a version again that exists; returns by how much it was behind."""
    if repair:  # nobody draws while this is locked
        await connection.execute(text("ALTER SEQUENCE version_seq MINVALUE 1"))
    row = (
        await connection.execute(
            text(
                "SELECT greatest(:highest, (SELECT max(version) FROM entity),"
                " (SELECT max(version) FROM intent),"
                " (SELECT max(version) FROM garbage)) AS highest,"
                " (SELECT last_value FROM version_seq) AS last"
            ),
            {"highest": highest},
        )
    ).one()
    behind = max(0, int(row.highest) - int(row.last))
    if behind and repair:
        await connection.execute(
            text("SELECT setval('version_seq', :highest)"), {"highest": row.highest}
        )
    return behind


async def deny_live(connection: AsyncConnection, *, repair: bool) -> int:
    """Take live versions off the lists of what is to be thrown away."""
    found = 0
    for table in ("garbage", "intent"):
        which = (
            f"FROM {table} d WHERE EXISTS"
            " (SELECT FROM entity e WHERE e.version = d.version)"
        )
        found += await _count_or_delete(connection, which, repair=repair)
    return found


async def drop_ownerless(connection: AsyncConnection, *, repair: bool) -> int:
    """Remove rows of connections and collections that no longer exist."""
    found = 0
    for table in ("entity", "intent"):
        which = (
            f"FROM {table} d WHERE NOT EXISTS"
            " (SELECT FROM source_connection c WHERE c.id = d.connection_id)"
        )
        found += await _count_or_delete(connection, which, repair=repair)
    which = (
        "FROM garbage d WHERE NOT EXISTS"
        " (SELECT FROM collection c WHERE c.id = d.collection_id)"
    )
    return found + await _count_or_delete(connection, which, repair=repair)


async def _count_or_delete(
    connection: AsyncConnection, which: str, *, repair: bool
) -> int:
    if repair:
        return int((await connection.execute(text(f"DELETE {which}"))).rowcount)
    query = text(f"SELECT count(*) {which}")  # made of constants
    return int((await connection.execute(query)).scalar_one())


async def count_overdue(connection: AsyncConnection) -> int:
    """Count versions that ought to have left the index by now."""
    query = text("SELECT count(*) FROM garbage WHERE not_before < now() - :overdue")
    parameters = {"overdue": OVERDUE}
    return int((await connection.execute(query, parameters)).scalar_one())


async def stranded_intents(connection: AsyncConnection) -> list[Row[Any]]:
    """Return (connection_id, collection_id, intents) where no job is open to end it."""
    return list(
        await connection.execute(
            text(
                "SELECT i.connection_id, c.collection_id, count(*) AS intents"  # noqa: S608
                " FROM intent i JOIN source_connection c ON c.id = i.connection_id"
                " WHERE NOT c.is_deleting AND NOT EXISTS (SELECT FROM sync_job j"
                f"   WHERE j.connection_id = c.id AND j.{OPEN_JOB})"
                " GROUP BY 1, 2 ORDER BY 1"
            )
        )
    )
