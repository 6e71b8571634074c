"""One search as a language model plans it, within what the user asked for."""

from typing import Any

import pytest
from tests.api.thinking import Shortest, thinking
from tests.scripted_model import plan, refuses, says

FALLBACK = "x-search-fallback"


def only(field: str, operator: str, value: Any) -> list[Any]:
    condition = {"field": field, "operator": operator, "value": value}
    return [{"conditions": [condition]}]


@pytest.fixture
async def path(given: Any, put_entity: Any) -> str:
    made = await given.connection(sync_immediately=False)
    for name in ("wing", "tail", "rudder", "invoice"):
        await put_entity(made["id"], name, f"All about the {name}")
    return f"/collections/{made['readable_collection_id']}/search/classic"


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [one["name"] for one in response.json()["results"]]


async def test_the_plan_is_what_is_searched(parts: Any, key: str, path: str) -> None:
    line = plan("rudder", "tail", "wing", retrieval_strategy="keyword")
    async with thinking(parts, key, *[line] * 3) as wired:

        async def page(**more: int) -> list[str]:
            asked = {"query": "how is it steered?", **more}
            return names(await wired.client.post(path, json=asked))

        everything = await page()
        first, second = await page(limit=2), await page(limit=2, offset=1)

    assert sorted(everything) == ["rudder", "tail", "wing"]
    assert (first, second) == (everything[:2], everything[1:3])
    asked = wired.model.asked[0]
    assert [one["function"]["name"] for one in asked["tools"]] == ["plan"]
    told, query = (one["content"] for one in asked["messages"])
    assert query == "how is it steered?"
    assert "Today is Friday, 2026-01-02 (UTC)." in told


async def test_its_filter_narrows_the_users(parts: Any, key: str, path: str) -> None:
    line = plan("about", filter_groups=only("name", "not_equals", "tail"))
    asked = {"query": "q", "filter": only("name", "in", ["tail", "rudder"])}
    async with thinking(parts, key, line) as wired:
        found = await wired.client.post(path, json=asked)

    assert names(found) == ["rudder"]
    assert FALLBACK not in found.headers


async def test_without_a_plan_it_is_searched_as_asked(
    parts: Any, key: str, path: str
) -> None:
    foolish = plan("tail", filter_groups=only("owner", "equals", "me"))
    lines = (says("I would search for rudders."), foolish, refuses(401))
    asked = {"query": "rudder", "filter": only("name", "equals", "rudder")}
    async with thinking(parts, key, *lines) as wired:
        found = [await wired.client.post(path, json=asked) for _ in lines]
        former = path.removesuffix("/classic")
        simple = await wired.client.post(former, json={"query": "rudder"})

    assert [names(one) for one in found] == [["rudder"]] * 3
    assert [one.headers[FALLBACK] for one in found] == [
        "hybrid; the language model made no usable plan",
        "hybrid; the language model made no usable plan",
        "hybrid; the language model did not answer",
    ]
    said = "hybrid; this form of search uses no language model"
    assert simple.headers[FALLBACK] == said


async def test_a_reranker_has_the_last_word(parts: Any, key: str, path: str) -> None:
    reranker = Shortest()
    line = plan("about")
    async with thinking(parts, key, line, line, reranker=reranker) as wired:
        found = await wired.client.post(path, json={"query": "q", "limit": 10})
        reranker.is_away = True
        other = await wired.client.post(path, json={"query": "q", "limit": 10})

    assert names(found)[2:] == ["rudder", "invoice"]
    assert reranker.asked[0] == ("q", 4), "the user's own question"
    scores = [one["relevance_score"] for one in found.json()["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(names(other)) == 4, "one that is away is done without"
