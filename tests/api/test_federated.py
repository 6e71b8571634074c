"""Sources that are searched live, beside what is synced: against a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from tests.api.conftest import Given, client_of
from tests.api.test_mcp import call, done, said
from tests.api.thinking import thinking
from tests.scripted_model import calls, plan

from wellhead.api.application import create_app
from wellhead.domain.entities import Access, Entity
from wellhead.search import federation
from wellhead.services.parts import Parts
from wellhead.sources.connectors.postgresql import PostgreSQLSearchSource
from wellhead.sources.live import LiveDesk

SECONDS = 1.5
"""Within which a busy machine does answer, and slow_notes does not."""
PASSWORD = "pass-word-of-the-reader"  # noqa: S105  # of a role of this test
TABLES = f"""
CREATE TABLE notes (id int PRIMARY KEY, title text, body text, updated_at timestamptz);
INSERT INTO notes SELECT n, 'Live heron ' || n, 'a heron at the weir', '2026-01-01'
FROM generate_series(1, 30) AS n;
CREATE VIEW slow_notes AS SELECT id, title FROM notes;
CREATE ROLE "reader_%s" LOGIN PASSWORD '{PASSWORD}';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "reader_%s";
"""  # noqa: S608  # made of constants
SLOW = """
CREATE OR REPLACE VIEW slow_notes AS
SELECT id, title || pg_sleep(60) AS title FROM notes
"""
INCOMPLETE = "x-search-incomplete"
TOO_SLOW = f"it did not answer within {SECONDS:g} seconds"
LIVE = {"field": "airweave_system_metadata.source_name", "operator": "equals"}
ONLY_LIVE = [{"conditions": [{**LIVE, "value": "postgresql_search"}]}]
ONLY_SYNCED = [{"conditions": [{**LIVE, "value": "stub"}]}]


@pytest.fixture
def app(parts: Parts) -> Any:
    return create_app(replace(parts, live=LiveDesk(seconds=SECONDS)), auth=True)


@dataclass
class Pond:
    """A collection with one synced connection, and a database that is searched live."""

    given: Given
    login: dict[str, Any]
    admin: AsyncConnection[Any]
    role: str
    synced: Any

    @property
    def client(self) -> httpx.AsyncClient:
        return self.given.client

    @property
    def path(self) -> str:
        return f"/collections/{self.synced['readable_collection_id']}/search"

    async def connect(self, *tables: str, **more: Any) -> Any:
        place = {name: self.login[name] for name in ("host", "port")}
        config = {**place, "database": self.login["dbname"], "tables": tables}
        return await self.given.connection(
            short_name="postgresql_search",
            readable_collection_id=self.synced["readable_collection_id"],
            config={**config, "id_columns": ["id"]},
            authentication={
                "credentials": {"user": self.role, "password": PASSWORD},
            },
            **more,
        )

    async def find(self, tier: str = "instant", **asked: Any) -> httpx.Response:
        body = {"query": "heron", **asked}
        response = await self.client.post(f"{self.path}/{tier}", json=body)
        assert response.status_code == 200, response.text
        return response

    async def names(self, **asked: Any) -> list[str]:
        return [one["name"] for one in (await self.find(**asked)).json()["results"]]


@pytest.fixture
async def pond(
    given: Given, put_entity: Any, empty_database_url: str
) -> AsyncIterator[Pond]:
    login = conninfo_to_dict(empty_database_url)
    name = login["dbname"]
    connect = psycopg.AsyncConnection.connect
    async with await connect(empty_database_url, autocommit=True) as admin:
        await admin.execute((TABLES % (name, name)).encode())
        synced = await given.connection(sync_immediately=False)
        for one in range(5):
            await put_entity(synced["id"], f"Synced heron {one}", "a heron, synced")
        yield Pond(given, login, admin, f"reader_{name}", synced)
        await admin.execute(f'DROP OWNED BY "reader_{name}"'.encode())
        await admin.execute(f'DROP ROLE "reader_{name}"'.encode())


def missing_of(response: httpx.Response) -> list[tuple[str, str]]:
    missing = response.json()["missing_sources"]
    for one in missing:
        assert (
            f"({one['source_connection_id']}): {one['why']}"
            in (response.headers[INCOMPLETE])
        )
    return [(one["source_name"], one["why"]) for one in missing]


async def test_the_catalogue_and_connections_say_that_it_is_searched_live(
    pond: Pond,
) -> None:
    made = await pond.connect("notes")
    listed = (await pond.client.get("/source-connections")).json()
    source = (await pond.client.get("/sources/postgresql_search")).json()
    where = pond.synced["readable_collection_id"]
    collection = (await pond.client.get(f"/collections/{where}")).json()

    assert source["federated_search"] is True
    assert (made["federated_search"], made["status"]) == (True, "active")
    assert (made["sync_id"], made["sync"], made["schedule"]) == (None, None, None)
    flags = {one["short_name"]: one["federated_search"] for one in listed}
    assert flags == {"postgresql_search": True, "stub": False}
    assert collection["status"] == "ACTIVE"
    [shown] = [
        one
        for one in (await pond.client.get("/collections")).json()
        if one["readable_id"] == where
    ]
    assert shown["status"] == "ACTIVE"


async def test_it_has_no_jobs_and_no_schedule(pond: Pond) -> None:
    made = await pond.connect("notes", sync_immediately=True)
    path = f"/source-connections/{made['id']}"

    run = await pond.client.post(f"{path}/run")
    assert run.status_code == 400
    assert "searched live and never synced" in run.json()["detail"]
    assert (await pond.client.get(f"{path}/jobs")).json() == []
    hourly = {"schedule": {"cron": "0 * * * *"}}
    changed = await pond.client.patch(path, json=hourly)
    assert changed.status_code == 400
    assert "no schedule" in changed.json()["detail"]
    assert (
        await pond.client.patch(path, json={"schedule": {"cron": None}})
    ).status_code == 200
    body = {
        "short_name": "postgresql_search",
        "readable_collection_id": pond.synced["readable_collection_id"],
        "config": made["config"],
        "authentication": {"credentials": {"user": pond.role, "password": PASSWORD}},
        **hourly,
    }
    refused = await pond.client.post("/source-connections", json=body)
    assert refused.status_code == 400


async def test_what_cannot_be_searched_is_not_connected(pond: Pond) -> None:
    body = {
        "short_name": "postgresql_search",
        "readable_collection_id": pond.synced["readable_collection_id"],
        "config": {
            **{name: pond.login[name] for name in ("host", "port")},
            "database": pond.login["dbname"],
            "tables": ["absent"],
        },
        "authentication": {"credentials": {"user": pond.role, "password": PASSWORD}},
    }
    refused = await pond.client.post("/source-connections", json=body)

    assert refused.status_code == 400
    assert "There is no table 'absent'" in refused.json()["detail"]


@pytest.mark.parametrize("strategy", ["hybrid", "semantic", "keyword"])
async def test_live_and_synced_results_take_turns(pond: Pond, strategy: str) -> None:
    made = await pond.connect("notes")
    response = await pond.find(retrieval_strategy=strategy, limit=6)

    assert missing_of(response) == []
    assert INCOMPLETE not in response.headers
    results = response.json()["results"]
    kinds = [one["name"].split()[0] for one in results]
    assert kinds == ["Synced", "Live"] * 3
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    live = results[1]
    assert live["entity_id"] == "public.notes/1__chunk_0"
    assert live["airweave_system_metadata"] == {
        "source_name": "postgresql_search",
        "entity_type": "TableRow",
        "sync_id": made["id"],
        "sync_job_id": None,
        "chunk_index": 0,
        "original_entity_id": "public.notes/1",
    }
    assert live["updated_at"] == "2026-01-01T00:00:00Z"


async def test_pages_follow_each_other(pond: Pond) -> None:
    await pond.connect("notes")
    whole = [one["entity_id"] for one in (await pond.find()).json()["results"]]
    assert len(whole) == len(set(whole)) == 35
    for size in (1, 4, 7):
        paged = []
        for offset in range(0, 42, size):
            page = (await pond.find(limit=size, offset=offset)).json()["results"]
            paged += [one["entity_id"] for one in page]
        assert paged == whole


async def test_filters_hold_for_what_is_found_live(pond: Pond) -> None:
    made = await pond.connect("notes")
    third = {"field": "name", "operator": "contains", "value": "HERON 3"}
    new = {"field": "updated_at", "operator": "greater_than", "value": "2026-01-02"}
    other = {"field": "airweave_system_metadata.sync_id", "operator": "not_equals"}

    assert set(await pond.names(filter=[{"conditions": [third]}])) == {
        *("Live heron 3", "Live heron 30", "Synced heron 3")
    }
    assert await pond.names(filter=[{"conditions": [new]}]) == []
    not_it = [{"conditions": [{**other, "value": made["id"]}]}]
    for filter_ in (ONLY_SYNCED, not_it):
        assert {one[:6] for one in await pond.names(filter=filter_)} == {"Synced"}
    assert len(await pond.names(filter=ONLY_LIVE)) == 30


async def test_a_slow_source_is_named_and_slows_no_other(pond: Pond) -> None:
    slow, quick = await pond.connect("slow_notes"), await pond.connect("notes")
    await pond.admin.execute(SLOW)

    response = await pond.find(limit=1000)
    assert missing_of(response) == [("postgresql_search", TOO_SLOW)]
    assert response.json()["missing_sources"][0]["source_connection_id"] == slow["id"]
    found = response.json()["results"]
    assert len(found) == 35
    ids = {one["airweave_system_metadata"]["sync_id"] for one in found}
    assert ids == {quick["id"], pond.synced["id"]}
    # left out by the filter, it is not asked and not missed
    assert missing_of(await pond.find(filter=ONLY_SYNCED)) == []


async def test_a_source_that_refuses_is_named_and_no_secret_is(
    pond: Pond, capsys: pytest.CaptureFixture[str]
) -> None:
    await pond.connect("notes")
    await pond.admin.execute(f"ALTER ROLE \"{pond.role}\" PASSWORD 'new'".encode())

    response = await pond.find()
    assert missing_of(response) == [("postgresql_search", "it refused the credentials")]
    assert len(response.json()["results"]) == 5
    await pond.admin.execute(
        f"ALTER ROLE \"{pond.role}\" PASSWORD '{PASSWORD}'".encode()
    )
    await pond.admin.execute(b"DROP TABLE notes CASCADE")
    broken = await pond.find()
    assert missing_of(broken) == [
        ("postgresql_search", "its configuration is not right")
    ]
    told = response.text + broken.text + str(response.headers) + capsys.readouterr().out
    for secret in (PASSWORD, pond.role, str(pond.login["host"])):
        assert secret not in told


async def test_what_is_disconnected_is_not_asked(pond: Pond) -> None:
    made = await pond.connect("notes")
    await pond.client.delete(f"/source-connections/{made['id']}")

    assert len(await pond.names()) == 5


async def test_nothing_of_another_collection_or_organization_is_asked(
    pond: Pond, stranger: httpx.AsyncClient
) -> None:
    await pond.connect("notes")
    other = await pond.given.collection("Another")
    path = f"/collections/{other['readable_id']}/search/instant"
    found = await pond.client.post(path, json={"query": "heron"})
    assert found.json() == {"results": [], "missing_sources": []}
    asked = await stranger.post(f"{pond.path}/instant", json={"query": "heron"})
    assert asked.status_code == 404


async def test_former_clients_get_live_results_too(pond: Pond) -> None:
    await pond.connect("notes")
    slow = await pond.connect("slow_notes")
    await pond.admin.execute(SLOW)

    by_body = await pond.client.post(pond.path, json={"query": "heron"})
    by_address = await pond.client.get(pond.path, params={"query": "heron"})
    stream = await pond.client.post(f"{pond.path}/stream", json={"query": "heron"})
    for response in (by_body, by_address):
        assert len(response.json()["results"]) == 35
        assert slow["id"] in response.headers[INCOMPLETE]
    assert "Live heron" in stream.text


async def test_classic_asks_each_source_once(
    pond: Pond, parts: Parts, key: str
) -> None:
    await pond.connect("notes")
    await pond.connect("slow_notes")
    await pond.admin.execute(SLOW)
    one, several = plan("heron"), plan("heron", "bird", "weir", "water", "wings")
    async with thinking(
        parts, key, one, several, live=LiveDesk(seconds=SECONDS)
    ) as wired:
        for _ in range(2):
            response = await wired.client.post(
                f"{pond.path}/classic", json={"query": "what waits?", "limit": 8}
            )
            names = [each["name"] for each in response.json()["results"]]
            assert {name.split()[0] for name in names} == {"Live", "Synced"}
            assert missing_of(response) == [("postgresql_search", TOO_SLOW)]


async def test_agents_find_read_and_return_live_results(
    pond: Pond, parts: Parts, key: str
) -> None:
    await pond.connect("notes")
    await pond.connect("slow_notes")
    await pond.admin.execute(SLOW)
    one = "public.notes/7__chunk_0"
    lines = (
        calls(("search", {"query": "heron 7", "limit": 50})),
        calls(("search", {"query": "heron", "limit": 50})),
        calls(("read", {"entity_ids": [one], "neighbours": 2})),
        calls(("get_siblings", {"entity_id": one}), ("get_parent", {"entity_id": one})),
        calls(("add_to_results", {"entity_ids": [one, "Synced heron 1__chunk_0"]})),
        calls(("return_results_to_user", {})),
    )
    async with thinking(parts, key, *lines, live=LiveDesk(seconds=SECONDS)) as wired:
        asked = {"query": "which heron?"}
        response = await wired.client.post(f"{pond.path}/agentic/stream", json=asked)
        told = wired.model.told()

    events = [
        json.loads(frame.removeprefix("data: "))
        for frame in response.text.split("\n\n")[:-1]
    ]
    last = events[-1]
    assert [each["name"] for each in last["results"]] == [
        *("Live heron 7", "Synced heron 1")
    ]
    assert [each["why"] for each in last["missing_sources"]] == [TOO_SLOW]
    first, second, read, *_ = told
    assert first["sources_that_did_not_answer"] == [f"postgresql_search: {TOO_SLOW}"]
    assert any(each["name"] == "Live heron 7" for each in second["results"])
    assert [each["name"] for each in read["passages"]] == ["Live heron 7"]
    assert "a heron at the weir" in read["passages"][0]["text"]
    searches = [
        each["duration_ms"] for each in events if each.get("tool_name") == "search"
    ]
    assert searches[0] >= SECONDS * 1000 > searches[1], "the slow one is asked once"


async def test_agents_over_mcp_get_live_results(pond: Pond) -> None:
    await pond.connect("notes")
    await pond.connect("slow_notes")
    await pond.admin.execute(SLOW)
    asked = {"collection": pond.synced["readable_collection_id"], "query": "heron"}

    result = await call(pond.client, "search", **asked)
    found = result.structuredContent or {}
    assert found["missing_sources"] == [f"postgresql_search: {TOO_SLOW}"]
    assert f"Did not answer: postgresql_search: {TOO_SLOW}." in said(result)
    live = [one for one in found["results"] if one.get("live")]
    assert len(live) == 4
    read = await call(pond.client, "read_entity", uri=live[0]["uri"])
    assert read.isError
    assert "live=true" in said(read)


async def test_nobody_sees_live_results_whose_source_does_not_say_who_may(
    pond: Pond, app: Any, key: str
) -> None:
    await pond.connect("notes")
    for headers, count in (({}, 0), ({"X-As-Unlisted": "show"}, 35)):
        async with client_of(
            app, **{"x-api-key": key, "X-As-User": "ann"}, **headers
        ) as client:
            found = await client.post(f"{pond.path}/instant", json={"query": "heron"})
        assert len(found.json()["results"]) == count


class Private(PostgreSQLSearchSource):
    """Says of some rows that only others may see them."""

    async def search(self, query: str, limit: int) -> list[Entity]:
        found = await super().search(query, limit)
        mine = Access(viewers=("user:ann", "user:eve"))
        return [
            replace(one, access=mine if number % 3 else Access(viewers=("user:eve",)))
            for number, one in enumerate(found)
        ]


async def test_a_principal_sees_its_own_live_results_without_gaps(
    pond: Pond, app: Any, key: str, parts: Parts
) -> None:
    parts.sources.by_name["postgresql_search"] = Private
    await pond.connect("notes")
    async with client_of(app, **{"x-api-key": key, "X-As-User": "ann"}) as client:
        found = await client.post(f"{pond.path}/instant", json={"query": "heron"})

    results = found.json()["results"]
    assert len(results) == 20
    assert {tuple(one["access"]["viewers"]) for one in results} == {("user:ann",)}
    # 1 / (20 + rank), twice as much being the best there is
    shares = [2 * one["relevance_score"] for one in results]
    assert shares == pytest.approx([21 / (21 + place) for place in range(20)])


class Nonsense(PostgreSQLSearchSource):
    """Answers with what is no answer, or with odd texts."""

    odd: Any = ()

    async def search(self, query: str, limit: int) -> list[Entity]:
        if query == "check":
            return []
        return list(type(self).odd)


async def test_odd_answers_spoil_nothing(
    pond: Pond, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.sources.by_name["postgresql_search"] = Nonsense
    await pond.connect("notes")
    odd = Entity(
        type="T\x00",
        source_id="\ud800",
        name="n\udcff",
        text="x" * 100_000,
        raw={"nan": float("nan"), "set": {1}, "\ud800": ["\x00"]},
    )
    for answered, count, missing in (
        ([odd, odd], 6, []),
        ([None], 5, [("postgresql_search", "it failed")]),
        (
            [replace(odd, name=cast("str", None))],
            5,
            [("postgresql_search", "it failed")],
        ),
    ):
        monkeypatch.setattr(Nonsense, "odd", answered)
        response = await pond.find()
        assert len(response.json()["results"]) == count
        assert missing_of(response) == missing


async def test_a_search_whose_client_goes_away_is_cancelled(
    pond: Pond, app: Any, key: str
) -> None:
    await pond.connect("slow_notes")
    await pond.admin.execute(SLOW)
    app.state.parts = replace(app.state.parts, live=LiveDesk(seconds=600))
    gone, sent = asyncio.Event(), []
    body = json.dumps({"query": "heron"}).encode()
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": f"{pond.path}/instant",
        "raw_path": f"{pond.path}/instant".encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("wellhead", 80),
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"x-api-key", key.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    asked = asyncio.create_task(app(scope, receive, send))
    await _until_active(pond, 1)
    gone.set()
    async with asyncio.timeout(20):
        await asked
    await _until_active(pond, 0)


async def _until_active(pond: Pond, count: int) -> None:
    async with asyncio.timeout(20):
        while True:
            found = await pond.admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
                " AND state = 'active'",
                (pond.role,),
            )
            if await found.fetchone() == (count,):
                return
            await asyncio.sleep(0.05)


async def test_a_connection_whose_source_is_not_installed_is_named(
    pond: Pond, parts: Parts
) -> None:
    await pond.connect("notes")
    del parts.sources.by_name["postgresql_search"]

    response = await pond.find()
    assert missing_of(response) == [
        ("postgresql_search", "its source is not installed here")
    ]


async def test_what_one_source_adds_is_bounded(
    pond: Pond, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation, "DEPTH", 10)
    made = await pond.connect("notes")

    found = (await pond.find(limit=1000)).json()["results"]
    its = [
        one
        for one in found
        if one["airweave_system_metadata"]["sync_id"] == str(UUID(made["id"]))
    ]
    assert (len(its), len(found)) == (10, 15)
    assert await done(pond.client, "list_collections")
