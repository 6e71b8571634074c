"""What was erased leaves the disk: it is not enough that nobody finds it."""

from uuid import UUID

import structlog

from wellhead.services.parts import Parts
from wellhead.store import index_tables, tombstones
from wellhead.worker.maintain import maintainer

_log = structlog.get_logger(__name__)


async def expunge_erased(parts: Parts) -> int:
    """Rewrite tables that hold erased chunks, then drop their older states.

    Returns how many versions are gone from every file. The first waits until garbage
    was flushed, the second until no reader can have an older state open.
    """
    async with parts.db.connect() as connection:
        held = await tombstones.to_expunge(connection)
    for collection_id, versions in held:
        await _expunge(parts, collection_id, versions)
    async with parts.db.connect() as connection:
        left = await tombstones.to_forget(connection)
    return sum([await _forget(parts, *one) for one in left])


async def _expunge(parts: Parts, collection_id: UUID, versions: list[int]) -> None:
    async with maintainer(parts.db, collection_id) as is_mine:
        if not is_mine:
            return
        tables = await _tables(parts, collection_id)
        state = await parts.index.expunge(tables[0])
        if state is not None:
            async with parts.db.begin() as connection:
                await tombstones.expunged(connection, versions, state)


async def _tables(parts: Parts, collection_id: UUID) -> list[UUID]:
    async with parts.db.connect() as connection:
        return await index_tables.all_of(connection, collection_id)


async def _forget(parts: Parts, collection_id: UUID, state: int) -> int:
    async with maintainer(parts.db, collection_id) as is_mine:
        if not is_mine:
            return 0
        live, *following = await _tables(parts, collection_id)
        # the next table may hold it too, and is expunged once it is the live one
        if following or not await parts.index.forget_states(live, state):
            return 0
        async with parts.db.begin() as connection:
            gone = await tombstones.forgotten(connection, collection_id, state)
    _log.info("erased chunks left the disk", table=str(collection_id), versions=gone)
    return gone
