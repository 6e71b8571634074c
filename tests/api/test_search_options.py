"""What a search can be asked for besides: grouping, recency, context."""
# ruff: noqa: RUF001  # other scripts are what is tested

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.api.test_mcp import call, said
from tests.api.thinking import Shortest, thinking
from tests.scripted_model import calls, plan, refuses

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STRATEGIES = ("hybrid", "semantic", "keyword")


async def results(client: Any, where: str, **asked: Any) -> Any:
    path = f"/collections/{where}/search/instant"
    response = await client.post(path, json={"query": "wing", **asked})
    assert response.status_code == 200, response.text
    return response.json()["results"]


async def ids(client: Any, where: str, **asked: Any) -> list[str]:
    return [one["entity_id"] for one in await results(client, where, **asked)]


@pytest.fixture
async def connection(given: Any) -> Any:
    return await given.connection(sync_immediately=False)


@pytest.fixture
def where(connection: Any) -> str:
    readable_id: str = connection["readable_collection_id"]
    return readable_id


@pytest.fixture
async def book(connection: Any, put_entity: Any) -> Any:
    """A long entity that would fill a page, and short ones."""
    pages = [f"wing wing wing page {number}" for number in range(150)]
    await put_entity(connection["id"], "book", *pages)
    for number in range(12):
        await put_entity(connection["id"], f"note{number}", f"a wing in note {number}")
    return connection


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_long_entity_does_not_fill_a_grouped_page(
    book: Any, where: str, client: Any, strategy: str
) -> None:
    asked = {"retrieval_strategy": strategy, "group_by_entity": True}
    found = await results(client, where, limit=50, **asked)
    names = [one["name"] for one in found]
    pages = [
        one["name"]
        for offset in range(0, 20, 4)
        for one in await results(client, where, limit=4, offset=offset, **asked)
    ]

    assert sorted(names) == sorted(["book", *(f"note{number}" for number in range(12))])
    assert pages == names
    scores = [one["relevance_score"] for one in found]
    assert scores == sorted(scores, reverse=True)


async def test_without_grouping_it_does(book: Any, where: str, client: Any) -> None:
    found = await results(client, where, limit=20, retrieval_strategy="keyword")

    assert {one["name"] for one in found} == {"book"}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_same_search_is_answered_alike_and_pages_have_no_gaps(
    book: Any, where: str, client: Any, strategy: str
) -> None:
    asked = {"retrieval_strategy": strategy}
    whole = await ids(client, where, limit=1000, **asked)
    again = await ids(client, where, limit=1000, **asked)
    pages = [
        one
        for offset in range(0, 200, 37)
        for one in await ids(client, where, limit=37, offset=offset, **asked)
    ]

    assert len(set(whole)) == len(whole) == 162
    assert again == whole
    assert pages == whole


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_what_changed_lately_comes_first_if_that_is_asked_for(
    connection: Any, where: str, client: Any, put_entity: Any, strategy: str
) -> None:
    for name, days in (("old", 700), ("new", 1), ("middle", 90)):
        moment = NOW - timedelta(days=days)
        await put_entity(connection["id"], name, "a wing", created_at=moment)
    await put_entity(connection["id"], "undated", "a wing")
    asked = {"retrieval_strategy": strategy}
    biased = await results(client, where, recency_bias=1, **asked)

    names = [one["name"] for one in biased]
    assert names[:2] == ["new", "middle"]
    plain = await ids(client, where, **asked)
    assert await ids(client, where, recency_bias=0, **asked) == plain
    paged = [
        name
        for offset in range(5)
        for name in await ids(
            client, where, recency_bias=1, limit=1, offset=offset, **asked
        )
    ]
    assert paged == [one["entity_id"] for one in biased]


async def test_the_last_change_counts_not_the_beginning(
    connection: Any, where: str, client: Any, put_entity: Any
) -> None:
    old = NOW - timedelta(days=900)
    changed = (NOW - timedelta(days=1)).isoformat()
    await put_entity(connection["id"], "revised", "wing", "wing", created_at=old)
    await put_entity(
        connection["id"], "kept", "wing", created_at=NOW - timedelta(days=200)
    )
    await put_entity(
        connection["id"], "edited", "wing", created_at=old, updated_at=changed
    )
    [first, *_] = await results(client, where, recency_bias=0.9)

    assert first["name"] == "edited"


