"""Searching over HTTP."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from wellhead.domain.entities import Breadcrumb
from wellhead.domain.filters import MOST_CONDITIONS, MOST_VALUES

SYSTEM = "airweave_system_metadata."
HOSTILE = ["' OR 'a'='a", "') OR (true", "x'; DROP TABLE entity; --", '" OR ""="']
HOSTILE += ["\\' OR 1=1 --", "%", "_", "a' OR name IS NOT NULL OR 'a' = '", "\x00"]


async def found(client: Any, readable_id: str, **asked: Any) -> list[str]:
    """Return the ids that are found by words."""
    body = {"query": "wing", "retrieval_strategy": "keyword", **asked}
    response = await client.post(
        f"/collections/{readable_id}/search/instant", json=body
    )
    assert response.status_code == 200, response.text
    return [one["entity_id"] for one in response.json()["results"]]


def group(*conditions: tuple[str, str, Any]) -> Any:
    names = ("field", "operator", "value")
    return {"conditions": [dict(zip(names, one, strict=True)) for one in conditions]}


@pytest.fixture
async def shelf(given: Any, put_entity: Any) -> Any:
    """A connection with two entities in one collection, and one of another's."""
    mine = await given.connection(name="Mine here", sync_immediately=False)
    theirs = await given.connection(name="Elsewhere", sync_immediately=False)
    way = [Breadcrumb("d1", "Docs", "Folder"), Breadcrumb("d2", "Plans", "Folder")]
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    await put_entity(
        mine["id"],
        "a",
        "a wing",
        "another wing",
        breadcrumbs=way,
        created_at=moment,
        url="https://example.com/a",
        download_url="https://example.com/a.bin",
        viewers=["ann"],
        is_public=False,
        raw={"size": 3, "nested": {"deep": [1.5, None]}},
    )
    await put_entity(mine["id"], "b", "wing", entity_type="Page")
    await put_entity(theirs["id"], "secret", "wing")
    return mine


async def test_an_empty_collection_answers_with_no_results(
    given: Any, client: Any
) -> None:
    readable_id = (await given.collection())["readable_id"]

    assert await found(client, readable_id) == []


async def test_a_result_has_everything_that_clients_read(
    shelf: Any, client: Any
) -> None:
    path = f"/collections/{shelf['readable_collection_id']}/search/instant/"
    body = {"query": "another wing", "filter": [group(("name", "equals", "a"))]}
    first, *_ = (await client.post(path, json=body)).json()["results"]

    job_id = first["airweave_system_metadata"].pop("sync_job_id")
    assert first == {
        "entity_id": "a__chunk_1",
        "name": "a",
        "relevance_score": 1.0,
        "breadcrumbs": [
            {"entity_id": "d1", "name": "Docs", "entity_type": "Folder"},
            {"entity_id": "d2", "name": "Plans", "entity_type": "Folder"},
        ],
        "created_at": "2024-02-29T12:00:00Z",
        "updated_at": None,
        "textual_representation": "another wing",
        "airweave_system_metadata": {
            "source_name": "stub",
            "entity_type": "Note",
            "sync_id": shelf["id"],
            "chunk_index": 1,
            "original_entity_id": "a",
        },
        "access": {"viewers": ["ann"], "is_public": False},
        "web_url": "https://example.com/a",
        "url": "https://example.com/a.bin",
        "raw_source_fields": {"size": 3, "nested": {"deep": [1.5, None]}},
    }
    by_job = [group((f"{SYSTEM}sync_job_id", "equals", job_id))]
    ids = await found(client, shelf["readable_collection_id"], filter=by_job)
    assert sorted(ids) == ["a__chunk_0", "a__chunk_1"]


async def test_what_a_source_does_not_say_is_empty(shelf: Any, client: Any) -> None:
    path = f"/collections/{shelf['readable_collection_id']}/search/instant"
    body = {"query": "wing", "filter": [group(("name", "equals", "b"))]}
    [plain] = (await client.post(path, json=body)).json()["results"]

    assert plain["breadcrumbs"] == []
    assert plain["access"] == {"viewers": None, "is_public": None}
    assert (plain["web_url"], plain["url"]) == ("", None)
    assert plain["raw_source_fields"] == {}
    assert plain["created_at"] is None


