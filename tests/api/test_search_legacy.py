"""The former search endpoint, for clients that know no other."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from wellhead.api.schemas.search_legacy import filter_schema
from wellhead.domain.chunks import Vectors
from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import RetryableError
from wellhead.embed.null import NullEmbedder

NOTHING_FOUND: list[str] = []
HOSTILE = ["' OR 'a'='a", "') OR (true", "x'; DROP TABLE entity; --", '" OR ""="']


@pytest.fixture
async def shelf(given: Any, put_entity: Any) -> Any:
    """A connection with two entities in one collection, and one of another's."""
    mine = await given.connection(name="Mine here", sync_immediately=False)
    theirs = await given.connection(name="Elsewhere", sync_immediately=False)
    way = [Breadcrumb("d1", "Docs", "Folder")]
    await put_entity(
        mine["id"], "a", "a wing", breadcrumbs=way, url="https://example.com/a"
    )
    await put_entity(mine["id"], "b", "wing", entity_type="Page", raw={"size": 3})
    await put_entity(theirs["id"], "secret", "wing")
    return mine | {"other_id": theirs["id"]}


@pytest.fixture
def path(shelf: Any) -> str:
    return f"/collections/{shelf['readable_collection_id']}/search"


def must(key: str, **match: Any) -> Any:
    return {"must": [{"key": key, "match": match}]}


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return sorted(one["name"] for one in response.json()["results"])


async def test_the_newer_shape_is_answered_in_its_shape(client: Any, path: str) -> None:
    response = await client.post(path, json={"query": "wing"})

    assert names(response) == ["a", "b"]
    assert set(response.json()) == {"results", "completion"}
    assert response.json()["completion"] is None
    said = "hybrid; no language model is configured"
    assert response.headers["x-search-fallback"] == said
    assert "x-api-deprecation" not in response.headers


async def test_nothing_fell_back_where_no_model_was_wanted(
    client: Any, path: str
) -> None:
    body = {
        "query": "wing",
        "retrieval_strategy": "keyword",
        "expand_query": False,
        "interpret_filters": False,
        "rerank": False,
        "generate_answer": False,
        "limit": 1,
        "offset": 1,
    }
    response = await client.post(path, json=body)

    assert len(names(response)) == 1
    assert "x-search-fallback" not in response.headers


async def test_the_older_shape_is_answered_in_its_shape(client: Any, path: str) -> None:
    body = {
        "query": "wing",
        "response_type": "completion",
        "search_method": "neural",
        "recency_bias": 0.4,
        "temporal_relevance": 0.4,
        "score_threshold": 0.2,
        "expansion_strategy": "auto",
        "enable_reranking": True,
        "enable_query_interpretation": True,
        "limit": 10,
        "offset": 0,
    }
    response = await client.post(path, json=body)

    assert names(response) == ["a", "b"]
    answer = response.json()
    assert answer.pop("results")
    assert answer == {
        "response_type": "completion",
        "completion": None,
        "status": "success",
    }
    said = "semantic; no language model is configured"
    assert response.headers["x-search-fallback"] == said
    assert response.headers["x-api-deprecation"] == "true"
    assert "search/instant" in response.headers["x-api-deprecation-message"]
    assert response.headers["x-feature-removed"] == "temporal_relevance"


async def test_newer_ones_come_first_if_that_is_asked_for(
    client: Any, given: Any, put_entity: Any
) -> None:
    mine = await given.connection(sync_immediately=False)
    for name, year in (("old", 2019), ("new", 2026), ("older", 2015)):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        await put_entity(mine["id"], name, "a wing", created_at=moment)
    path = f"/collections/{mine['readable_collection_id']}/search"
    asked = {"query": "wing", "recency_bias": 1}

    posted = await client.post(path, json=asked)
    got = await client.get(path, params=asked)
    streamed = await client.post(f"{path}/stream", json=asked)

    for response in (posted, got):
        assert response.json()["results"][0]["name"] == "new"
        assert "x-feature-removed" not in response.headers
    assert streamed.text.index('"new"') < streamed.text.index('"old"')


async def test_older_clients_need_no_body(client: Any, path: str) -> None:
    asked = {"query": "wing", "response_type": "raw", "limit": 1, "offset": 1}

    response = await client.get(path, params=asked)

    assert len(names(response)) == 1
    assert response.json()["status"] == "success"
    assert response.headers["x-api-deprecation"] == "true"
    assert "x-search-fallback" not in response.headers
    completed = await client.get(
        f"{path}/", params={"query": "wing", "response_type": "completion"}
    )
    assert completed.json()["completion"] is None
    assert completed.headers["x-search-fallback"].startswith("hybrid; no language")


