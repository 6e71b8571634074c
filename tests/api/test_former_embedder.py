"""What a search says while vectors are of an embedder that is out of reach."""

from typing import Any

import pytest
from sqlalchemy import text


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
