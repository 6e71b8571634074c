"""Rows of an SQLite file."""

from wellhead.sources.connectors.sqlite.source import SQLiteConfig, SQLiteSource

__all__ = ["SQLiteConfig", "SQLiteSource"]