async def test_neighbours_come_with_a_result_if_they_are_asked_for(
    connection: Any, where: str, client: Any, put_entity: Any
) -> None:
    await put_entity(connection["id"], "a", "one", "two", "the wing", "four", "five")
    await put_entity(connection["id"], "b", "alone with a wing")
    plain = await results(client, where, retrieval_strategy="keyword")
    found = await results(client, where, retrieval_strategy="keyword", context=2)
    narrow = await results(client, where, retrieval_strategy="keyword", context=1)

    assert all("context" not in one for one in plain)
    around = {one["entity_id"]: one.get("context") for one in found}
    assert around == {
        "a__chunk_2": {"before": ["one", "two"], "after": ["four", "five"]},
        "b__chunk_0": None,
    }
    [inner] = [one["context"] for one in narrow if one["name"] == "a"]
    assert inner == {"before": ["two"], "after": ["four"]}


@pytest.fixture
async def shelf(connection: Any, put_entity: Any) -> Any:
    """Three entities of several passages, of different ages."""
    for name, days in (("old", 700), ("new", 1), ("middle", 90)):
        moment = NOW - timedelta(days=days)
        texts = ("a wing", "of steel", "a wing and a tail")
        await put_entity(connection["id"], name, *texts, created_at=moment)
    return connection


ALL: dict[str, Any] = {"group_by_entity": True, "recency_bias": 1, "context": 1}


@pytest.mark.parametrize("reranker", [None, Shortest()])
async def test_classic_takes_them_with_a_plan_and_without(
    shelf: Any, where: str, parts: Any, key: str, reranker: Any
) -> None:
    path = f"/collections/{where}/search/classic"
    line = plan("wing", "tail", retrieval_strategy="keyword")
    lines = (plan("wing"), line, line, refuses(401))
    async with thinking(parts, key, *lines, reranker=reranker) as wired:
        found = [
            (await wired.client.post(path, json={"query": "wing", **ALL})).json()
            for _ in lines
        ]

    for one in found:
        names = [each["name"] for each in one["results"]]
        assert sorted(names) == ["middle", "new", "old"], "each entity once"
        assert names[0] == "new"
        assert all(each["context"] for each in one["results"])


async def test_agentic_takes_them(shelf: Any, where: str, parts: Any, key: str) -> None:
    path = f"/collections/{where}/search/agentic"
    ids = [f"{name}__chunk_{place}" for name in ("old", "new") for place in (0, 2)]
    lines = (
        calls(("search", {"query": "wing", "retrieval_strategy": "keyword"})),
        calls(("read", {"entity_ids": ids}), ("add_to_results", {"entity_ids": ids})),
        calls(("return_results_to_user", {})),
    )
    async with thinking(parts, key, *lines) as wired:
        response = await wired.client.post(path, json={"query": "wing", **ALL})
        told = wired.model.told()

    names = [one["name"] for one in told[0]["results"]]
    assert names == ["new", "middle", "old"], "one of each, the newest first"
    results = response.json()["results"]
    assert [one["entity_id"] for one in results] == ["old__chunk_0", "new__chunk_0"]
    assert [one["context"] for one in results] == [
        {"before": [], "after": ["of steel"]},
        {"before": [], "after": ["of steel"]},
    ]


async def test_agents_take_them_over_mcp(shelf: Any, where: str, client: Any) -> None:
    asked = {"query": "tail", "strategy": "keyword", **ALL}
    result = await call(client, "search", collection=where, **asked)

    assert result.structuredContent is not None
    [first, *_] = found = result.structuredContent["results"]
    assert [one["name"] for one in found] == ["new", "middle", "old"]
    assert first["before"] == ["of steel"]
    assert "after" not in first
    assert "\nof steel\na wing and a tail" in said(result)
    refused = await call(client, "search", collection=where, query="x", context=9)
    assert refused.isError


