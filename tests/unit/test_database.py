"""The connection to PostgreSQL: time zone, psycopg below, and going away."""

import psycopg
import pytest
from psycopg import AsyncConnection as RawConnection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store import database
from wellhead.store.database import connect, is_gone, raw

ADD = text("INSERT INTO setting (name, value) VALUES (:name, 'x')")
COUNT = text("SELECT count(*) FROM setting WHERE value = 'x'")


async def test_every_connection_speaks_utc(db: AsyncEngine, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(
            f"ALTER DATABASE {admin.info.dbname} SET timezone TO 'Asia/Tokyo'"
        )
        async with db.begin() as connection:
            zone = await connection.scalar(text("SHOW TIME ZONE"))
            now = await connection.scalar(text("SELECT now()"))

    assert zone == "UTC"
    assert now.utcoffset().total_seconds() == 0


async def test_a_transaction_that_fails_leaves_nothing(db: AsyncEngine) -> None:
    with pytest.raises(IntegrityError):
        async with db.begin() as connection:
            await connection.execute(ADD, [{"name": "a"}, {"name": "a"}])

    async with db.begin() as connection:
        assert await connection.scalar(COUNT) == 0


async def test_raw_writes_in_the_same_transaction(db: AsyncEngine) -> None:
    async with db.connect() as connection:
        async with connection.begin() as transaction:
            driver = await raw(connection)
            into = "COPY setting (name, value) FROM STDIN"
            async with driver.cursor() as cursor, cursor.copy(into) as copy:
                await copy.write_row(("a", "x"))
            seen = await connection.scalar(COUNT)
            await transaction.rollback()
        assert (seen, await connection.scalar(COUNT)) == (1, 0)
    assert isinstance(driver, RawConnection)


async def test_a_killed_connection_is_gone_and_the_next_one_works(
    db: AsyncEngine, database_url: str
) -> None:
    async with db.connect() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(DBAPIError) as caught:
            await connection.scalar(COUNT)

    assert is_gone(caught.value)
    async with db.connect() as connection:
        assert await connection.scalar(COUNT) == 0


async def test_a_connection_that_ended_in_the_pool_is_replaced(
    db: AsyncEngine, database_url: str
) -> None:
    async with db.connect() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    async with db.connect() as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != pid


@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_a_connection_is_used_again(
    db: AsyncEngine, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Whether it is trusted or asked first."""
    monkeypatch.setattr(database, "TRUSTED_SECONDS", seconds)
    pids = []
    for _ in range(3):
        async with db.begin() as connection:
            pids.append(await connection.scalar(text("SELECT pg_backend_pid()")))

    assert len(set(pids)) == 1


async def test_a_refusal_is_not_gone(db: AsyncEngine) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with db.begin() as connection:
            await connection.execute(text("SELECT nothing"))

    assert not is_gone(caught.value)


async def test_a_server_that_is_down_is_gone(postgres: EmbeddedPostgres) -> None:
    engine = connect("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DBAPIError) as caught:
        async with engine.connect():
            pass
    await engine.dispose()

    assert is_gone(caught.value)
