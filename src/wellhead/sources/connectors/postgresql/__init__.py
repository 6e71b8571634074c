"""Rows of a PostgreSQL database."""

from wellhead.sources.connectors.postgresql.config import (
    PostgreSQLConfig,
    PostgreSQLCredentials,
)
from wellhead.sources.connectors.postgresql.search import (
    PostgreSQLSearchConfig,
    PostgreSQLSearchSource,
)
from wellhead.sources.connectors.postgresql.source import PostgreSQLSource

__all__ = [
    "PostgreSQLConfig",
    "PostgreSQLCredentials",
    "PostgreSQLSearchConfig",
    "PostgreSQLSearchSource",
    "PostgreSQLSource",
]
