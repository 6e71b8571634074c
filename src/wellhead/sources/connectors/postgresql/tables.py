"""Which tables are read, and what their columns are for."""

from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composable, Identifier

from wellhead.domain.errors import ConfigError
from wellhead.sources.connectors.postgresql.config import TablesConfig
from wellhead.sources.rows import CREATED_NAMES, UPDATED_NAMES, plain_label

_TIMES = frozenset({"timestamptz", "timestamp"})
_DOCUMENTS = frozenset({"json", "jsonb", "xml"})

_RELATIONS = """
SELECT c.oid, n.nspname, c.relname,
       ARRAY(SELECT a.attname FROM pg_index i
             CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname::text = ANY($1::text[]) AND c.relkind::text = ANY($2::text[])
  AND NOT c.relispartition AND ($3::text[] IS NULL OR c.relname::text = ANY($3))
ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, t.typcategory,
       a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_TYPES = """
SELECT oid, format_type(oid, NULL), typname, typcategory
FROM pg_type WHERE oid = ANY($1::oid[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `type` is how SQL spells it, `kind` its plain name."""

    name: str
    type: str
    kind: str
    category: str
    is_required: bool = False

    @property
    def is_text(self) -> bool:
        return self.category in "SE" or self.kind in _DOCUMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, a view, or the query; `label` is its name in ids and scopes."""

    label: str
    relation: Composable
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    title: str | None
    texts: tuple[str, ...]
    created: str | None
    updated: Column | None


async def find_tables(
    connection: AsyncConnection[Any], config: TablesConfig
) -> list[Table]:
    """Return what to read; raises ConfigError when something is not there."""
    if config.query is not None:
        found = [await _query(connection, config)]
    else:
        found = [
            _table(config, label, Identifier(*names), columns, key)
            for label, names, columns, key in await _relations(connection, config)
        ]
    known = {column.name for table in found for column in table.columns}
    asked = [*config.id_columns, *config.text_columns]
    asked += [one for one in (config.title_column, config.updated_at_column) if one]
    for name in asked:
        if name not in known:
            raise ConfigError(f"No table that is read has a column '{name}'")
    return found


async def _relations(
    connection: AsyncConnection[Any], config: TablesConfig
) -> list[tuple[str, tuple[str, str], tuple[Column, ...], list[str]]]:
    rows: list[tuple[Any, ...]] = []
    if config.tables:
        for one in config.tables:
            rows += await _named(connection, config, one)
    else:
        rows = await _select(connection, (config.schemas, ["r", "p"], None))
        if not rows:
            raise ConfigError(f"No tables in {', '.join(config.schemas)}")
    found = []
    by_oid = {row[0]: row for row in rows}  # a table may be named twice
    for oid, schema, name, key in by_oid.values():
        cursor = await connection.execute(_COLUMNS, (oid,))
        columns = tuple(
            Column(
                name=row[0],
                type=row[1],
                kind=row[2],
                category=row[3],
                is_required=row[4],
            )
            for row in await cursor.fetchall()
        )
        label = f"{plain_label(schema)}.{plain_label(name)}"
        found.append((label, (schema, name), columns, key))
    return found


async def _named(
    connection: AsyncConnection[Any], config: TablesConfig, name: str
) -> list[tuple[Any, ...]]:
    """Find one table by "table" or "schema.table"; a name may hold a dot itself."""
    kinds = ["r", "p", "v", "m", "f"]
    rows = await _select(connection, (config.schemas, kinds, [name]))
    schema, dot, table = name.partition(".")
    if not rows and dot:
        rows = await _select(connection, ([schema], kinds, [table]))
    if not rows:
        raise ConfigError(f"There is no table '{name}' that this user can see")
    return rows


async def _select(
    connection: AsyncConnection[Any], values: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(_RELATIONS, values)
    return await cursor.fetchall()


async def _query(connection: AsyncConnection[Any], config: TablesConfig) -> Table:
    # a newline ends a comment
    relation = SQL("({}\n)").format(SQL(config.query or ""))
    cursor = await connection.execute(
        SQL("SELECT * FROM {} AS t LIMIT $1").format(relation), (0,)
    )
    described = [(one.name, one.type_code) for one in cursor.description or ()]
    cursor = await connection.execute(_TYPES, ([oid for _, oid in described],))
    types = {row[0]: row[1:] for row in await cursor.fetchall()}
    columns = tuple(
        Column(
            name=name, type=types[oid][0], kind=types[oid][1], category=types[oid][2]
        )
        for name, oid in described
    )
    return _table(config, "query", relation, columns, [])


def _table(
    config: TablesConfig,
    label: str,
    relation: Composable,
    columns: tuple[Column, ...],
    primary_key: list[str],
) -> Table:
    by_name = {column.name: column for column in columns}
    key = primary_key
    if config.id_columns and all(name in by_name for name in config.id_columns):
        key = config.id_columns
    if not key:
        raise ConfigError(f"The table '{label}' has no primary key: name ID columns")
    texts = _texts(config, columns)
    title = config.title_column if config.title_column in by_name else None
    return Table(
        label=label,
        relation=relation,
        columns=columns,
        key=tuple(by_name[name] for name in key),
        title=title or next((name for name in texts if by_name[name].is_text), None),
        texts=texts,
        created=_first_time(by_name, CREATED_NAMES),
        updated=by_name.get(_first_time(by_name, _updated_names(config)) or ""),
    )


def _updated_names(config: TablesConfig) -> tuple[str, ...]:
    return (config.updated_at_column,) if config.updated_at_column else UPDATED_NAMES


def _first_time(by_name: dict[str, Column], names: tuple[str, ...]) -> str | None:
    found = (name for name in names if name in by_name)
    return next((name for name in found if by_name[name].kind in _TIMES), None)


def _texts(config: TablesConfig, columns: tuple[Column, ...]) -> tuple[str, ...]:
    chosen = [one.name for one in columns if one.name in config.text_columns]
    if not chosen:
        chosen = [one.name for one in columns if one.is_text]
    if not chosen:
        chosen = [one.name for one in columns if one.kind != "bytea"]
    return tuple(chosen)
