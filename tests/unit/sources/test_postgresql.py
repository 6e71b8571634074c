"""The PostgreSQL source against a real database."""

import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL
from pydantic import ValidationError

from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Shown,
)
from wellhead.sources.connectors.postgresql import PostgreSQLSource
from wellhead.sources.connectors.postgresql.rows import Rows
from wellhead.sources.connectors.postgresql.tables import Column, Table

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.notes (
    id bigint PRIMARY KEY, title text, body text, price numeric(10, 2), photo bytea,
    tags text[], extra jsonb, seen date, weight float8,
    created_at timestamptz NOT NULL DEFAULT '2024-01-02 03:04:05+00',
    updated_at timestamptz
);
INSERT INTO shop.notes
SELECT n, 'Note ' || n, 'Body of ' || n, n, '\\x0102', '{a,b}', '{"k": [1]}',
       'infinity', 'NaN', '2024-01-02', timestamptz '2024-02-01 00:00+00' + n * '1 h'::interval
FROM generate_series(1, 25) AS n;
CREATE TABLE shop.lines (
    "order%id" text, line int, "what it is" text, updated_at timestamp NOT NULL,
    PRIMARY KEY ("order%id", line)
);
INSERT INTO shop.lines VALUES
    ('a/b', 1, 'Valve', '2024-01-01'), ('50%', 1, 'Pump', '2024-01-02'),
    ('50%', 2, 'Hose', '2024-01-03');