async def test_filters_say_what_they_mean(
    shelf: Any, client: Any, subtests: pytest.Subtests
) -> None:
    cases: list[tuple[list[Any], str]] = [
        ([], "ab"),
        ([group(("name", "equals", "a")), group(("name", "equals", "b"))], "ab"),
        ([group(("name", "equals", "a"), ("name", "equals", "b"))], ""),
        ([group(("name", "in", ["b", "c"]))], "b"),
        ([group(("name", "in", "b"))], "b"),
        ([group(("name", "in", []))], ""),
        ([group(("name", "not_in", []))], "ab"),
        ([group(("breadcrumbs.name", "equals", "Plans"))], "a"),
        ([group(("breadcrumbs.name", "not_equals", "Plans"))], "b"),
        ([group(("created_at", "greater_than", "2024-02-29"))], "a"),
        ([group(("created_at", "less_than", "2024-02-29"))], ""),
        ([group(("created_at", "not_equals", "2024-02-29T12:00:00Z"))], "b"),
        ([group((f"{SYSTEM}chunk_index", "equals", 0))], "ab"),
        ([group((f"{SYSTEM}entity_type", "contains", "AGE"))], "b"),
        ([group((f"{SYSTEM}sync_id", "equals", shelf["id"]))], "ab"),
        ([group((f"{SYSTEM}sync_id", "not_equals", shelf["id"]))], ""),
    ]
    for asked, names in cases:
        with subtests.test(filter=asked):
            ids = await found(client, shelf["readable_collection_id"], filter=asked)

            assert sorted({one[0] for one in ids}) == list(names)


async def test_no_value_of_a_filter_leads_out_of_it(
    shelf: Any, client: Any, subtests: pytest.Subtests
) -> None:
    fields = ["entity_id", "name", "breadcrumbs.name", f"{SYSTEM}sync_id"]
    for value in HOSTILE:
        with subtests.test(value=value):
            for operator in ("equals", "in", "contains"):
                asked = [group((field, operator, value)) for field in fields]
                ids = await found(client, shelf["readable_collection_id"], filter=asked)
                # an underscore is just a character, and these ids have it
                assert ids == [] or (value, operator) == ("_", "contains")

            asked = [group(*((field, "not_equals", value) for field in fields))]
            ids = await found(client, shelf["readable_collection_id"], filter=asked)
            assert sorted(ids) == ["a__chunk_0", "a__chunk_1", "b__chunk_0"]


async def test_pages_follow_each_other(shelf: Any, client: Any) -> None:
    where = shelf["readable_collection_id"]
    whole = await found(client, where)

    pages = [await found(client, where, limit=1, offset=n) for n in range(4)]
    assert [page[0] for page in pages[:3]] == whole
    assert pages[3] == []


async def test_a_missing_collection_is_not_found(
    client: Any, given: Any, stranger: httpx.AsyncClient
) -> None:
    await given.collection(readable_id="mine")

    for tier in ("instant", "classic", "agentic", "agentic/stream"):
        missing = await client.post(
            f"/collections/no/search/{tier}", json={"query": "x"}
        )
        theirs = await stranger.post(
            f"/collections/mine/search/{tier}", json={"query": "x"}
        )

        assert (missing.status_code, theirs.status_code) == (404, 404)
        assert missing.json() == {"detail": "Collection 'no' not found"}


def _filter(field: str, operator: str, value: Any) -> Any:
    return {"query": "x", "filter": [group((field, operator, value))]}


