"""Reading what answers show, by the driver alone: SQLAlchemy would cost more than it.

A query is written for `Reads`: a pool of its own, one moment of it, or an open
transaction.
"""

import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.database import raw

Made = TypeVar("Made")
Driver = psycopg.AsyncConnection[tuple[object, ...]]
MOST_CONNECTIONS = 10
LONGEST_WAIT_SECONDS = 3
"""After so long without a connection the database counts as away."""
REST_SECONDS = 60
"""A connection that nobody used for so long is closed."""


@dataclass(frozen=True, slots=True)
class InTransaction:
    """Reads what this transaction sees."""

    connection: AsyncConnection

    async def fetch(
        self,
        query: LiteralString,
        values: Mapping[str, Any],
        make: Callable[..., Made],
    ) -> list[Made]:
        return await _fetch(await raw(self.connection), query, values, make)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Reads one moment, whatever is committed meanwhile."""

    driver: Driver

    async def fetch(
        self,
        query: LiteralString,
        values: Mapping[str, Any],
        make: Callable[..., Made],
    ) -> list[Made]:
        return await _fetch(self.driver, query, values, make)


class Reader:
    """Reads what is committed, on connections of a pool that can do nothing else."""

    def __init__(self, url: str, *, wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._pool = AsyncConnectionPool(
            url,
            open=False,
            min_size=0,
            max_size=MOST_CONNECTIONS,
            timeout=wait_seconds,
            max_idle=REST_SECONDS,
            configure=_configure,
            kwargs={
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "wellhead",
                "options": "-c timezone=UTC -c default_transaction_read_only=on"
                # a process that sleeps must not hold its snapshot for ever
                " -c idle_in_transaction_session_timeout=60s",
            },
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def fetch(
        self,
        query: LiteralString,
        values: Mapping[str, Any],
        make: Callable[..., Made],
    ) -> list[Made]:
        """Return what is made of the columns of each row."""
        async with self._connection() as driver:
            return await _fetch(driver, query, values, make)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Open a view of one moment, that of its first query."""
        async with self._connection() as driver, driver.transaction():
            yield Snapshot(driver)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Driver]:
        driver = await self._pool.getconn()
        # the pool's own check pauses after each that is lost, and all may be
        while _is_lost(driver):
            await driver.close()
            await self._pool.putconn(driver)
            driver = await self._pool.getconn()
        try:
            yield driver
        finally:
            await self._pool.putconn(driver)


async def _configure(driver: Driver) -> None:
    await driver.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)


def _is_lost(driver: Driver) -> bool:
    """Tell whether the server ended it while it was idle, at the cost of a system call.

    It says so before it goes: then there is something to read.
    """
    waiting = select.poll()
    waiting.register(driver.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


Reads = Reader | Snapshot | InTransaction
"""What answers a query."""


async def _fetch(
    driver: Driver,
    query: LiteralString,
    values: Mapping[str, Any],
    make: Callable[..., Made],
) -> list[Made]:
    async with driver.cursor(binary=True, row_factory=args_row(make)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