async def test_context_is_read_for_the_page_alone(
    shelf: Any, where: str, parts: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    read_texts = parts.index.read_texts

    async def noted(*asked: Any) -> Any:
        read.append(asked)
        return await read_texts(*asked)

    monkeypatch.setattr(parts.index, "read_texts", noted)
    path = f"/collections/{where}/search/classic"
    asked = {"query": "wing", "context": 2, "limit": 1, "offset": 3}
    async with thinking(parts, key, plan("wing", "tail", "steel")) as wired:
        response = await wired.client.post(path, json=asked)

    assert len(response.json()["results"]) == 1
    assert len(read) == 1


async def test_an_entity_is_read_in_parts(
    connection: Any, where: str, client: httpx.AsyncClient, put_entity: Any
) -> None:
    await put_entity(connection["id"], "a/b.md", *(f"part {n}" for n in range(45)))
    asked: dict[str, Any] = {
        "entity_id": "a/b.md",
        "entity_type": "Note",
        "source_connection_id": connection["id"],
    }
    path = f"/collections/{where}/entities"
    first = (await client.get(path, params=asked)).json()
    last = (await client.get(path, params=asked | {"from_chunk": 40})).json()
    beyond = (await client.get(path, params=asked | {"from_chunk": 90})).json()

    texts = [one["textual_representation"] for one in first["passages"]]
    assert texts == [f"part {n}" for n in range(20)]
    assert (first["next_chunk"], first["chunk_count"]) == (20, 45)
    assert (first["name"], first["original_entity_id"]) == ("a/b.md", "a/b.md")
    assert [one["chunk_index"] for one in last["passages"]] == [40, 41, 42, 43, 44]
    assert last["next_chunk"] is beyond["next_chunk"] is None
    assert beyond["passages"] == []


async def test_only_an_entity_that_is_ones_own_is_read(
    connection: Any,
    where: str,
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    put_entity: Any,
) -> None:
    await put_entity(connection["id"], "a", "text")
    path = f"/collections/{where}/entities"
    asked: dict[str, Any] = {
        "entity_id": "a",
        "entity_type": "Note",
        "source_connection_id": connection["id"],
    }

    assert (await client.get(path, params=asked)).status_code == 200
    assert (await stranger.get(path, params=asked)).status_code == 404
    for changed in ({"entity_id": "b"}, {"source_connection_id": str(uuid4())}):
        missing = await client.get(path, params=asked | changed)
        assert missing.status_code == 404


@pytest.mark.parametrize("tier", ["instant", "classic", "agentic", "agentic/stream"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("recency_bias", 1.5), ("recency_bias", -1), ("context", 6), ("context", -1)],
)
async def test_what_cannot_be_is_refused(
    where: str, client: Any, field: str, value: Any, tier: str
) -> None:
    response = await client.post(
        f"/collections/{where}/search/{tier}", json={"query": "x", field: value}
    )

    assert response.status_code == 422
    assert list(response.json()["errors"][0]) == [f"body.{field}"]


WORDS = {
    "snake": "call retry_with_backoff before max_open_files is reached",
    "code": "the pump stops with ERR-4032 until it is reset",
    "path": "see src/wellhead/index/lance.py and C:\\Users\\ann\\notes.txt",
    "camel": "class HttpRequestParser reads it",
    "german": "Die Kühlflüssigkeit prüft der Straßenmeister",
    "french": "Le café est déjà fermé à Orléans",
    "russian": "Насос останавливается при перегреве",
    "chinese": "水泵在过热时停止运行",
    "japanese": "ポンプは過熱すると停止します",
    "version": "released as v2.14.3 on 2024-02-29",
}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("retry_with_backoff", "snake"),
        ("max_open_files", "snake"),
        ("ERR-4032", "code"),
        ("err-4032", "code"),
        ("4032", "code"),
        ("src/wellhead/index/lance.py", "path"),
        ("lance.py", "path"),
        ("notes.txt", "path"),
        ("HttpRequestParser", "camel"),
        ("Kühlflüssigkeit", "german"),
        ("kühlflüssigkeit", "german"),
        ("STRASSENMEISTER", "german"),
        ("Straßenmeister", "german"),
        ("café Orléans", "french"),
        ("cafe", "french"),
        ("насос", "russian"),
        ("水泵", "chinese"),
        ("过热", "chinese"),
        ("ポンプ", "japanese"),
        ("過熱", "japanese"),
        ("v2.14.3", "version"),
        ("2024-02-29", "version"),
    ],
)
async def test_identifiers_and_words_of_many_languages_are_found(
    connection: Any, where: str, client: Any, put_entity: Any, query: str, name: str
) -> None:
    for one, text in WORDS.items():
        await put_entity(connection["id"], one, text)
    found = await results(client, where, query=query, retrieval_strategy="keyword")

    assert [one["name"] for one in found][:1] == [name]


ADVERSARIAL = [
    "?!.,;:()[]{}<>/\\|@#$%^&*~`'\"",
    "a" * 10_000,
    "wing " * 2_000,
    "title:wing AND text:(foo OR",
    '"unbalanced',
    "wing~2 win* /wi.g/ +wing -wing ^4",
    "'; DROP TABLE entity; --",
    "{{7*7}} ${7*7} <script>alert(1)</script>",
    "\u202ereversed\u202c \u200b \ufeff",
    "\x00\x01\x02",
    "🛩️👩‍👩‍👧‍👦" * 50,
    "e\u0301" * 3_000,
    "ﷺ" * 2_000,
    "NaN Infinity null true",
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("query", ADVERSARIAL, ids=range(len(ADVERSARIAL)))
async def test_no_query_is_an_error(
    connection: Any, where: str, client: Any, put_entity: Any, query: str, strategy: str
) -> None:
    await put_entity(connection["id"], "a", "a wing")
    asked = {"retrieval_strategy": strategy, "group_by_entity": True, "context": 1}

    await results(client, where, query=query, recency_bias=0.5, **asked)
