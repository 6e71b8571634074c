"""Removing deleted connections and collections: retried until nothing is left."""

from datetime import timedelta
from uuid import UUID

from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Parts
from wellhead.store import deletions, index_tables, jobs
from wellhead.worker.maintain import maintainer

PAGE = 5_000
OPEN_JOB_SECONDS = 2
SECOND_PASS = timedelta(minutes=15)
"""After this a paused writer's late append is found and removed as well."""


async def purge_connection(parts: Parts, connection_id: UUID) -> None:
    """Remove a deleted connection's chunks, rows and secrets, then itself."""
    async with parts.db.begin() as connection:
        doomed = await deletions.doomed_connection(connection, connection_id)
        if doomed is None:
            return
        if await jobs.open_job(connection, connection_id) is not None:
            await parts.engine.defer(
                connection,
                Task.PURGE_CONNECTION,
                connection_id,
                after_seconds=OPEN_JOB_SECONDS,
            )
            return
    async with maintainer(parts.db, doomed.collection_id, waits=True):
        for table_id in await _tables(parts, doomed.collection_id):
            await parts.index.delete_connection(table_id, connection_id)
    await _purge_rows(parts, connection_id)
    now = parts.clock.now()
    is_second = doomed.purged_at is not None and now - doomed.purged_at >= SECOND_PASS
    async with parts.db.begin() as connection:
        if is_second:
            await deletions.remove_connection(connection, connection_id)
            return
        if doomed.purged_at is None:
            await deletions.mark_purged(connection, connection_id, now)
        await parts.engine.defer(
            connection,
            Task.PURGE_CONNECTION,
            connection_id,
            after_seconds=SECOND_PASS.total_seconds() + 1,
        )


async def _tables(parts: Parts, collection_id: UUID) -> list[UUID]:
    async with parts.db.connect() as connection:
        return await index_tables.all_of(connection, collection_id)


async def _purge_rows(parts: Parts, connection_id: UUID) -> None:
    while True:
        async with parts.db.begin() as connection:
            if not await deletions.purge_page(connection, connection_id, limit=PAGE):
                return


async def drop_collection(parts: Parts, collection_id: UUID) -> None:
    """Drop a deleted collection's table once its connections are purged.

    The row goes with the last connection, after its second pass; until then the table
    is dropped again each time, should a late append have made it anew.
    """
    async with parts.db.begin() as connection:
        left = await deletions.members(connection, collection_id)
    if all(purged_at is not None for _, purged_at in left):
        async with maintainer(parts.db, collection_id, waits=True):
            for table_id in await _tables(parts, collection_id):
                await parts.index.drop(table_id)
    async with parts.db.begin() as connection:
        if not left:
            await deletions.remove_collection(connection, collection_id)
            return
        is_waiting = any(purged_at is None for _, purged_at in left)
        await parts.engine.defer(
            connection,
            Task.DROP_COLLECTION,
            collection_id,
            after_seconds=OPEN_JOB_SECONDS if is_waiting else 60,
        )
