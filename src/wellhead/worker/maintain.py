"""The maintainer: deletes garbage from the index and keeps its tables small."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from wellhead.services.parts import Parts
from wellhead.store import garbage, index_tables
from wellhead.store.locks import INDEX_GATE
from wellhead.store.schema import collection

GROUP = 10_000
MAINTAIN_EVERY = timedelta(seconds=15)
"""Unindexed rows are searched slowly; with nothing to do it costs next to nothing."""
MAINTAIN_AFTER = timedelta(minutes=5)
"""A table that grows is left alone; so it is looked at for a while after it grew."""

_CHANGED = """
    SELECT c.id FROM collection c WHERE NOT c.is_deleting AND EXISTS (
      SELECT FROM source_connection s JOIN sync_job j ON j.connection_id = s.id
      WHERE s.collection_id = c.id
      AND j.progress_at + %(after)s > coalesce(c.maintained_at, '-infinity'))
    AND coalesce(c.maintained_at, '-infinity') < now() - %(every)s
"""

_log = structlog.get_logger(__name__)


async def flush_garbage(parts: Parts) -> int:
    """Delete every version whose time has come; returns how many versions.

    Raises what the index or the database raise: the garbage waits for the next round.
    """
    async with parts.db.connect() as connection:
        due = await garbage.due_collections(connection)
    flushed = 0
    for collection_id in due:
        async with maintainer(parts.db, collection_id) as is_mine:
            if is_mine:
                flushed += await _flush(parts, collection_id)
    return flushed


async def _flush(parts: Parts, collection_id: UUID) -> int:
    flushed = 0
    async with parts.db.connect() as connection:
        tables = await index_tables.all_of(connection, collection_id)
    while True:
        async with parts.db.connect() as connection:
            versions = await garbage.due_versions(
                connection, collection_id, limit=GROUP
            )
        if not versions:
            return flushed
        for table_id in tables:
            await parts.index.delete_versions(table_id, versions)
        async with parts.db.begin() as connection:
            await garbage.flushed(connection, versions)
        flushed += len(versions)


async def maintain_tables(parts: Parts) -> None:
    """Optimise the tables of collections that changed since the last time."""
    changed: list[UUID] = await parts.reads.fetch(
        _CHANGED, {"every": MAINTAIN_EVERY, "after": MAINTAIN_AFTER}, lambda one: one
    )
    for collection_id in changed:
        async with maintainer(parts.db, collection_id) as is_mine:
            if not is_mine:
                continue
            now = parts.clock.now()
            async with parts.db.connect() as connection:
                table_id = await index_tables.live_id(connection, collection_id)
            await parts.index.maintain(table_id)
            async with parts.db.begin() as connection:
                await connection.execute(
                    update(collection)
                    .where(collection.c.id == collection_id)
                    .values(maintained_at=now)
                )


async def drop_retired(parts: Parts) -> None:
    """Drop tables that others have replaced, once no search can have them open."""
    async with parts.db.connect() as connection:
        due = await index_tables.due_to_drop(connection)
    for table_id, collection_id in due:
        async with maintainer(parts.db, collection_id) as is_mine:
            if is_mine:
                await parts.index.drop(table_id)
                async with parts.db.begin() as connection:
                    await index_tables.dropped(connection, table_id)


@asynccontextmanager
async def only_one(db: AsyncEngine, what: str) -> AsyncIterator[bool]:
    """Be the only one who does this; yields False when someone else is."""
    async with _session(db) as connection:
        query = text("SELECT pg_try_advisory_lock(:k)")
        yield bool(await connection.scalar(query, {"k": _key(what.encode())}))


@asynccontextmanager
async def maintainer(
    db: AsyncEngine, collection_id: UUID, *, waits: bool = False
) -> AsyncIterator[bool]:
    """Be the only maintainer of a collection; yields False when someone else is.

    While a backup pins the index there is no maintainer at all. Never ask for a second
    one inside: a backup that waits for the first would hold up the second.
    """
    async with _session(db) as connection:
        yield await _lock(connection, _key(collection_id.bytes), waits=waits)


def _key(name: bytes) -> int:
    digest = hashlib.blake2b(name, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@asynccontextmanager
async def _session(db: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection whose locks go when the block ends, or its process does."""
    async with db.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield connection
        finally:
            if not connection.invalidated:  # else its locks are gone with it
                await connection.execute(text("SELECT pg_advisory_unlock_all()"))


async def _lock(connection: AsyncConnection, key: int, *, waits: bool) -> bool:
    for name, lock in (("lock_shared", INDEX_GATE), ("lock", key)):
        if waits:
            query = text(f"SELECT pg_advisory_{name}(:k)")
            await connection.execute(query, {"k": lock})
        else:
            query = text(f"SELECT pg_try_advisory_{name}(:k)")
            if not await connection.scalar(query, {"k": lock}):
                return False
    return True
