"""A deleted collection's connections, removed side by side."""

import asyncio
from uuid import uuid4

from wellhead.services import collections
from wellhead.worker.purge import drop_collection, purge_connection

COPY = """
INSERT INTO source_connection (id, organization_id, collection_id, short_name, name,
  config, auth_method, created_at, modified_at)
SELECT :id, organization_id, collection_id, short_name, name, config, auth_method,
  created_at, modified_at
FROM source_connection WHERE id = :like
"""


async def test_purges_of_one_collection_do_not_wait_for_each_other_for_ever(
    bench,
) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    first = bench.connection_id
    ids = [first]
    await bench.sync()
    for _ in range(3):
        bench.connection_id = uuid4()
        await bench.execute(COPY, id=bench.connection_id, like=first)
        await bench.sync()
        ids.append(bench.connection_id)
    assert len(await bench.stored_versions()) == 8

    await collections.delete_collection(bench.parts, bench.organization_id, "test")
    async with asyncio.timeout(60):
        await asyncio.gather(*(purge_connection(bench.parts, one) for one in ids))
        await drop_collection(bench.parts, bench.collection_id)

    assert await bench.scalar("SELECT count(*) FROM entity") == 0
    assert await bench.scalar("SELECT count(purged_at) FROM source_connection") == 4
    assert await bench.stored_versions() == {}
