"""Upkeep of a large table happens in a process of its own, which may be killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from lancedb.table import AsyncTable

from wellhead.index.lance_process import Work, work_on
from wellhead.index.lance_rows import table_schema
from wellhead.index.lance_upkeep import Upkeep, build_keyword_indexes

DIMENSION = 8
APART = Upkeep(rows=50, quiet=timedelta(0), apart_rows=1)


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[AsyncTable]:
    connection = await lancedb.connect_async(tmp_path)
    table = await connection.create_table("t", schema=table_schema(DIMENSION))
    with table:
        await build_keyword_indexes(table)
        for first in range(0, 400, 100):
            await table.add(rows(first, 100))
        yield table
    connection.close()


def rows(first: int, count: int) -> pa.Table:
    flat = pa.array(np.ones(count * DIMENSION, dtype=np.float32))
    given = {
        "version": pa.array(range(first, first + count), pa.int64()),
        "text": pa.array([f"text {i}" for i in range(first, first + count)]),
        "vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
    }
    schema = table_schema(DIMENSION)
    columns = [given.get(f.name, pa.nulls(count, f.type)) for f in schema]
    return pa.table(columns, schema=schema)


def children() -> list[int]:
    """Return this process's children that keep a table up."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
            if (
                int(parent) == os.getpid()
                and b"wellhead.index.lance_process" in command
            ):
                found.append(int(folder.name))
    return found


async def child_of(work: "asyncio.Task[int | None]") -> int:
    while not (found := children()):
        assert not work.done()
        await asyncio.sleep(0.01)
    return found[0]


async def unindexed(table: AsyncTable) -> set[int | None]:
    await table.checkout_latest()
    return {index.num_unindexed_rows for index in await table.list_indices()}


async def test_a_table_is_kept_up_and_expunged_apart(
    table: AsyncTable, tmp_path: Path
) -> None:
    folder = tmp_path / "t.lance"
    assert await unindexed(table) == {400}

    assert await work_on(table, folder, Work.MAINTAIN, APART) is True
    assert await unindexed(table) == {0}
    assert await work_on(table, folder, Work.MAINTAIN, APART) is False
    await table.delete("version = 7")
    state = await work_on(table, folder, Work.EXPUNGE, APART)
    await table.checkout_latest()
    assert state == await table.version()
    assert await table.count_rows() == 399
    assert children() == []


async def test_what_is_killed_harms_nothing_and_is_done_the_next_time(
    table: AsyncTable, tmp_path: Path
) -> None:
    folder = tmp_path / "t.lance"
    work = asyncio.create_task(work_on(table, folder, Work.MAINTAIN, APART))
    os.kill(await child_of(work), signal.SIGKILL)

    with pytest.raises(RuntimeError, match="ended with -9"):
        await work
    assert await table.count_rows() == 400
    assert await work_on(table, folder, Work.MAINTAIN, APART) is True
    assert await unindexed(table) == {0}


async def test_nothing_runs_on_when_the_work_is_cancelled(
    table: AsyncTable, tmp_path: Path
) -> None:
    folder = tmp_path / "t.lance"
    work = asyncio.create_task(work_on(table, folder, Work.MAINTAIN, APART))
    await child_of(work)
    work.cancel()

    with pytest.raises(asyncio.CancelledError):
        await work
    assert children() == []


async def test_an_error_of_the_library_arrives(
    table: AsyncTable, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="not found"):
        await work_on(table, tmp_path / "absent.lance", Work.MAINTAIN, APART)