async def test_finding_nothing_is_a_status(client: Any, given: Any) -> None:
    readable_id = (await given.collection())["readable_id"]
    path = f"/collections/{readable_id}/search"

    for response in (
        await client.get(path, params={"query": "wing"}),
        await client.post(path, json={"query": "wing", "response_type": "raw"}),
    ):
        assert names(response) == NOTHING_FOUND
        assert response.json()["status"] == "no_results"
        assert response.json()["response_type"] == "raw"


async def test_a_result_has_the_names_that_former_clients_read(
    client: Any, path: str, shelf: Any
) -> None:
    body = {"query": "wing", "filter": must("name", value="a")}
    [one] = (await client.post(path, json=body)).json()["results"]
    [other] = (
        await client.post(path, json=body | {"filter": must("name", value="b")})
    ).json()["results"]

    assert one["id"] == one["entity_id"] == "a__chunk_0"
    assert one["textual_representation"] == one["md_content"] == "a wing"
    assert one["url"] == one["web_url"] == "https://example.com/a"
    assert isinstance(one["score"], float)
    assert one["source_name"] == "stub"
    assert one["breadcrumbs"][0]["name"] == "Docs"
    assert one["airweave_system_metadata"]["sync_id"] == shelf["id"]
    assert one["system_metadata"] == one["airweave_system_metadata"]
    assert (other["entity_type"], other["source_fields"]) == ("Page", {"size": 3})


async def test_former_filters_reach_the_index(
    client: Any, path: str, shelf: Any, subtests: pytest.Subtests
) -> None:
    here, there = shelf["id"], shelf["other_id"]
    cases: list[tuple[Any, str]] = [
        ({}, "ab"),
        (must("source_name", value="stub"), "ab"),
        (must("entity_type", any=["Page", "Mail"]), "b"),
        (must("airweave_system_metadata.original_entity_id", value="a"), "a"),
        ({"must_not": [{"key": "name", "match": {"text": "A"}}]}, "b"),
        ({"must_not": [{"key": "breadcrumbs.name", "match": {"value": "Docs"}}]}, "b"),
        ({"must": [{"is_null": {"key": "created_at"}}]}, "ab"),
        ({"must": [{"key": "created_at", "range": {"gte": "2020-01-01"}}]}, ""),
        ({"must_not": [{"key": "created_at", "range": {"gte": "2020-01-01"}}]}, "ab"),
        (must("source_connection_id", value=here), "ab"),
        (must("sync_id", value=there), ""),
        ({"must_not": [{"key": "sync_id", "match": {"value": here}}]}, ""),
        ({"must_not": [{}]}, ""),
        ([{"conditions": [{"field": "name", "operator": "in", "value": ["b"]}]}], "b"),
    ]
    for asked, found in cases:
        with subtests.test(filter=asked):
            response = await client.post(path, json={"query": "wing", "filter": asked})

            assert names(response) == list(found)


async def test_only_some_connections_can_be_asked(
    client: Any, path: str, shelf: Any, subtests: pytest.Subtests
) -> None:
    either = {"should": [{"key": "name", "match": {"value": one}} for one in "ab"]}
    for ids, asked, found in (
        ([shelf["id"]], None, "ab"),
        ([shelf["id"]], must("name", value="b"), "b"),
        ([shelf["id"]], either, "ab"),
        ([shelf["other_id"]], either, ""),
        ([shelf["other_id"]], None, ""),
        ([str(uuid4()), shelf["id"]], {}, "ab"),
        ([], None, ""),
    ):
        with subtests.test(ids=ids, filter=asked):
            body: dict[str, Any] = {"query": "wing", "source_connection_ids": ids}
            if asked is not None:
                body["filter"] = asked

            assert names(await client.post(path, json=body)) == list(found)


async def test_no_former_filter_leads_out_of_the_collection(
    client: Any, path: str, subtests: pytest.Subtests
) -> None:
    fields = ["name", "entity_id", "breadcrumbs.name", "sync_id", "source_name"]
    for value in HOSTILE:
        conditions = [{"key": key, "match": {"value": value}} for key in fields]
        texts = [{"key": key, "match": {"text": value}} for key in fields]
        with subtests.test(value=value):
            for clauses, found in (
                ({"should": conditions + texts}, ""),
                ({"must_not": conditions + texts}, "ab"),
                ({"must_not": [{"must_not": conditions}]}, ""),
                ({"must": [{"has_id": [value]}]}, ""),
            ):
                body = {"query": "wing", "filter": clauses}
                assert names(await client.post(path, json=body)) == list(found)


