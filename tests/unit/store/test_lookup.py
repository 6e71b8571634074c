"""What a page of listed entities is compared with."""

from uuid import uuid4

from sqlalchemy import text

from wellhead.store import lookup
from wellhead.store.arrays import byteas, texts
from wellhead.store.database import raw


async def test_no_table_is_read_whole_before_its_statistics_are_known(db) -> None:
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
            "EXPLAIN " + lookup._LOOK_UP,
            {
                "connection_id": connection_id,
                "job_id": uuid4(),
                "keys": byteas(keys[:512]),
                "versions": texts(["1"] * 512),
                "death": "",
            },
        )
        lines = [str(row[0]) for row in await plan.fetchall()]

    assert any("pk_entity" in line for line in lines)
    assert not [line for line in lines if "Hash" in line or "Seq Scan" in line], lines
