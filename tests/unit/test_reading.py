"""Reading for answers: lost connections, refusals, what a transaction sees."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.store.database import is_gone
from wellhead.store.reading import InTransaction, Reader

COUNT = "SELECT count(*) FROM setting WHERE name = %(name)s"
A = {"name": "a"}


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Reader]:
    made = Reader(database_url)
    await made.open()
    yield made
    await made.close()


async def test_connections_that_were_lost_while_idle_are_not_noticed(
    reader: Reader, database_url: str
) -> None:
    asleep = "SELECT pg_sleep(0.2)::text, pg_backend_pid()"
    found = await asyncio.gather(*[reader.fetch(asleep, {}, _second) for _ in range(5)])
    pids = {pid for [pid] in found}
    with psycopg.connect(database_url, autocommit=True) as admin:
        for pid in pids:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    again = await asyncio.gather(*[reader.fetch(COUNT, A, int) for _ in range(3)])

    assert len(pids) > 3
    assert again == [[0], [0], [0]]


async def test_a_refused_query_is_raised(reader: Reader) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await reader.fetch("SELECT nothing", {}, int)


async def test_nothing_is_written_through_it(reader: Reader) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await reader.fetch("DELETE FROM setting RETURNING 1", {}, int)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with reader.snapshot() as moment:
            await moment.fetch("DELETE FROM setting RETURNING 1", {}, int)


async def test_a_server_that_is_down_counts_as_away() -> None:
    nowhere = Reader("postgresql://nobody@127.0.0.1:1/nothing", wait_seconds=0.1)
    await nowhere.open()
    with pytest.raises(PoolTimeout) as caught:
        await nowhere.fetch("SELECT 1", {}, int)
    await nowhere.close()

    assert is_gone(caught.value)


async def test_a_snapshot_sees_one_moment_from_its_first_query(
    db: AsyncEngine, reader: Reader
) -> None:
    add = text("INSERT INTO setting VALUES ('a', 'x')")
    async with reader.snapshot() as moment:
        first = await moment.fetch(COUNT, A, int)
        async with db.begin() as writing:
            await writing.execute(add)
        second = await moment.fetch(COUNT, A, int)

    async with reader.snapshot() as later:
        third = await later.fetch(COUNT, A, int)
    assert (first, second, third) == ([0], [0], [1])
    assert await reader.fetch("SHOW transaction_isolation", {}, str) == [
        "read committed"
    ]


async def test_within_a_transaction_its_own_changes_are_seen(
    db: AsyncEngine, reader: Reader
) -> None:
    async with db.begin() as connection:
        await connection.execute(text("INSERT INTO setting VALUES ('a', 'x')"))
        inside = await InTransaction(connection).fetch(COUNT, A, int)
        outside = await reader.fetch(COUNT, A, int)

    assert (inside, outside) == ([1], [0])
    assert await reader.fetch(COUNT, A, int) == [1]


def _second(_slept: str, pid: int) -> int:
    return pid
