"""The ledger as files: every table as one snapshot saw it, and back again.

The queue of the engine is left out: what it carries follows from the ledger, and the
reaper queues it anew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import IsolationLevel, sql

from wellhead.store.locks import INDEX_GATE
from wellhead.store.schema import OPEN_JOB
from wellhead.store.tables import metadata

HEADROOM = 1_000_000
"""So many versions are skipped, whatever was drawn around the snapshot."""
VERSIONS = "version_seq"
_BLOCK = 1 << 18
_OF_THE_DATABASE = ["engine_schema"]  # settings that describe it, not what is in it


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table as it was written."""

    name: str
    columns: list[str]
    rows: int


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """One collection as the snapshot saw it."""

    id: UUID
    readable_id: str
    name: str
    embedding_model_name: str
    vector_size: int
    entities: int
    chunks: int


@contextmanager
def snapshot(url: str, *, pin: Callable[[Sequence[UUID]], None]) -> Iterator["Ledger"]:
    """Open one moment of the ledger.

    `pin` gets its index tables and keeps what they have. Until it returns
    no maintainer deletes, so every chunk of the moment is there; see docs/backup.md.
    """
    with psycopg.connect(
        url, autocommit=True, connect_timeout=10, application_name="wellhead backup"
    ) as connection:
        _prepare(connection)
        connection.execute("SET lock_timeout = '30min'")
        connection.execute("SELECT pg_advisory_lock(%s)", [INDEX_GATE])
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            rows = connection.execute(  # the moment
                "SELECT coalesce(table_id, id) FROM collection"
            )
            pin([row[0] for row in rows])
            connection.execute("SELECT pg_advisory_unlock(%s)", [INDEX_GATE])
            yield Ledger(connection)


def _prepare(connection: psycopg.Connection[Any]) -> None:
    """Read and write alike whatever the server's own settings are."""
    connection.execute("SET client_encoding = 'UTF8'")
    connection.execute("SET timezone = 'UTC'")
    connection.execute("SET datestyle = 'ISO, YMD'")
    connection.execute("SET idle_in_transaction_session_timeout = 0")
    connection.execute("SET statement_timeout = 0")


@dataclass(frozen=True, slots=True)
class Ledger:
    """One moment of the ledger, to be read."""

    connection: psycopg.Connection[Any]

    @property
    def tables(self) -> list[str]:
        """Every table, those first that others point to."""
        return [table.name for table in metadata.sorted_tables]

    def write(self, table: str, to: IO[bytes]) -> TableCopy:
        columns = [column.name for column in metadata.tables[table].columns]
        command = sql.SQL("COPY {} ({}) TO STDOUT").format(*_names(table, columns))
        with self.connection.cursor() as cursor:
            with cursor.copy(command) as copy:
                for block in copy:
                    to.write(block)
            return TableCopy(table, columns, cursor.rowcount)

    def sequences(self) -> dict[str, int]:
        """Return the newest value that each has given; this is no part of the moment.

        What it gave before it may be in the index, so it has to be asked afterwards.
        """
        rows = self.connection.execute(
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
            " AND NOT starts_with(sequencename, 'procrastinate_')"
        )
        return {name: last for name, last in rows}  # noqa: C416  # rows are tuples

    def collections(self) -> list[CollectionFacts]:
        rows = self.connection.execute(
            "SELECT c.id, c.readable_id, c.name, c.embedding_model_name, c.vector_size,"
            " count(e.version), coalesce(sum(e.chunk_count), 0)::bigint"
            " FROM collection c"
            " LEFT JOIN source_connection s"
            "   ON s.collection_id = c.id AND NOT s.is_deleting"
            " LEFT JOIN entity e ON e.connection_id = s.id"
            " WHERE NOT c.is_deleting GROUP BY c.id ORDER BY c.created_at, c.id"
        )
        return [CollectionFacts(*row) for row in rows]

    def moment(self) -> datetime:
        found: datetime = self._one("SELECT now()")
        return found

    def size(self) -> int:
        """Return how many bytes the whole database takes."""
        return int(self._one("SELECT pg_database_size(current_database())"))

    def _one(self, query: LiteralString) -> Any:
        row = self.connection.execute(query).fetchone()
        return None if row is None else row[0]


