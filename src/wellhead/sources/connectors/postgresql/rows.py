"""Pages of rows, and rows as entities."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.types.string import TextLoader

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Listed, Ref
from wellhead.sources.connectors.postgresql.tables import Column, Table
from wellhead.sources.rows import (
    ENTITY_TYPE,
    Shape,
    digest,
    json_value,
    moment,
    row_id,
)

# as text: Python has no infinite dates, and decimals must keep their digits
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval", "numeric")
# these arrive as JSON holds them
_AS_JSON = frozenset(
    {"bool", "int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "name"}
)
_OF_ONE_TYPE = _AS_JSON | frozenset(_AS_TEXT)
_ALL = SQL("true")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in order, and the place after the last of them."""

    rows: list[tuple[Any, ...]]
    after: list[str] | None


def read_as_text(connection: AsyncConnection[Any]) -> None:
    """Let the types that JSON does not know arrive as text."""
    for name in _AS_TEXT:
        connection.adapters.register_loader(name, TextLoader)


def pages_by_key(
    connection: AsyncConnection[Any],
    table: Table,
    size: int,
    after: list[str] | None,
    *,
    ids_only: bool = False,
    where: Composable = _ALL,
) -> AsyncGenerator[Page]:
    """Yield every row in the order of the key, beginning after that place."""
    columns = () if ids_only else table.columns
    return _pages(connection, table, (columns, table.key), (size, after, where))


async def pages_by_change(
    connection: AsyncConnection[Any],
    table: Table,
    size: int,
    since: str | None,
    after: list[str] | None,
) -> AsyncGenerator[Page]:
    """Yield rows changed at or after that time, then those that tell no time."""
    assert table.updated is not None  # noqa: S101  # incremental tables have one
    updated = Identifier(table.updated.name)
    place = (table.updated, *table.key)
    if after is None or len(after) == len(place):
        told = SQL("t.{} IS NOT NULL").format(updated)
        if since is not None:
            told = SQL("t.{} >= {}").format(updated, _cast(since, table.updated))
        limits = (size, after, told)
        changed = _pages(connection, table, (table.columns, place), limits)
        async with aclosing(changed):
            async for page in changed:
                yield page
        after = None
    if not table.updated.is_required:
        untold = SQL("t.{} IS NULL").format(updated)
        others = pages_by_key(connection, table, size, after, where=untold)
        async with aclosing(others):
            async for page in others:
                yield page


async def _pages(
    connection: AsyncConnection[Any],
    table: Table,
    selected: tuple[Sequence[Column], Sequence[Column]],
    limits: tuple[int, list[str] | None, Composable],
) -> AsyncGenerator[Page]:
    columns, place = selected
    size, after, where = limits
    names = SQL(", ").join(SQL("t.{}").format(Identifier(one.name)) for one in place)
    while True:
        # the place comes last in the row, as text that can be cast back exactly
        query = SQL(
            "SELECT {} FROM {} AS t WHERE {} AND {} ORDER BY {} LIMIT $1"
        ).format(
            SQL(", ").join([*map(_value, columns), *map(_text, place)]),
            table.relation,
            where,
            _beyond(names, place, after),
            names,
        )
        cursor = await connection.execute(query, (size,))
        rows = await cursor.fetchall()
        if rows:
            after = list(rows[-1][len(columns) :])
            yield Page(rows, after)
        if len(rows) < size:
            return


def selected_columns(table: Table) -> Composed:
    """Return what is selected of a row called t; its key comes last, by itself."""
    return SQL(", ").join(map(_value, table.columns))


def selected_key(table: Table) -> Composed:
    return SQL(", ").join(map(_text, table.key))


async def row_of(
    connection: AsyncConnection[Any], table: Table, key: Sequence[str]
) -> tuple[Any, ...] | None:
    """Return one row, None if it is gone."""
    same = SQL(" AND ").join(
        SQL("t.{} = {}").format(Identifier(column.name), _cast(value, column))
        for column, value in zip(table.key, key, strict=True)
    )
    query = SQL("SELECT {}, {} FROM {} AS t WHERE {} LIMIT $1").format(
        selected_columns(table), selected_key(table), table.relation, same
    )
    return await (await connection.execute(query, (1,))).fetchone()


