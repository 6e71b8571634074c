"""The SQLite source, on real files."""

import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.sources.conftest import Connect

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CursorInvalidError, RetryableError
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.sources.conformance import CHECKS
from wellhead.sources.connectors.sqlite import SQLiteSource

TABLES = """
CREATE TABLE notes (
    id INTEGER PRIMARY KEY, title TEXT, body TEXT, price REAL, photo BLOB,
    updated_at TEXT
);
INSERT INTO notes
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
SELECT i, 'Note ' || i, 'content of ' || i, 9e999, x'0102', '2026-01-02 03:04:05'
FROM n;
CREATE TABLE "odd.name" (a TEXT, b INT, "what ""it"" is" TEXT, PRIMARY KEY (a, b));
INSERT INTO "odd.name" VALUES
    ('x/y', 1, 'Valve'), ('50%', 1, 'Pump'), ('50%', 2, 'Hose'), (NULL, 3, 'Lost');
CREATE VIEW dear AS SELECT id, title FROM notes WHERE id > 23;
"""
Make = Callable[..., SQLiteSource]


def change(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    change(tmp_path / "shop.db", TABLES)
    return tmp_path / "shop.db"


@pytest.fixture
async def source(path: Path) -> AsyncIterator[Make]:
    made: list[SQLiteSource] = []

    def make(**config: Any) -> SQLiteSource:
        given = {"path": str(path), "page_size": 10, **config}
        made.append(SQLiteSource.create(given, {}))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def read(one: SQLiteSource, cursor: dict[str, Any] | None = None) -> list[Item]:
    return [item async for item in one.read(cursor)]


def entities(items: list[Item]) -> dict[str, Entity]:
    found = [item.entity for item in items if isinstance(item, Upsert)]
    return {entity.source_id: entity for entity in found}


@pytest.mark.parametrize("check", CHECKS)
async def test_the_source_conforms(source: Make, check: str) -> None:
    assert SQLiteSource.info.short_name == "sqlite"
    assert await CHECKS[check](source) == []


async def test_every_row_of_every_table_is_listed_in_its_scope(source: Make) -> None:
    items = await read(source())
    scopes = [item for item in items if isinstance(item, ScopeStart | ScopeEnd)]

    assert scopes == [
        ScopeStart(),
        ScopeStart("notes"),
        ScopeEnd("notes"),
        ScopeStart("odd%2Ename"),
        ScopeEnd("odd%2Ename"),
        ScopeEnd(),
    ]
    assert [*entities(items)][-3:] == [
        "odd%2Ename/50%25/1",
        "odd%2Ename/50%25/2",
        "odd%2Ename/x%2Fy/1",
    ]
    assert len(entities(items)) == 28


async def test_a_row_is_told_in_full(source: Make) -> None:
    entity = entities(await read(source()))["notes/7"]

    assert entity.name == "Note 7"
    assert entity.text is not None
    assert entity.text.startswith("title: Note 7\nbody: content of 7")
    assert entity.raw["photo"] == {"bytes": 2}
    assert entity.raw["price"] == "inf"
    assert entity.updated_at is not None
    assert entity.updated_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert [step.name for step in entity.breadcrumbs] == ["shop.db", "notes"]


async def test_rows_are_added_changed_and_deleted_between_two_jobs(
    path: Path, connect: Connect
) -> None:
    bench = await connect("sqlite", {"path": str(path), "tables": ["notes"]}, {})
    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    change(
        path,
        "INSERT INTO notes (id, title) VALUES (99, 'content that is new');"
        "UPDATE notes SET body = 'content that is other' WHERE id = 1;"
        "DELETE FROM notes WHERE id = 2",
    )
    second = await bench.sync()

    assert second.status is JobStatus.COMPLETED, second.error
    counts = second.counts
    assert (first.counts.inserted, counts.kept) == (25, 23)
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 1)
    shown = await bench.world()
    assert "other" in shown["notes/1"]
    assert "notes/2" not in shown


async def test_a_view_is_read_by_name_with_id_columns(source: Make) -> None:
    items = await read(source(tables=["dear"], id_columns=["id"]))

    assert [*entities(items)] == ["dear/24", "dear/25"]
    with pytest.raises(ConfigError, match="'dear' has no primary key: name ID"):
        await source(tables=["dear"]).check()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"path": "/no/such.db"}, "There is no file '/no/such.db'"),
        ({"tables": ["gone"]}, "There is no table 'gone'"),
        ({"title_column": "gone"}, "has a column 'gone'"),
    ],
)
async def test_what_is_not_there_is_named(
    source: Make, config: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        await source(**config).check()


async def test_a_file_that_is_no_database_is_refused(
    source: Make, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough" * 40)

    with pytest.raises(ConfigError, match="file is not a database"):
        await source(path=str(tmp_path / "text.db")).check()


async def test_another_choice_makes_a_resumed_listing_start_again(
    source: Make,
) -> None:
    items = await read(source())
    token = next(item.token for item in items if isinstance(item, Checkpoint))

    with pytest.raises(CursorInvalidError):
        await read(source(tables=["notes"]), token)


async def test_a_file_that_is_locked_may_be_asked_again(
    source: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = "wellhead.sources.connectors.sqlite.tables"
    monkeypatch.setattr(f"{tables}._BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RetryableError, match="is in use: database is locked"):
            await source().check()


async def test_the_file_is_never_written(source: Make, path: Path) -> None:
    before = digest(path)
    one = source()
    await read(one)

    assert one._connection is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        one._connection.execute("DELETE FROM notes")
    assert digest(path) == before


async def test_many_rows_are_listed_with_little_memory(
    source: Make, path: Path, tell: Callable[[str], None]
) -> None:
    change(
        path,
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 20099) INSERT INTO notes (id, title, photo)"
        " SELECT i, 'Note ' || i, zeroblob(4096) FROM n",
    )
    one, count = source(page_size=500, tables=["notes"]), 0
    tracemalloc.start()
    async for item in one.read(None):
        count += isinstance(item, Upsert)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 20_025
    assert peak < 8 * 2**20
    tell(f"sqlite: 20,000 rows listed, {peak / 2**20:.1f} MB at most")