def load(
    connection: psycopg.Connection[Any],
    tables: Sequence[tuple[TableCopy, Callable[[int], bytes]]],
    sequences: dict[str, int],
) -> None:
    """Fill an empty ledger in the caller's transaction; versions get a headroom."""
    _prepare(connection)
    for table, read in tables:
        names = _names(table.name, table.columns)
        with connection.cursor() as cursor:
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(*names)) as copy:
                while block := read(_BLOCK):
                    copy.write(block)
            if cursor.rowcount != table.rows:
                raise psycopg.DataError(
                    f"{table.name}: {cursor.rowcount} rows of {table.rows}"
                )
            cursor.execute(sql.SQL("ANALYZE {}").format(names[0]))
    connection.execute("DELETE FROM setting WHERE name = ANY(%s)", [_OF_THE_DATABASE])
    for name, last in sequences.items():
        value = last + HEADROOM if name == VERSIONS else last
        found = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
        if found is not None and found[0] is not None:
            connection.execute("SELECT setval(to_regclass(%s), %s)", [name, value])


def _names(table: str, columns: Sequence[str]) -> tuple[sql.Composable, sql.Composable]:
    return sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))


def table_of(connection: psycopg.Connection[Any], collection_id: UUID) -> UUID:
    """Return where the index keeps a collection's chunks."""
    row = connection.execute(
        "SELECT coalesce(table_id, id) FROM collection WHERE id = %s", [collection_id]
    ).fetchone()
    return collection_id if row is None else row[0]


@dataclass(frozen=True, slots=True)
class Compared:
    """What the index has of a collection, next to what the ledger says."""

    lost: int
    """Entities that the index does not have whole; they are to be synced again."""
    unknown: list[int]
    """Versions that the ledger does not know."""


def compare(
    connection: psycopg.Connection[Any],
    collection_id: UUID,
    stored: Sequence[tuple[int, int]],
) -> Compared:
    """Compare versions and their chunks; what is lost will be written anew.

    For a place where nothing runs yet: it takes no locks.
    """
    connection.execute(
        "CREATE TEMP TABLE stored (version bigint PRIMARY KEY, chunks bigint)"
    )
    with connection.cursor().copy("COPY stored FROM STDIN") as copy:
        for row in stored:
            copy.write_row(row)
    connection.execute("ANALYZE stored")
    lost = connection.execute(
        "WITH lost AS (UPDATE entity e"
        "   SET source_version = NULL, content_hash = ''"
        "   FROM source_connection c WHERE c.id = e.connection_id"
        "   AND c.collection_id = %s AND NOT c.is_deleting AND e.chunk_count > 0"
        "   AND NOT EXISTS (SELECT 1 FROM stored s"
        "     WHERE s.version = e.version AND s.chunks = e.chunk_count)"
        "   RETURNING e.connection_id),"
        " again AS (UPDATE source_connection SET needs_full = true"
        "   WHERE id IN (SELECT connection_id FROM lost))"
        " SELECT count(*) FROM lost",
        [collection_id],
    ).fetchone()
    unknown = connection.execute(
        "WITH ours AS (SELECT id FROM source_connection WHERE collection_id = %(id)s)"
        " SELECT version FROM stored"
        " EXCEPT SELECT version FROM entity WHERE connection_id IN (TABLE ours)"
        " EXCEPT SELECT version FROM intent WHERE connection_id IN (TABLE ours)"
        " EXCEPT SELECT version FROM garbage WHERE collection_id = %(id)s",
        {"id": collection_id},
    ).fetchall()
    connection.execute("DROP TABLE stored")
    return Compared(
        lost=0 if lost is None else lost[0], unknown=[row[0] for row in unknown]
    )


def credentials(connection: psycopg.Connection[Any]) -> list[bytes]:
    """Return every stored credential and webhook secret as it is, encrypted."""
    rows = connection.execute(
        "SELECT ciphertext FROM credential UNION ALL SELECT secret FROM subscription"
    )
    return [row[0] for row in rows]


def count_open_jobs(connection: psycopg.Connection[Any]) -> int:
    query = sql.SQL("SELECT count(*) FROM sync_job WHERE {}").format(sql.SQL(OPEN_JOB))
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])
