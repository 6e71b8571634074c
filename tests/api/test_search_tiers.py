"""The tiers of search that think, where there is no language model."""

import json
from typing import Any

import httpx
import pytest
from airweave import AsyncAirweaveSDK
from airweave.core.api_error import ApiError

FILTER = [
    {"conditions": [{"field": "name", "operator": "not_equals", "value": "other"}]}
]


@pytest.fixture
async def path(given: Any, put_entity: Any) -> str:
    made = await given.connection(sync_immediately=False)
    await put_entity(made["id"], "note", "a wing")
    return f"/collections/{made['readable_collection_id']}/search"


async def test_classic_answers_like_instant_and_says_so(client: Any, path: str) -> None:
    asked = {"query": "wing", "filter": FILTER, "limit": 3, "offset": 0}

    classic = await client.post(f"{path}/classic", json=asked)
    instant = await client.post(f"{path}/instant", json=asked)

    assert classic.status_code == 200
    assert classic.json() == instant.json()
    assert len(classic.json()["results"]) == 1
    said = "hybrid; no language model is configured"
    assert classic.headers["x-search-fallback"] == said
    assert "x-search-fallback" not in instant.headers


async def test_web_pages_may_read_that_it_fell_back(client: Any, path: str) -> None:
    origin = "http://localhost:8080"
    response = await client.post(
        f"{path}/classic", json={"query": "wing"}, headers={"Origin": origin}
    )

    assert "X-Search-Fallback" in response.headers["access-control-expose-headers"]


async def test_classic_chooses_the_strategy_itself(client: Any, path: str) -> None:
    asked = {"query": "!!!", "retrieval_strategy": "keyword"}

    response = await client.post(f"{path}/classic", json=asked)
    assert len(response.json()["results"]) == 1


async def test_agentic_says_what_to_use_instead(client: Any, path: str) -> None:
    asked = {"query": "wing", "thinking": True, "filter": FILTER, "limit": None}

    response = await client.post(f"{path}/agentic", json=asked)

    assert response.status_code == 503
    detail = response.json()["detail"]
    assert detail.startswith("No LLM provider configured. ")
    assert "instant" in detail
    assert "retry-after" not in response.headers


async def test_the_stream_starts_and_then_says_why_it_ends(
    client: Any, path: str
) -> None:
    asked = {"query": "wing\n\ndata: x", "thinking": True, "filter": FILTER, "limit": 5}

    response = await client.post(
        f"{path}/agentic/stream/", json=asked, headers={"X-Request-ID": "mine-1"}
    )

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    frames = response.text.split("\n\n")
    assert frames.pop() == ""
    started, error = (json.loads(one.removeprefix("data: ")) for one in frames)
    assert response.headers["x-request-id"] == "mine-1"
    assert started == {
        "type": "started",
        "request_id": "mine-1",
        "tier": "agentic",
        "collection_readable_id": path.split("/")[2],
        **asked,
    }
    assert error["type"] == "error"
    assert error["message"].startswith("No LLM provider configured.")


async def test_the_public_client_follows_the_stream(
    app: Any, key: str, path: str
) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as wire:
        sdk = AsyncAirweaveSDK(
            api_key=key, base_url="http://wellhead", httpx_client=wire
        )
        tiers = sdk.collections.search
        readable_id = path.split("/")[2]

        events = [one async for one in tiers.stream_agentic(readable_id, query="wing")]
        classic = await tiers.classic(readable_id, query="wing")
        with pytest.raises(ApiError) as refused:
            await tiers.agentic(readable_id, query="wing")

    assert [one.type for one in events] == ["started", "error"]
    assert events[0].query == "wing"
    assert len(classic.results or []) == 1
    assert refused.value.status_code == 503
