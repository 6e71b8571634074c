"""The SQLite source: every row in each job, in the order of keys."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import ConfigError, CursorInvalidError
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.connectors.sqlite.tables import (
    Table,
    find_tables,
    open_file,
    page_of,
    translated,
)
from wellhead.sources.rows import (
    CREATED_NAMES,
    ENTITY_TYPE,
    UPDATED_NAMES,
    IdColumns,
    PageSize,
    Shape,
    TextColumns,
    TitleColumn,
    digest,
    json_value,
    plain_label,
    row_id,
)

_TEXT = ("CHAR", "CLOB", "TEXT", "JSON")


class SQLiteConfig(Config):
    path: str = Field(
        min_length=1,
        title="Path",
        description="The file on the server, absolute or beginning with ~.",
    )
    tables: list[str] = Field(
        default_factory=list,
        title="Tables",
        description="Tables or views to read; by default all tables.",
    )
    id_columns: IdColumns = Field(default_factory=list)
    title_column: TitleColumn = None
    text_columns: TextColumns = Field(default_factory=list)
    page_size: PageSize = 500

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not path.startswith("~") and not Path(path).is_absolute():
            raise ValueError("must be absolute or begin with ~")
        return path


class SQLiteSource(Source):
    """Each table is a scope. Unchanged rows are told by a digest of their values."""

    info = SourceInfo(
        short_name="sqlite",
        name="SQLite",
        description="Rows of the tables of a file on the server.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Database",),
        tested=Tested.REAL_SERVER,
    )
    config_model = SQLiteConfig
    config: SQLiteConfig

    def __init__(self, config: SQLiteConfig, credentials: Any) -> None:
        super().__init__(config, credentials)
        self._path = Path(config.path).expanduser()
        self._connection: sqlite3.Connection | None = None

    async def check(self) -> None:
        await asyncio.to_thread(self._tables)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield every row; a token says where a listing that broke off goes on."""
        done, label, after = self._place(cursor)
        tables = await asyncio.to_thread(self._tables)
        yield ScopeStart()
        for table in tables:
            shape = self._shape(table)
            yield ScopeStart(shape.label)
            here = after if shape.label == label else None
            while shape.label not in done:
                rows = await asyncio.to_thread(self._page, table, here)
                for row in rows:
                    yield _item(table, shape, row)
                if len(rows) < self.config.page_size:
                    done = [*done, shape.label]
                    yield self._checkpoint(done, None, None)
                else:
                    here = [*rows[-1][: len(table.key)]]
                    yield self._checkpoint(done, shape.label, here)
            yield ScopeEnd(shape.label)
        yield ScopeEnd()

    async def close(self) -> None:
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)
            self._connection = None

    def _tables(self) -> list[Table]:
        config = self.config
        if self._connection is None:
            self._connection = open_file(self._path)
        with translated(self._path):
            found = find_tables(self._connection, config.tables, config.id_columns)
        known = {name for table in found for name in table.columns}
        for name in (*config.id_columns, *config.text_columns, config.title_column):
            if name is not None and name not in known:
                raise ConfigError(f"No table that is read has a column '{name}'")
        return found

    def _page(self, table: Table, after: list[Any] | None) -> list[tuple[Any, ...]]:
        assert self._connection is not None  # noqa: S101  # tables were found
        with translated(self._path):
            rows = page_of(self._connection, table, after, self.config.page_size)
        last = rows[-1][: len(table.key)] if rows else ()
        if any(isinstance(one, bytes) or "\ufffd" in str(one) for one in last):
            raise ConfigError(f"The keys of '{table.name}' are not text or numbers")
        return rows

    def _shape(self, table: Table) -> Shape:
        config = self.config
        texts = [one for one in table.columns if one in config.text_columns]
        told = zip(table.columns, table.kinds, strict=True)
        texts = texts or [name for name, kind in told if any(t in kind for t in _TEXT)]
        title = config.title_column if config.title_column in table.columns else None
        label = plain_label(table.name)
        return Shape(
            label=label,
            title=title or next(iter(texts), None),
            texts=tuple(texts) or table.columns,
            created=_first(table, CREATED_NAMES),
            updated=_first(table, UPDATED_NAMES),
            way=(
                Breadcrumb(self._path.name, self._path.name, "Database"),
                Breadcrumb(label, table.name, "Table"),
            ),
        )

    def _place(
        self, cursor: dict[str, Any] | None
    ) -> tuple[list[str], str | None, list[Any] | None]:
        if cursor is None:
            return [], None, None
        if cursor.get("choice") != self._choice():
            raise CursorInvalidError("other tables or columns were chosen")
        return cursor["done"], cursor["table"], cursor["after"]

    def _checkpoint(
        self, done: list[str], table: str | None, after: list[Any] | None
    ) -> Checkpoint:
        place = {"done": done, "table": table, "after": after}
        return Checkpoint({"choice": self._choice(), **place})

    def _choice(self) -> str:
        """A digest of what decides which rows are read and how they look."""
        chosen = self.config.model_dump(mode="json", exclude={"page_size"})
        return blake2b(json.dumps(chosen).encode(), digest_size=8).hexdigest()


def _item(table: Table, shape: Shape, row: tuple[Any, ...]) -> Item:
    width = len(table.columns)
    key, values = row[: len(table.key)], row[len(table.key) :]
    raw = {
        name: {"bytes": size} if size is not None else json_value(value)
        for name, value, size in zip(
            table.columns, values[:width], values[width:], strict=True
        )
    }
    told = repr((shape.label, table.columns, shape.title, shape.texts, row))
    return Upsert(shape.entity(row_id(shape.label, key), raw, digest(told)))


def _first(table: Table, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in table.columns), None)