"""  # noqa: E501


@pytest.fixture
async def admin(empty_database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    connect = psycopg.AsyncConnection.connect
    async with await connect(empty_database_url, autocommit=True) as connection:
        await connection.execute(TABLES)
        yield connection


@pytest.fixture
def login(empty_database_url: str, admin: AsyncConnection[Any]) -> dict[str, Any]:
    return conninfo_to_dict(empty_database_url)


def source(login: dict[str, Any], **config: Any) -> PostgreSQLSource:
    config = {"schemas": ["shop"], "page_size": 10, **config}
    place = {
        "host": login["host"],
        "port": int(login["port"]),
        "database": login["dbname"],
    }
    secret = {"user": login["user"], "password": login.get("password")}
    return PostgreSQLSource.create({**place, **config}, secret)


async def read(
    login: dict[str, Any], cursor: dict[str, Any] | None = None, **config: Any
) -> list[Item]:
    return [item async for item in source(login, **config).read(cursor)]


def rows(items: list[Item]) -> list[str]:
    return [item.entity.source_id for item in items if isinstance(item, Shown)]


def entity(items: list[Item], source_id: str) -> Entity:
    return next(
        item.entity
        for item in items
        if isinstance(item, Shown) and item.entity.source_id == source_id
    )


def last(items: list[Item]) -> dict[str, Any]:
    assert isinstance(items[-1], Checkpoint)
    return items[-1].token


async def test_every_row_of_every_table_is_listed_in_its_scope(
    login: dict[str, Any],
) -> None:
    items = await read(login)
    scopes = [item for item in items if isinstance(item, ScopeStart | ScopeEnd)]

    assert scopes == [
        ScopeStart(""),
        ScopeStart("shop.lines"),
        ScopeEnd("shop.lines"),
        ScopeStart("shop.notes"),
        ScopeEnd("shop.notes"),
        ScopeEnd(""),
    ]
    assert rows(items)[:3] == [
        "shop.lines/50%25/1",
        "shop.lines/50%25/2",
        "shop.lines/a%2Fb/1",
    ]
    assert rows(items)[3:] == [f"shop.notes/{n}" for n in range(1, 26)]


async def test_a_row_becomes_text_and_json(login: dict[str, Any]) -> None:
    note = entity(await read(login), "shop.notes/7")

    assert note.name == "Note 7"
    assert note.text == ('title: Note 7\nbody: Body of 7\nextra: {"k": [1]}')
    assert note.raw == {
        "id": 7,
        "title": "Note 7",
        "body": "Body of 7",
        "price": "7.00",
        "photo": {"bytes": 2},
        "tags": ["a", "b"],
        "extra": {"k": [1]},
        "seen": "infinity",
        "weight": "nan",
        "created_at": "2024-01-02T00:00:00+00:00",
        "updated_at": "2024-02-01T07:00:00+00:00",
    }
    assert json.loads(json.dumps(note.raw)) == note.raw
    assert note.updated_at is not None
    assert note.updated_at.isoformat() == "2024-02-01T07:00:00+00:00"
    assert note.created_at is not None


async def test_columns_can_be_chosen(login: dict[str, Any]) -> None:
    items = await read(
        login, tables=["notes"], title_column="body", text_columns=["id", "title"]
    )
    note = entity(items, "shop.notes/3")

    assert (note.name, note.text) == ("Body of 3", "id: 3\ntitle: Note 3")


async def test_a_listing_goes_on_from_any_checkpoint(login: dict[str, Any]) -> None:
    items = await read(login)
    for place, item in enumerate(items[:-1]):
        if isinstance(item, Checkpoint):
            rest = await read(login, json.loads(json.dumps(item.token)))

            assert rows(items[:place]) + rows(rest) == rows(items)
            assert rest[-2] == ScopeEnd("", complete=True)


async def test_later_runs_read_what_changed(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    cursor = last(await read(login))
    await admin.execute(
        "UPDATE shop.notes SET body = 'new', updated_at = now() WHERE id = 4"
    )
    await admin.execute("INSERT INTO shop.notes (id, title) VALUES (99, 'no time')")
    items = await read(login, cursor)

    # those just before the last change come again, for late commits
    assert set(rows(items)) == {
        "shop.notes/4",
        "shop.notes/25",
        "shop.notes/99",
        "shop.lines/50%25/2",
    }
    assert all(not one.complete for one in items if isinstance(one, ScopeEnd))
    assert set(rows(await read(login, last(items)))) == {
        "shop.notes/4",
        "shop.notes/99",
        "shop.lines/50%25/2",
    }


async def test_an_incremental_run_goes_on_from_any_checkpoint(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    cursor = last(await read(login, page_size=2))
    await admin.execute("UPDATE shop.notes SET updated_at = now() WHERE id < 6")
    await admin.execute("UPDATE shop.notes SET updated_at = NULL WHERE id > 20")
    items = await read(login, cursor, page_size=2)
    for place, item in enumerate(items[:-1]):
        if isinstance(item, Checkpoint):
            rest = await read(login, item.token, page_size=2)

            assert rows(items[:place]) + rows(rest) == rows(items)


async def test_a_time_to_come_does_not_hide_later_changes(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute("UPDATE shop.notes SET updated_at = '2999-01-01' WHERE id = 1")
    cursor = last(await read(login))
    await admin.execute("UPDATE shop.notes SET updated_at = now() WHERE id = 2")

    assert "shop.notes/2" in rows(await read(login, cursor))


async def test_a_table_that_tells_no_changes_makes_every_run_full(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute("ALTER TABLE shop.lines DROP COLUMN updated_at")
    with pytest.raises(CursorInvalidError):
        await read(login, last(await read(login)))


async def test_other_choices_make_the_cursor_invalid(login: dict[str, Any]) -> None:
    cursor = last(await read(login))
    with pytest.raises(CursorInvalidError):
        await read(login, cursor, tables=["notes"])


async def test_the_version_changes_with_the_content_only(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    before = entity(await read(login), "shop.notes/5")
    await admin.execute("UPDATE shop.notes SET body = 'silently' WHERE id = 5")
    after = await read(login)

    assert entity(after, "shop.notes/5").source_version != before.source_version
    assert (
        entity(after, "shop.notes/6").source_version
        == entity(await read(login), "shop.notes/6").source_version
    )


CELL = st.none() | st.text(st.characters(exclude_characters="\0"), max_size=3)
ROW = st.tuples(CELL, CELL, CELL | st.just("[True, False, False]"))


@given(ROW, ROW)
@example((None, "", ""), ("None", "", ""))
@example(("a", None, "b"), ("a", "None", "b"))
def test_rows_of_plain_columns_have_one_version_only_if_equal(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    rows = Rows(_table("text"), "shop")

    assert (rows.listed(one).version == rows.listed(other).version) == (one == other)


def test_a_number_in_json_is_another_than_its_text() -> None:
    rows = Rows(_table("jsonb"), "shop")

    assert rows.listed((1, "a", "k")).version != rows.listed(("1", "a", "k")).version


def _table(kind: str) -> Table:
    column = Column(name="a", type=kind, kind=kind, category="S")
    return Table(
        label="shop.cells",
        relation=SQL("cells"),
        columns=(column, column),
        key=(column,),
        title=None,
        texts=("a",),
        created=None,
        updated=None,
    )


async def test_ids_list_what_read_lists(login: dict[str, Any]) -> None:
    items = await read(login)
    seen = [
        item.ref.source_id
        async for item in source(login).ids()
        if isinstance(item, Seen)
    ]

    assert seen == rows(items)


async def test_named_rows_are_fetched_anew(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    refs = [
        Ref("TableRow", one)
        for one in ("shop.lines/50%25/2", "shop.notes/77", "gone.table/1")
    ]
    items = [item async for item in source(login).fetch(refs)]

    assert rows(items[:1]) == ["shop.lines/50%25/2"]
    assert items[1:] == [Delete(refs[1]), Delete(refs[2])]


async def test_a_query_is_read_by_its_id_columns(login: dict[str, Any]) -> None:
    query = "SELECT id, title FROM shop.notes WHERE title LIKE 'Note 1%' -- some;"
    items = await read(login, query=query, id_columns=["id"], page_size=3)

    assert rows(items) == [f"query/{n}" for n in (1, *range(10, 20))]
    assert entity(items, "query/12").text == "title: Note 12"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS id) AS t; DELETE FROM shop.notes; --",
        "WITH x AS (DELETE FROM shop.notes RETURNING id) SELECT id FROM x",
    ],
)
async def test_a_query_cannot_write(
    login: dict[str, Any], admin: AsyncConnection[Any], query: str
) -> None:
    with pytest.raises(ConfigError):
        await read(login, query=query, id_columns=["id"])
    cursor = await admin.execute("SELECT count(*) FROM shop.notes")

    assert await cursor.fetchone() == (25,)


async def test_a_view_is_read_by_its_id_columns(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute("CREATE VIEW shop.short AS SELECT id, title FROM shop.notes")

    assert len(rows(await read(login, tables=["short"], id_columns=["id"]))) == 25


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"tables": ["shop.gone"]}, "shop.gone"),
        ({"schemas": ["gone"]}, "gone"),
        ({"database": "gone"}, "gone"),
        ({"tables": ["notes"], "text_columns": ["gone"]}, "gone"),
        ({"tables": ["unkeyed"]}, "shop.unkeyed"),
        ({"query": "SELECT gone FROM shop.notes", "id_columns": ["id"]}, "gone"),
    ],
)
async def test_what_is_not_there_is_named(
    login: dict[str, Any], admin: AsyncConnection[Any], config: Any, told: str
) -> None:
    await admin.execute("CREATE TABLE shop.unkeyed (a text)")
    with pytest.raises(ConfigError, match=told):
        await source(login, **config).check()


async def test_a_table_named_twice_is_read_once(login: dict[str, Any]) -> None:
    assert len(rows(await read(login, tables=["notes", "shop.notes"]))) == 25


async def test_a_good_configuration_passes(login: dict[str, Any]) -> None:
    await source(login).check()


async def test_a_wrong_password_is_a_credentials_error(login: dict[str, Any]) -> None:
    with pytest.raises(CredentialsError) as caught:
        await source({**login, "password": "wr0ng-secret"}).check()

    assert "wr0ng-secret" not in repr(caught.value)


async def test_a_missing_right_is_named(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    await admin.execute("GRANT USAGE ON SCHEMA shop TO reader")
    try:
        reader = {**login, "user": "reader", "password": "reader"}
        with pytest.raises(ConfigError, match="permission denied for table"):
            await source(reader).check()
    finally:
        await admin.execute("DROP OWNED BY reader")
        await admin.execute("DROP ROLE reader")


async def test_a_server_that_does_not_answer_is_retried(login: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RetryableError):
        await source({**login, "host": "127.0.0.1", "port": port}).check()


async def test_a_url_replaces_the_fields(login: dict[str, Any]) -> None:
    url = f"postgresql:///{login['dbname']}?host={login['host']}&port={login['port']}"
    config = {"url": url, "schemas": ["shop"]}
    secret = {"user": login["user"], "password": login.get("password")}
    items = [item async for item in PostgreSQLSource.create(config, secret).read(None)]

    assert len(rows(items)) == 28


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"url": "postgresql://me:s3cret@host/db"},
        {"database": "d", "query": "DELETE FROM x", "id_columns": ["id"]},
        {"database": "d", "query": "SELECT 1"},
        {"database": "d", "query": "SELECT 1", "id_columns": ["a"], "tables": ["t"]},
    ],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgreSQLSource.create(config, {})

    assert "s3cret" not in str(caught.value)


async def test_leaving_a_read_early_closes_its_connection(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    reading = source(login, page_size=1).read(None)
    async for item in reading:
        if isinstance(item, Shown):
            break
    await reading.aclose()  # type: ignore[attr-defined]  # it is a generator
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'wellhead'"
    )
    for _ in range(100):
        row = await (await admin.execute(query)).fetchone()
        if row == (0,):
            return
        await admin.execute("SELECT pg_sleep(0.1)")
    pytest.fail("the connection is still open")
