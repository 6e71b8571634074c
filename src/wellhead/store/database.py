"""The connection to PostgreSQL and what every query of the ledger shares."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection as RawConnection
from psycopg.rows import args_row
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Made = TypeVar("Made")
SHUTDOWN = frozenset({"57P01", "57P02", "57P03", "57P05"})
"""SQL states of a server that is stopping, starting or recovering."""


def connect(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Return an engine for a `postgresql://` URL, with psycopg as its driver."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,  # errors are logged and shown; what was stored is not
        connect_args={"connect_timeout": 5, "application_name": "wellhead"},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        previous, connection.autocommit = connection.autocommit, True
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            # a process that sleeps in a transaction must not hold its locks for ever
            cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.autocommit = previous

    return engine


def is_gone(error: BaseException) -> bool:
    """Tell whether the database is away, rather than refusing what was asked."""
    if isinstance(error, PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = error.sqlstate
    return state is None or state.startswith("08") or state in SHUTDOWN


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction that sees one moment from its first statement."""
    async with engine.connect() as plain:
        connection = await plain.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        async with connection.begin():
            await connection.exec_driver_sql("SELECT 1")
            yield connection


async def fetch(
    connection: AsyncConnection,
    query: LiteralString,
    values: Mapping[str, Any],
    make: Callable[..., Made],
) -> list[Made]:
    """Return what is made of the columns of each row, by the driver alone.

    For lists: building the query and its rows costs SQLAlchemy more than reading them,
    and so does a transaction, which is therefore not begun where there is none yet.
    """
    driver = await raw(connection)
    is_alone = not connection.in_transaction()
    if is_alone:
        await driver.set_autocommit(True)
    try:
        async with driver.cursor(binary=True, row_factory=args_row(make)) as cursor:
            await cursor.execute(query, values)
            return await cursor.fetchall()
    finally:
        if is_alone and not driver.closed:
            await driver.set_autocommit(False)


async def raw(connection: AsyncConnection) -> RawConnection[tuple[object, ...]]:
    """Return psycopg's own connection below this one, in the same transaction."""
    fairy = await connection.get_raw_connection()
    driver = fairy.driver_connection
    if not isinstance(driver, RawConnection):
        raise TypeError(f"expected psycopg, found {type(driver).__name__}")
    return driver
