"""A connection to somebody's database: for reading only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection

from wellhead.sources.connectors.postgresql.config import (
    PostgreSQLCredentials,
    TablesConfig,
)
from wellhead.sources.connectors.postgresql.rows import read_as_text
from wellhead.sources.connectors.postgresql.trouble import translated

_OPTIONS = (
    "-c default_transaction_read_only=on -c statement_timeout=10min "
    "-c idle_in_transaction_session_timeout=1min "
    "-c timezone=UTC -c datestyle=ISO -c extra_float_digits=1"
)


@asynccontextmanager
async def connected(
    config: TablesConfig, credentials: PostgreSQLCredentials
) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a connection; errors are raised as what should happen next."""
    parameters: dict[str, Any] = {"host": config.host, "port": config.port}
    if config.url is not None:
        parameters = {}
    given = {
        "dbname": config.database,
        "user": credentials.user,
        "password": credentials.password,
        "sslmode": config.ssl_mode,
    }
    parameters |= {name: one for name, one in given.items() if one is not None}
    with translated():
        connection = await psycopg.AsyncConnection.connect(
            config.url or "",
            autocommit=True,
            prepare_threshold=None,  # poolers between us may not know them
            # $1 placeholders: a % in a name or key is nothing special, and one
            # statement at a time: a query cannot smuggle in another
            cursor_factory=psycopg.AsyncRawCursor,
            options=_OPTIONS,
            connect_timeout=20,
            application_name="wellhead",
            **parameters,
        )
        async with connection:
            read_as_text(connection)
            yield connection
