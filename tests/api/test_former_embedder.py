"""What a search says while vectors are of an embedder that is out of reach."""

from typing import Any

import pytest
from sqlalchemy import text
from tests.api.test_mcp import call, said
from tests.api.test_search_agentic import FINISH, events_of
from tests.api.thinking import thinking
from tests.scripted_model import calls, plan

FALLBACK = "x-search-fallback"
WHY = "the collection's vectors are of voyage:gone"


@pytest.fixture
async def path(given: Any, put_entity: Any, parts: Any) -> str:
    """A collection with one entity, whose vectors nobody can make any more."""
    mine = await given.connection(name="Mine here", sync_immediately=False)
    await put_entity(mine["id"], "a", "a wing")
    async with parts.db.begin() as connection:
        await connection.execute(
            text("UPDATE collection SET embedding_model_name = 'voyage:gone-日'")
        )
    return f"/collections/{mine['readable_collection_id']}/search"


async def test_a_hybrid_search_is_one_by_words_and_says_so(
    client: Any, path: str
) -> None:
    response = await client.post(f"{path}/instant", json={"query": "wing"})

    assert len(response.json()["results"]) == 1
    said = response.headers["x-search-fallback"]
    assert said.startswith("keyword; the collection's vectors are of voyage:gone")


async def test_a_semantic_search_says_why_it_cannot_be(client: Any, path: str) -> None:
    asked = {"query": "wing", "retrieval_strategy": "semantic"}

    response = await client.post(f"{path}/instant", json=asked)

    assert response.status_code == 503
    assert "until they are made anew with null" in response.json()["detail"]


async def test_a_search_by_words_is_as_always(client: Any, path: str) -> None:
    asked = {"query": "wing", "retrieval_strategy": "keyword"}

    response = await client.post(f"{path}/instant", json=asked)

    assert len(response.json()["results"]) == 1
    assert "x-search-fallback" not in response.headers


async def test_former_clients_are_told_too(client: Any, path: str) -> None:
    plain = {"expand_query": False, "rerank": False, "generate_answer": False}
    without_model = await client.post(path, json={"query": "wing", **plain})
    both = await client.post(path, json={"query": "wing"})

    assert without_model.headers[FALLBACK].startswith(f"keyword; {WHY}")
    said = f"keyword; no language model is configured; {WHY}"
    assert both.headers[FALLBACK].startswith(said)


@pytest.mark.parametrize("strategy", ["hybrid", "semantic"])
@pytest.mark.parametrize("variations", [[], ["tail"]])
async def test_classic_searches_by_words_whatever_its_model_chose(
    parts: Any, key: str, path: str, strategy: str, variations: list[str]
) -> None:
    line = plan("wing", *variations, retrieval_strategy=strategy)
    async with thinking(parts, key, line) as wired:
        response = await wired.client.post(f"{path}/classic", json={"query": "wing"})

    assert [one["name"] for one in response.json()["results"]] == ["a"]
    assert response.headers[FALLBACK].startswith(f"keyword; {WHY}")


async def test_classic_tells_both_reasons(client: Any, path: str) -> None:
    response = await client.post(f"{path}/classic", json={"query": "wing"})

    assert len(response.json()["results"]) == 1
    said = f"keyword; no language model is configured; {WHY}"
    assert response.headers[FALLBACK].startswith(said)


async def test_agentic_finds_by_words_and_still_looks_up(
    parts: Any, key: str, path: str
) -> None:
    found = ["a__chunk_0"]
    lines = (
        calls(("search", {"query": "wing", "retrieval_strategy": "semantic"})),
        calls(("read", {"entity_ids": found}), ("count", {})),
        calls(("add_to_results", {"entity_ids": found})),
        FINISH,
    )
    async with thinking(parts, key, *lines, *lines) as wired:
        response = await wired.client.post(f"{path}/agentic", json={"query": "wing"})
        told = wired.model.told()
        done = (await events_of(wired, f"{path}/agentic"))[-1]

    assert [one["entity_id"] for one in response.json()["results"]] == found
    assert response.headers[FALLBACK].startswith(f"keyword; {WHY}")
    assert told[0]["searched_by_words_only"].startswith(WHY)
    assert [one["entity_id"] for one in told[1]["passages"]] == found
    assert (done["type"], len(done["results"])) == ("done", 1)
    assert done["fallback"].startswith(WHY)


async def test_agents_are_told_over_mcp(client: Any, path: str) -> None:
    collection = path.split("/")[2]
    result = await call(client, "search", collection=collection, query="wing")

    assert result.structuredContent is not None
    assert len(result.structuredContent["results"]) == 1
    assert result.structuredContent["fallback"].startswith(WHY)
    assert f"Searched by words only: {WHY}" in said(result)
