"""Searching over HTTP."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from wellhead.api.schemas.search import FormerSearchRequest


async def test_an_empty_collection_answers_with_no_results(
    given: Any, client: Any
) -> None:
    readable_id = (await given.collection())["readable_id"]
    path = f"/collections/{readable_id}/search"

    for response in (
        await client.post(f"{path}/instant", json={"query": "hello"}),
        await client.post(f"{path}/instant/", json={"query": "!!!"}),
        await client.post(
            f"{path}/instant", json={"query": "x", "retrieval_strategy": "neural"}
        ),
        await client.post(f"{path}/instant", json={"query": "x", "limit": 1000}),
        await client.post(path, json={"query": "hello", "expand_query": True}),
        await client.post(
            path, json={"query": "hello", "source_connection_ids": [str(uuid4())]}
        ),
        await client.get(path, params={"query": "hello"}),
    ):
        assert response.status_code == 200, response.text
        assert response.json() == {"results": []}


async def test_a_missing_collection_is_not_found(
    client: Any, given: Any, stranger: httpx.AsyncClient
) -> None:
    await given.collection(readable_id="mine")

    missing = await client.post("/collections/no/search/instant", json={"query": "x"})
    theirs = await stranger.post(
        "/collections/mine/search/instant", json={"query": "x"}
    )

    assert (missing.status_code, theirs.status_code) == (404, 404)
    assert missing.json() == {"detail": "Collection 'no' not found"}


def _filter(field: str, operator: str, value: Any) -> Any:
    one = {"field": field, "operator": operator, "value": value}
    return {"query": "x", "filter": [{"conditions": [one]}]}


BAD_SEARCHES: list[Any] = [
    ({}, "body.query"),
    ({"query": "  "}, "body.query"),
    ({"query": 7}, "body.query"),
    ({"query": "x", "limit": 0}, "body.limit"),
    ({"query": "x", "limit": 1001}, "body.limit"),
    ({"query": "x", "offset": -1}, "body.offset"),
    ({"query": "x", "retrieval_strategy": "magic"}, "body.retrieval_strategy"),
    ({"query": "x", "filter": [{"conditions": []}]}, "body.filter.0.conditions"),
    (_filter("nope", "equals", "x"), "body.filter.0.conditions.0.field"),
    (_filter("name", "is", "x"), "body.filter.0.conditions.0.operator"),
    (_filter("name", "greater_than", "x"), "body.filter.0.conditions.0"),
    (_filter("created_at", "equals", "yesterday"), "body.filter.0.conditions.0"),
    (_filter("name", "equals", ["a"]), "body.filter.0.conditions.0"),
]


async def test_a_bad_search_names_the_field(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    readable_id = (await given.collection())["readable_id"]
    for body, where in BAD_SEARCHES:
        with subtests.test(body=body, where=where):
            response = await client.post(
                f"/collections/{readable_id}/search/instant", json=body
            )

            assert response.status_code == 422
            assert where in response.json()["errors"][0]


async def test_a_good_filter_is_taken(given: Any, client: Any) -> None:
    readable_id = (await given.collection())["readable_id"]
    sync_id = "airweave_system_metadata.sync_id"

    for body in (
        _filter("name", "in", ["a", "b"]),
        _filter("created_at", "greater_than", "2024-01-01"),
        _filter("airweave_system_metadata.chunk_index", "less_than", 3),
        _filter(sync_id, "equals", str(uuid4())),
    ):
        response = await client.post(
            f"/collections/{readable_id}/search/instant", json=body
        )
        assert response.status_code == 200, response.text


async def test_the_former_search_is_narrowed_to_connections() -> None:
    one, other = uuid4(), uuid4()
    asked = FormerSearchRequest.model_validate(
        {
            "query": "x",
            "source_connection_ids": [str(one), str(other)],
            "filter": [
                {"conditions": [{"field": "name", "operator": "equals", "value": "a"}]}
            ],
        }
    )

    [group] = asked.meant(uuid4()).filter

    assert [condition.field for condition in group.conditions] == [
        "name",
        "airweave_system_metadata.sync_id",
    ]
    assert group.conditions[1].values == (str(one), str(other))
