"""When a Lance table is worked on, and that the work has the effect."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from lancedb.table import AsyncTable

from wellhead.index.lance_rows import table_schema
from wellhead.index.lance_upkeep import Upkeep, build_keyword_indexes, maintain_table

DIMENSION = 8
AT_ONCE = Upkeep(
    vector_rows=300,
    rows=50,
    fragments=3,
    table_versions=5,
    keep=timedelta(milliseconds=1),
    quiet=timedelta(0),
)


def rows(first: int, count: int) -> pa.Table:
    matrix = np.random.default_rng(first).standard_normal((count, DIMENSION))
    flat = pa.array(matrix.astype(np.float32).ravel())
    given = {
        "version": pa.array(range(first, first + count), pa.int64()),
        "text": pa.array([f"text {i}" for i in range(count)]),
        "vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
    }
    schema = table_schema(DIMENSION)
    columns = [given.get(f.name, pa.nulls(count, f.type)) for f in schema]
    return pa.table(columns, schema=schema)


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[AsyncTable]:
    connection = await lancedb.connect_async(tmp_path)
    table = await connection.create_table("t", schema=table_schema(DIMENSION))
    with table:
        await build_keyword_indexes(table)
        yield table
    connection.close()


def manifests(tmp_path: Path) -> int:
    return len(list((tmp_path / "t.lance" / "_versions").glob("*.manifest")))


async def test_a_small_table_is_left_alone(table: AsyncTable, tmp_path: Path) -> None:
    for first in range(0, 100, 10):
        await table.add(rows(first, 10))
    version = await table.version()

    assert not await maintain_table(table, tmp_path / "t.lance", Upkeep())
    assert await table.version() == version


async def test_a_changed_table_is_merged_indexed_pruned_and_then_left_alone(
    table: AsyncTable, tmp_path: Path
) -> None:
    for first in range(0, 400, 50):
        await table.add(rows(first, 50))
    rounds = 0
    while await maintain_table(table, tmp_path / "t.lance", AT_ONCE):
        rounds += 1
        assert rounds < 6
        await asyncio.sleep(0.02)

    assert rounds > 0
    kinds = {i.index_type: i.num_unindexed_rows for i in await table.list_indices()}
    assert kinds == {"FTS": 0, "IvfSq": 0}
    stats = await table.stats()
    assert stats["fragment_stats"]["num_fragments"] == 1  # type: ignore[index]
    assert manifests(tmp_path) == 1
    assert await table.count_rows() == 400


async def test_a_table_that_grows_waits_for_a_quarter_of_its_rows(
    table: AsyncTable, tmp_path: Path
) -> None:
    grows = replace(AT_ONCE, keep=timedelta(minutes=10), quiet=timedelta(minutes=10))
    await table.add(rows(0, 400))
    assert await maintain_table(table, tmp_path / "t.lance", grows)
    for first in range(400, 480, 10):
        await table.add(rows(first, 10))
    assert not await maintain_table(table, tmp_path / "t.lance", grows)
    for first in range(480, 500, 10):
        await table.add(rows(first, 10))
    assert await maintain_table(table, tmp_path / "t.lance", grows)

    for first in range(500, 560, 10):
        await table.add(rows(first, 10))
    assert not await maintain_table(table, tmp_path / "t.lance", grows)
    quiet = replace(grows, quiet=timedelta(0))
    assert await maintain_table(table, tmp_path / "t.lance", quiet)
    unindexed = [i.num_unindexed_rows for i in await table.list_indices()]
    assert set(unindexed) == {0}


async def test_removed_rows_are_cleared_away_once_they_are_a_tenth(
    table: AsyncTable, tmp_path: Path
) -> None:
    upkeep = Upkeep(rows=1000, fragments=100)
    await table.add(rows(0, 200))
    await table.delete("version < 10")
    assert not await maintain_table(table, tmp_path / "t.lance", upkeep)

    await table.delete("version < 40")
    assert await maintain_table(table, tmp_path / "t.lance", upkeep)
    assert not await maintain_table(table, tmp_path / "t.lance", upkeep)


async def test_indexes_that_a_crash_prevented_are_built_later(tmp_path: Path) -> None:
    connection = await lancedb.connect_async(tmp_path)
    table = await connection.create_table("t", schema=table_schema(DIMENSION))
    with table:
        await table.add(rows(0, 10))

        assert await maintain_table(table, tmp_path / "t.lance", Upkeep())
        names = {index.name for index in await table.list_indices()}
        assert names == {"text_fts", "title_fts"}
    connection.close()