LONG = "word " * 1_700
BAD_SEARCHES: list[Any] = [
    ({"query": " "}, "body.query", "blank"),
    ({"query": LONG}, "body.query", "about 2125 tokens"),
    ({"query": "x", "limit": 0}, "body.limit", ""),
    ({"query": "x", "limit": 1001}, "body.limit", ""),
    ({"query": "x", "retrieval_strategy": "magic"}, "body.retrieval_strategy", ""),
    ({"query": "x", "search_method": "magic"}, "body.search_method", ""),
    ({"query": "x", "response_type": "poem"}, "body.response_type", ""),
    ({"query": "x", "recency_bias": 2}, "body.recency_bias", ""),
    (
        {"query": "x", "source_connection_ids": ["x"]},
        "body.source_connection_ids.0",
        "",
    ),
    ({"query": "x", "filter": "x"}, "body.filter", "filter: must be an object"),
    ({"query": "x", "filter": must("no", value=1)}, "body.filter", "filter.must.0.key"),
    ({"query": "x", "filter": must("name", near=1)}, "body.filter", "'near' is not"),
]


async def test_a_bad_search_names_what_is_wrong(
    client: Any, path: str, subtests: pytest.Subtests
) -> None:
    for place, (body, where, said) in enumerate(BAD_SEARCHES):
        with subtests.test(body=str(body)[:100]):
            tail = "/stream" if place % 2 else ""
            response = await client.post(f"{path}{tail}", json=body)

            assert response.status_code == 422
            [error] = response.json()["errors"]
            assert said in error[where]
    for asked in ({}, {"query": " "}, {"query": LONG}, {"query": "x", "limit": 0}):
        response = await client.get(path, params=asked)

        assert response.status_code == 422
        assert "query." in next(iter(response.json()["errors"][0]))


async def test_a_query_of_two_thousand_words_is_short_enough(
    client: Any, path: str
) -> None:
    response = await client.post(path, json={"query": "wing " * 1_600})

    assert names(response) == ["a", "b"]


async def test_a_missing_collection_is_not_found(
    client: Any, path: str, stranger: httpx.AsyncClient
) -> None:
    for response in (
        await client.post("/collections/no/search", json={"query": "x"}),
        await client.get("/collections/no/search", params={"query": "x"}),
        await client.post("/collections/no/search/stream", json={"query": "x"}),
        await stranger.post(path, json={"query": "x"}),
        await stranger.post(f"{path}/stream", json={"query": "x"}),
    ):
        assert response.status_code == 404
        assert response.json()["detail"].endswith("not found")


def events(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = response.text.strip().split("\n\n")
    return [json.loads(one.removeprefix("data: ")) for one in frames]


async def test_a_stream_connects_finds_and_is_done(client: Any, path: str) -> None:
    body = {"query": "wing", "filter": must("name", value="a")}
    connected, results, done = events(await client.post(f"{path}/stream", json=body))

    assert connected["type"] == "connected"
    assert connected["ts"].endswith("Z")
    [one] = results["results"]
    assert (results["type"], one["id"]) == ("results", "a__chunk_0")
    assert (done["type"], done["completion"]) == ("done", None)
    assert done["request_id"] == connected["request_id"]


class AwayEmbedder(NullEmbedder):
    """The one that made the vectors, which nobody can reach now."""

    async def embed_query(self, text: str) -> Vectors:
        raise RetryableError("down")


async def test_a_stream_says_what_went_wrong(
    app: Any, client: Any, path: str, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(type(parts.index), "reader", broken)
    body = {"query": "wing", "retrieval_strategy": "keyword"}
    connected, error = events(await client.post(f"{path}/stream", json=body))

    assert connected["type"] == "connected"
    assert error["type"] == "error"
    assert error["transient"] is True
    assert "disk" not in error["message"]


async def test_a_stream_says_that_the_embedder_is_away(
    app: Any, client: Any, path: str, parts: Any
) -> None:
    app.state.parts = replace(parts, embedder=AwayEmbedder())
    _, error = events(await client.post(f"{path}/stream", json={"query": "wing"}))

    assert error["transient"] is True
    assert "The embedder null is not available" in error["message"]


async def test_the_language_of_former_filters_is_described(
    client: Any, anyone: httpx.AsyncClient
) -> None:
    response = await client.get("/collections/internal/filter-schema")

    assert response.status_code == 200
    assert response.json() == filter_schema()
    assert {"must", "should", "must_not"} <= set(response.json()["properties"])
    refused = await anyone.get("/collections/internal/filter-schema")
    assert refused.status_code == 401
