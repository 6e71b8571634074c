"""What a page of listed entities is compared with."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from wellhead.store import lookup
from wellhead.store.arrays import byteas
from wellhead.store.database import raw


@pytest.mark.parametrize("query", [lookup._VERSIONS, lookup._LOOK_UP])
async def test_no_table_is_read_whole_before_its_statistics_are_known(
    db, query: str
) -> None:
    """A plan that joins by hashing costs as much for each page as for all of them."""
    connection_id, keys = uuid4(), [bytes([at // 256, at % 256]) for at in range(2000)]
    async with db.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO entity (connection_id, entity_key, scope, type, source_id,"
                " content_hash, meta_hash, pipeline_fingerprint, version, chunk_count,"
                " updated_by, seen_generation, committed_at, meta)"
                " SELECT :c, k, '', '', '', '', '', '', 1, 1, :c, 1, now(), '{}'"
                " FROM unnest(CAST(:keys AS bytea[])) AS k"
            ),
            {"c": connection_id, "keys": byteas(keys)},
        )
        driver = await raw(connection)
        plan = await driver.execute(
            f"EXPLAIN {query}",
            {
                "connection_id": connection_id,
                "job_id": uuid4(),
                "keys": byteas(keys[:512]),
                "death": "",
            },
        )
        lines = [str(row[0]) for row in await plan.fetchall()]

    assert any("pk_entity" in line for line in lines)
    bad = [one for one in lines if "Hash" in one or "Seq Scan on entity" in one]
    assert not bad, lines
