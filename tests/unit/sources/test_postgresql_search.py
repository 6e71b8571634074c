"""The federated PostgreSQL source against a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CredentialsError
from wellhead.sources.connectors.postgresql import PostgreSQLSearchSource
from wellhead.sources.connectors.postgresql.search import LONGEST_TEXT

TABLES = """
CREATE TABLE notes (
  id bigint PRIMARY KEY, title text, body text, price numeric, seen date,
  photo bytea, updated_at timestamptz
);
INSERT INTO notes VALUES
  (1, 'Pump maintenance', 'Grease the bearings in May.', 1.50, '2026-01-01', '\\x01'),
  (2, 'Bearings', 'Changed together with the seals of the pumps.', NULL, NULL, NULL),
  (3, 'Valves', 'Nothing about the other machine: a pump, that is.', 3, NULL, NULL),
  (4, 'Garden', NULL, 4, NULL, NULL);
CREATE TABLE "odd Table" (
  "the key" text PRIMARY KEY, "what it is" text, wellhead_text text,
  vec tsvector GENERATED ALWAYS AS (to_tsvector('simple', "what it is")) STORED
);
INSERT INTO "odd Table" VALUES ('50%/a', 'Ein Ventil, kein Pümpchen', 'unseen word');
"""


@pytest.fixture
async def admin(empty_database_url: str) -> AsyncIterator[AsyncConnection[Any]]:
    connect = psycopg.AsyncConnection.connect
    async with await connect(empty_database_url, autocommit=True) as connection:
        await connection.execute(TABLES)
        yield connection


@pytest.fixture
def login(empty_database_url: str, admin: Any) -> dict[str, Any]:
    return conninfo_to_dict(empty_database_url)


def source(login: dict[str, Any], **config: Any) -> PostgreSQLSearchSource:
    place = {"host": login["host"], "port": login["port"], "database": login["dbname"]}
    secret = {"user": login["user"], "password": config.pop("password", None)}
    secret["password"] = secret["password"] or login.get("password")
    return PostgreSQLSearchSource.create({**place, **config}, secret)


async def find(
    login: dict[str, Any], query: str, limit: int = 10, **config: Any
) -> list[Entity]:
    return list(await source(login, **config).search(query, limit))


async def ids(login: dict[str, Any], query: str, **config: Any) -> list[str]:
    return [one.source_id for one in await find(login, query, **config)]


async def test_rows_are_found_by_their_words_and_titles_count_more(
    login: dict[str, Any],
) -> None:
    found = await find(login, "bearing", tables=["notes"])

    assert [one.source_id for one in found] == ["public.notes/2", "public.notes/1"]
    assert found[1].name == "Pump maintenance"
    assert found[1].text == "title: Pump maintenance\nbody: Grease the bearings in May."
    assert found[1].raw["price"] == "1.50"
    assert found[1].raw["photo"] == {"bytes": 1}
    assert [step.name for step in found[1].breadcrumbs][1:] == ["public.notes"]


async def test_sentences_find_what_holds_some_words_after_what_holds_all(
    login: dict[str, Any],
) -> None:
    asked = "Which bearings of pumps are greased?"
    found = await ids(login, asked, tables=["notes"])

    assert found[0] == "public.notes/1"
    assert set(found) == {f"public.notes/{one}" for one in (1, 2, 3)}


async def test_operators_mean_what_they_say(login: dict[str, Any]) -> None:
    for query, wanted in (
        ("pump -bearings", {3}),
        ('"seals of the pumps"', {2}),
        ("garden or valves", {3, 4}),
        ("pump", {1, 2, 3}),
        ("the", set()),
        ("nowhere", set()),
    ):
        found = await ids(login, query, tables=["notes"])
        assert set(found) == {f"public.notes/{one}" for one in wanted}, query


async def test_a_search_vector_of_the_table_is_used_and_not_shown(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    [found] = await find(login, "ventil", language="simple")

    assert found.source_id == "public.odd%20Table/50%25%2Fa".replace("%20", " ")
    assert sorted(found.raw) == ["the key", "wellhead_text", "what it is"]
    assert await ids(login, "unseen", language="simple") == []


async def test_an_index_on_the_vector_is_used(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute(
        "INSERT INTO \"odd Table\" SELECT n, 'filler ' || n, ''"
        " FROM generate_series(1, 3000) AS n"
    )
    await admin.execute('CREATE INDEX words ON "odd Table" USING gin (vec)')
    await admin.execute('VACUUM ANALYZE "odd Table"')

    found = await ids(login, "ventil", language="simple", tables=["odd Table"])
    assert len(found) == 1
    for _ in range(100):  # statistics come a little later
        used = await admin.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'words'"
        )
        [count] = await used.fetchone() or (0,)
        if count:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the table was read from end to end")


async def test_several_tables_are_one_ranking(login: dict[str, Any]) -> None:
    found = await ids(login, "ventil or pump or bearings", language="simple")
    assert {one.split("/")[0] for one in found} == {"public.notes", "public.odd Table"}
    assert (
        await ids(login, "ventil or pump", language="simple", limit=1)
        == (await ids(login, "ventil or pump", language="simple"))[:1]
    )


async def test_of_a_long_text_the_parts_with_the_words_are_shown(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute(
        "INSERT INTO notes (id, title, body) SELECT 9, 'Long',"
        " repeat('filler ', 100000) || 'the heron ' || repeat('filler ', 100000)"
    )
    # what is beyond the part that is looked at is not found, and is no error
    assert await ids(login, "heron", tables=["notes"]) == []

    await admin.execute(
        "UPDATE notes SET body = repeat('filler ', 9000) || 'the heron '"
        " || repeat('filler ', 200000) WHERE id = 9"
    )
    [found] = await find(login, "heron", tables=["notes"])
    assert found.text is not None
    assert "the heron" in found.text
    assert len(found.text) < 2 * LONGEST_TEXT


async def test_what_is_wrong_is_said_as_what_should_happen_next(
    login: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match="no table 'absent'"):
        await source(login, tables=["absent"]).check()
    with pytest.raises(ConfigError, match="klingon"):
        await source(login, language="klingon").check()
    with pytest.raises(CredentialsError):
        await source(login, password="wrong").check()  # noqa: S106  # is none


async def test_a_search_that_is_cancelled_stops_in_the_database(
    login: dict[str, Any], admin: AsyncConnection[Any]
) -> None:
    await admin.execute(
        "CREATE VIEW slow AS SELECT id, title || pg_sleep(60) AS title FROM notes"
    )
    asked = source(login, tables=["slow"], id_columns=["id"])
    task = asyncio.create_task(asked.search("pump", 10))
    await _until(admin, active=1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await _until(admin, active=0)


async def _until(admin: AsyncConnection[Any], *, active: int) -> None:
    async with asyncio.timeout(20):
        while True:
            found = await admin.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state = 'active'"
            )
            if await found.fetchone() == (active,):
                return
            await asyncio.sleep(0.05)
