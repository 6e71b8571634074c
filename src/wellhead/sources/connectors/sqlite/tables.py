"""What is in an SQLite file, and pages of its rows; every call blocks."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wellhead.domain.errors import ConfigError, RetryableError

_BUSY_SECONDS = 30
_TABLES = """
SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
AND (type = 'table' OR name IN ({})) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the columns that identify a row; `kinds` are as declared."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    key: tuple[str, ...]


def open_file(path: Path) -> sqlite3.Connection:
    """Open it for reading only; raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"There is no file '{path}'")
    with translated(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # one thread after the other
        )
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT count(*) FROM sqlite_schema")
        return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise RetryableError(f"'{path}' is in use: {error}") from error
        raise ConfigError(f"'{path}' cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"'{path}' cannot be read: {error}") from error


def find_tables(
    connection: sqlite3.Connection, names: Sequence[str], id_columns: Sequence[str]
) -> list[Table]:
    """Return the named tables and views, without names all tables."""
    marks = ", ".join("?" * len(names))
    there = [row[0] for row in connection.execute(_TABLES.format(marks), names)]
    for name in names:
        if name not in there:
            raise ConfigError(f"There is no table '{name}'")
    wanted = list(names) or there
    if not wanted:
        raise ConfigError("The file has no tables")
    return [_table(connection, name, id_columns) for name in dict.fromkeys(wanted)]


def page_of(
    connection: sqlite3.Connection, table: Table, after: list[Any] | None, size: int
) -> list[tuple[Any, ...]]:
    """Return rows behind that key: the key, the values, and the sizes of blobs.

    Rows with NULL in their key have no identity and are passed over.
    """
    key = ", ".join(map(_name, table.key))
    names = [_name(one) for one in table.columns]
    values = [f"CASE WHEN typeof({one}) <> 'blob' THEN {one} END" for one in names]
    sizes = [
        f"CASE WHEN typeof({one}) = 'blob' THEN length({one}) END" for one in names
    ]
    where = [f"{_name(one)} IS NOT NULL" for one in table.key]
    if after is not None:
        where.append(f"({key}) > ({', '.join('?' * len(after))})")
    query = (
        f"SELECT {', '.join([key, *values, *sizes])} FROM {_name(table.name)} "  # noqa: S608  # names are quoted
        f"WHERE {' AND '.join(where)} ORDER BY {key} LIMIT ?"
    )
    return connection.execute(query, [*(after or ()), size]).fetchall()


def _table(
    connection: sqlite3.Connection, name: str, id_columns: Sequence[str]
) -> Table:
    told = connection.execute(
        "SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1", (name,)
    ).fetchall()
    columns = tuple(row[0] for row in told)
    key = tuple(row[0] for row in sorted(told, key=lambda row: row[2]) if row[2])
    if id_columns and all(one in columns for one in id_columns):
        key = tuple(id_columns)
    if not key:
        raise ConfigError(f"The table '{name}' has no primary key: name ID columns")
    return Table(name, columns, tuple(row[1].upper() for row in told), key)


def _name(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