async def high_water(connection: AsyncConnection[Any], table: Table) -> str | None:
    """Return the newest change, but no time that is yet to come."""
    if table.updated is None:
        return None
    query = SQL("SELECT least(max(t.{0}), now()::{1})::text FROM {2} AS t LIMIT $1")
    cursor = await connection.execute(
        query.format(
            Identifier(table.updated.name), _type(table.updated), table.relation
        ),
        (1,),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


def ref_of(table: Table, row: tuple[Any, ...]) -> Ref:
    """Name a row by its key, which stands last in it."""
    return Ref(ENTITY_TYPE, row_id(table.label, row[-len(table.key) :]))


class Rows:
    """Tells of the rows of one table; what all of them share is told once."""

    def __init__(self, table: Table, database: str) -> None:
        self._table = table
        self._names = tuple(column.name for column in table.columns)
        self._odd = [
            (column.name, column)
            for column in table.columns
            if column.kind not in _AS_JSON
        ]
        # JSON is not: 1 and "1" differ, and str() does not tell
        is_plain = all(column.kind in _OF_ONE_TYPE for column in table.columns)
        self._cells = _joined if is_plain else repr
        self._told = repr((table.label, self._names, table.title, table.texts))
        self._shape = Shape(
            label=table.label,
            title=table.title,
            texts=table.texts,
            created=table.created,
            updated=table.updated.name if table.updated else None,
            way=(
                Breadcrumb(database, database, "Database"),
                Breadcrumb(table.label, table.label, "Table"),
            ),
        )

    def listed(self, row: tuple[Any, ...]) -> Listed:
        """Name a row; its version is a digest of all that is told about it."""
        told = f"{self._told}{self._cells(row)}"
        source_id = row_id(self._table.label, row[-len(self._table.key) :])
        version = digest(told)
        describe = partial(self._described, row, source_id, version)
        return Listed(ENTITY_TYPE, source_id, version, describe, weight=len(told))

    def _described(self, row: tuple[Any, ...], source_id: str, version: str) -> Entity:
        raw = dict(zip(self._names, row, strict=False))
        for name, column in self._odd:
            raw[name] = _plain(column, raw[name])
        return self._shape.entity(source_id, raw, version)


def _joined(row: tuple[Any, ...]) -> str:
    """Write a row so that no other of its table is written so, quicker than repr does.

    No text of PostgreSQL holds a NUL; each column's values are of one type, or None.
    """
    cells = "\0".join(map(str, row))
    if None in row:
        cells += f"\0{[one is None for one in row]}"
    return cells


def _value(column: Column) -> Composed:
    if column.kind == "bytea":  # only its size, without carrying it here
        return SQL("octet_length(t.{})").format(Identifier(column.name))
    return SQL("t.{}").format(Identifier(column.name))


def _text(column: Column) -> Composed:
    return SQL("t.{}::text").format(Identifier(column.name))


def _type(column: Column) -> SQL:
    return SQL(column.type)  # PostgreSQL's own spelling


def _cast(value: str, column: Column) -> Composed:
    return SQL("{}::text::{}").format(value, _type(column))


def _beyond(
    names: Composable, place: Sequence[Column], after: list[str] | None
) -> Composable:
    if after is None:
        return _ALL
    values = SQL(", ").join(map(_cast, after, place))
    return SQL("({}) > ({})").format(names, values)


def _plain(column: Column, value: Any) -> Any:
    """Return the value as JSON holds it."""
    if value is None:
        return None
    if column.kind == "bytea":
        return {"bytes": value}
    if column.category == "D":
        found = moment(value)
        return found.isoformat() if found and column.kind != "date" else value
    return json_value(value)
