"""Entities that were erased while a batch with them was under way."""

from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store import garbage, tombstones
from wellhead.sync.run import Run


async def give_up(
    run: Run,
    connection: AsyncConnection,
    stored: Mapping[bytes, int],
    failed: Iterable[bytes],
) -> set[bytes]:
    """Return the keys that must not be committed; their versions become garbage.

    The caller holds the job's lock, as does whoever erases an entity of its connection.
    """
    keys = {*stored, *failed}
    if not keys:
        return set()
    erased = await tombstones.among(connection, run.connection_id, keys)
    versions = [version for key, version in stored.items() if key in erased]
    if versions:
        await garbage.discard_intents(
            connection,
            run.collection_id,
            run.connection_id,
            versions=versions,
            passes=1,  # these have arrived: none of them can come late
        )
    return erased
