"""The connection to PostgreSQL and what every query of the ledger shares."""

import select
import time
from typing import Any

import psycopg
from psycopg import AsyncConnection as RawConnection
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

TRUSTED_SECONDS = 1.0
"""For so long a connection that was just used is taken to be alive."""
_LEFT_AT = "left_at"
SHUTDOWN = frozenset({"57P01", "57P02", "57P03", "57P05"})
"""SQL states of a server that is stopping, starting or recovering."""

COLLIDED = frozenset({"40001", "40P01"})
"""SQL states of a transaction that was undone because others were in its way."""


def connect(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Return an engine for a `postgresql://` URL, with psycopg as its driver."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
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

    @event.listens_for(engine.sync_engine, "checkin")
    def _leave(_connection, record) -> None:  # type: ignore[no-untyped-def]
        record.info[_LEFT_AT] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _probe(connection, record, _proxy) -> None:  # type: ignore[no-untyped-def]
        left_at = record.info.get(_LEFT_AT)
        if left_at is None or not _is_doubtful(connection.driver_connection, left_at):
            return
        try:
            engine.sync_engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error

    return engine


def _is_doubtful(connection: RawConnection[Any], left_at: float) -> bool:
    """Tell whether a connection may have ended while it lay in the pool.

    A ping costs more than most queries. A server that ends says so: there is something
    to read then. One that is cut off does not, so what lay there for long is asked.
    """
    if connection.closed or time.monotonic() - left_at > TRUSTED_SECONDS:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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


def has_collided(error: BaseException) -> bool:
    """Tell whether the same again would most likely succeed."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    return isinstance(error, psycopg.Error) and error.sqlstate in COLLIDED


async def raw(connection: AsyncConnection) -> RawConnection[tuple[object, ...]]:
    """Return psycopg's own connection below this one, in the same transaction."""
    fairy = await connection.get_raw_connection()
    driver = fairy.driver_connection
    if not isinstance(driver, RawConnection):
        raise TypeError(f"expected psycopg, found {type(driver).__name__}")
    return driver