VALUE = "body.filter.0.conditions.0.value"
CONDITION = "body.filter.0.conditions.0"
BAD_SEARCHES: list[Any] = [
    ({}, "body.query"),
    ({"query": "  "}, "body.query"),
    ({"query": "\x1c"}, "body.query"),
    ({"query": 7}, "body.query"),
    ({"query": "x" * 40_000}, "body.query"),
    ({"query": "x", "limit": 0}, "body.limit"),
    ({"query": "x", "limit": 1001}, "body.limit"),
    ({"query": "x", "offset": -1}, "body.offset"),
    ({"query": "x", "retrieval_strategy": "magic"}, "body.retrieval_strategy"),
    ({"query": "x", "filter": {"must": []}}, "body.filter"),
    ({"query": "x", "filter": [{}]}, "body.filter.0.conditions"),
    ({"query": "x", "filter": [{"conditions": []}]}, "body.filter.0.conditions"),
    (_filter("nope", "equals", "x"), f"{CONDITION}.field"),
    (_filter("name", "is", "x"), f"{CONDITION}.operator"),
    (_filter("name", "equals", None), VALUE),
    (_filter("name", "equals", 1.5), VALUE),
    (_filter("name", "in", ["a", 1]), VALUE),
    (_filter("name", "in", [None]), VALUE),
    (_filter("name", "in", {"a": 1}), VALUE),
    (_filter("name", "greater_than", "x"), CONDITION),
    (_filter("name", "equals", ["a"]), CONDITION),
    (_filter("created_at", "equals", "yesterday"), CONDITION),
    (_filter("created_at", "in", ["2024-01-01", "soon"]), CONDITION),
    (_filter("created_at", "equals", 20240101), CONDITION),
    (_filter("created_at", "contains", "2024"), CONDITION),
    (_filter(f"{SYSTEM}chunk_index", "equals", "three"), CONDITION),
    (_filter(f"{SYSTEM}chunk_index", "equals", True), CONDITION),
    (_filter(f"{SYSTEM}chunk_index", "in", 3), CONDITION),
    (_filter("name", "in", ["x"] * (MOST_VALUES + 1)), "body.filter"),
    ({"query": "x", "filter": [{}] * (MOST_CONDITIONS + 1)}, "body.filter"),
    (
        {"query": "x", "filter": [{"conditions": [{}] * (MOST_CONDITIONS + 1)}]},
        "body.filter",
    ),
]


async def test_a_bad_search_names_the_field_once(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    path = f"/collections/{(await given.collection())['readable_id']}/search"
    for body, where in BAD_SEARCHES:
        with subtests.test(body=str(body)[:100], where=where):
            response = await client.post(f"{path}/instant", json=body)

            assert response.status_code == 422
            [error] = response.json()["errors"]
            assert list(error) == [where]
            assert len(error[where]) < 1000


async def test_every_tier_refuses_a_bad_search_before_it_begins(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    path = f"/collections/{(await given.collection())['readable_id']}/search"
    for tier in ("classic", "agentic", "agentic/stream"):
        for body, where in (
            ({"query": "  "}, "body.query"),
            ({"query": "x", "limit": 0}, "body.limit"),
            (_filter("name", "equals", None), VALUE),
            (_filter("created_at", "contains", "2024"), CONDITION),
        ):
            with subtests.test(tier=tier, where=where):
                response = await client.post(f"{path}/{tier}", json=body)

                assert response.status_code == 422
                assert list(response.json()["errors"][0]) == [where]


async def test_half_a_surrogate_pair_is_no_bug(
    shelf: Any, client: Any, subtests: pytest.Subtests
) -> None:
    path = f"/collections/{shelf['readable_collection_id']}/search"
    for body in (
        {"query": "\ud800"},
        _filter("name", "not_equals", "\ud800"),
        _filter("name", "in", ["\ud800"]),
    ):
        for tier in ("instant", "classic", "agentic/stream"):
            with subtests.test(body=ascii(body), tier=tier):
                response = await client.post(f"{path}/{tier}", content=json.dumps(body))

                assert response.status_code in (200, 422), response.text


async def test_odd_searches_are_answered(
    shelf: Any, client: Any, subtests: pytest.Subtests
) -> None:
    path = f"/collections/{shelf['readable_collection_id']}/search/instant"
    for body, count in (
        ({"query": "!!! ?", "retrieval_strategy": "keyword"}, 0),
        ({"query": "wing " * 2_000, "retrieval_strategy": "keyword"}, 3),
        ({"query": "wing", "retrieval_strategy": "neural"}, 3),
        ({"query": "wing", "retrieval_strategy": "semantic", "limit": 1000}, 3),
        ({"query": "wing", "offset": 50_000}, 0),
        ({"query": "wing", "filter": None}, 3),
        ({"query": "wing", "thinking": True, "unknown": [1]}, 3),
        (_filter("name", "equals", "x" * 100_000), 0),
        (_filter(f"{SYSTEM}chunk_index", "less_than", 10**30), 3),
        (_filter(f"{SYSTEM}sync_id", "equals", str(uuid4())), 0),
    ):
        with subtests.test(body=str(body)[:100]):
            response = await client.post(path, json=body)

            assert response.status_code == 200, response.text
            assert len(response.json()["results"]) == count
