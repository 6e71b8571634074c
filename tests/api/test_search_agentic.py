"""A search that a language model leads, step by step, as its follower sees it."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from airweave import AsyncAirweaveSDK
from tests.api.thinking import Shortest, Thinking, thinking
from tests.scripted_model import calls, never, refuses, says

from wellhead.domain.entities import Breadcrumb
from wellhead.search.agentic import MOST_ITERATIONS

HANGAR = Breadcrumb("hangar", "Hangar", "Folder")
SHELF = Breadcrumb("shelf", "Shelf", "Note")
FINISH = calls(("return_results_to_user", {}))
WING, TAIL = "wing__chunk_0", "tail__chunk_0"


@pytest.fixture
async def path(given: Any, put_entity: Any) -> str:
    made = await given.connection(sync_immediately=False)
    put = put_entity
    await put(made["id"], "wing", "The wing lifts.", breadcrumbs=[HANGAR])
    await put(made["id"], "tail", "The tail steers.", breadcrumbs=[HANGAR])
    await put(made["id"], "shelf", "A shelf.", "Of wood.", "Oak.", breadcrumbs=[HANGAR])
    await put(made["id"], "book", "A book.", breadcrumbs=[HANGAR, SHELF])
    await put(made["id"], "root", "A note at the root.")
    return f"/collections/{made['readable_collection_id']}/search/agentic"


async def events_of(wired: Thinking, path: str, **asked: Any) -> list[Any]:
    body = {"query": "what lifts?", **asked}
    response = await wired.client.post(f"{path}/stream", json=body)
    assert response.status_code == 200
    frames = response.text.split("\n\n")[:-1]
    return [json.loads(one.removeprefix("data: ")) for one in frames]


def stats_of(events: list[Any]) -> list[Any]:
    tools = [one for one in events if one["type"] == "tool_call"]
    return [one["diagnostics"]["stats"] for one in tools]


def ids(results: list[Any]) -> list[str]:
    return [one["entity_id"] for one in results]


async def test_it_searches_collects_and_returns(
    parts: Any, key: str, path: str
) -> None:
    lines = (
        calls(("search", {"query": "wing", "retrieval_strategy": "keyword"})),
        calls(("read", {"entity_ids": [WING, "gone__chunk_0"]})),
        calls(("add_to_results", {"entity_ids": [WING, TAIL, WING]})),
        FINISH,
    )
    async with thinking(parts, key, *lines) as wired:
        started, *between, done = await events_of(wired, path)

    assert started["type"] == "started"
    assert [one["type"] for one in between] == ["thinking", "tool_call"] * 4
    tools = [one for one in between if one["type"] == "tool_call"]
    assert [one["tool_name"] for one in tools] == [
        *("search", "read", "add_to_results", "return_results_to_user")
    ]
    first = tools[0]["diagnostics"]
    assert (first["iteration"], first["tool_call_id"]) == (1, "call_1_search")
    assert first["arguments"]["query"] == "wing"
    found, read, added, ended = stats_of(between)
    assert (found["result_count"], found["new_results"]) == (1, 1)
    assert found["first_results"][0]["name"] == "wing"
    assert (read["found"], read["not_found"]) == (1, 1)
    assert (added["added"], added["not_found"], added["total_collected"]) == (1, 1, 1)
    assert ended == {"accepted": True, "total_collected": 1, "warning": None}
    assert done["type"] == "done"
    assert ids(done["results"]) == [WING]
    assert done["results"][0]["textual_representation"] == "The wing lifts."
    assert all(one["duration_ms"] >= 0 for one in [*between, done])
    told = done["diagnostics"]
    assert told["total_iterations"] == 4
    assert told["all_read_entity_ids"] == told["all_collected_entity_ids"] == [WING]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (400, 28)
    assert not told["max_iterations_hit"]
    assert between[0]["diagnostics"] == {
        "iteration": 1,
        "prompt_tokens": 100,
        "completion_tokens": 7,
    }
    [result] = wired.model.told(1)
    assert result["results"][0]["text"] == "The wing lifts."
    assert result["results"][0]["path"] == [{"id": "hangar", "name": "Hangar"}]


async def test_it_looks_around(parts: Any, key: str, path: str) -> None:
    everything = {"query": "a", "limit": 50}
    looks: list[tuple[str, Any]] = [
        ("get_children", {"entity_id": "shelf__chunk_0"}),
        ("get_children", {"entity_id": "hangar"}),
        ("get_siblings", {"entity_id": WING}),
        ("get_siblings", {"entity_id": "root__chunk_0"}),
        ("get_parent", {"entity_id": "book__chunk_0"}),
        ("get_parent", {"entity_id": WING}),
        ("get_parent", {"entity_id": "nowhere"}),
        ("count", {}),
        ("read", {"entity_ids": ["shelf__chunk_1"], "neighbours": 1}),
    ]
    lines = (calls(("search", everything)), calls(*looks), FINISH, FINISH)
    async with thinking(parts, key, *lines) as wired:
        events = await events_of(wired, path)

    relatives = [
        sorted(summary["name"] for summary in one.get("first_results", ()))
        for one in stats_of(events)[1:7]
    ]
    *_, alone, _, folder, nowhere, count, read, _, _ = stats_of(events)
    inside, hangar, beside, *_ = relatives
    assert inside == ["book"]
    assert hangar == ["shelf", "tail", "wing"]
    assert beside == ["shelf", "tail"]
    assert alone["result_count"] == 0
    assert relatives[4:] == [["shelf"], []]
    assert folder == {
        "result_count": 0,
        "context_label": "parent of wing",
        "first_results": [],
    }
    assert nowhere == {"error": "there is no passage 'nowhere'"}
    assert count == {"count": 5}
    assert read["context_label"] == "with 1 before and after"
    around = wired.model.told(2)[-1]["around"]
    assert [one["text"] for one in around] == ["A shelf.", "Oak."]


async def test_odd_calls_are_answered_and_go_on(
    parts: Any, key: str, path: str
) -> None:
    odd: tuple[tuple[str, Any], ...] = (
        ("search", {}),
        ("search", "{no json"),
        ("search", {"query": "a", "filter_groups": [{"conditions": [{}]}]}),
        ("read", {"entity_ids": WING}),
        ("get_parent", {"entity_id": 3}),
        ("make_coffee", {}),
        ("read", '{"entity_ids": ["\\ud800"]}'),
        ("search", '{"query": "a \\u0000", "limit": 1e999, "offset": NaN}'),
        ("get_children", {"entity_id": "x" * 100_000}),
        ("count", {"filter_groups": [{"conditions": []}], "limit": 10**40}),
    )
    lone = "\ud800 alone"
    lines = (
        calls(*odd, content=lone, reasoning_content=lone),
        calls(*[("count", {})] * 11),
        FINISH,
    )
    async with thinking(parts, key, *lines) as wired:
        *events, done = await events_of(wired, path)

    assert done["type"] == "done"
    stats = stats_of(events)
    assert all(one["error"] for one in stats[:5])
    tools = [one["tool_name"] for one in events if one["type"] == "tool_call"]
    assert "make_coffee" not in tools, "clients know ten tools"
    assert stats[5]["error"] == "the arguments are no JSON object"
    assert [one.get("result_count") for one in stats[6:8]] == [7, 0]
    assert stats[8] == {"count": 5}
    assert [one.get("count") for one in stats[9:20]] == [5] * 10 + [None]
    assert done["diagnostics"]["total_llm_retries"] == 3


async def test_a_reranker_orders_what_it_returns(
    parts: Any, key: str, path: str
) -> None:
    lines = (
        calls(("search", {"query": "a"})),
        calls(("add_to_results", {"entity_ids": [TAIL, WING, "book__chunk_0"]})),
        FINISH,
    )
    async with thinking(parts, key, *lines, reranker=Shortest()) as wired:
        *_, reranking, done = await events_of(wired, path)

    assert reranking["type"] == "reranking"
    told = reranking["diagnostics"]
    assert (told["input_count"], told["output_count"]) == (3, 3)
    assert told["model"] == "local:shortest"
    assert told["top_relevance_score"] >= told["bottom_relevance_score"]
    assert ids(done["results"])[0] == "book__chunk_0"


async def test_the_public_client_reads_every_event(
    parts: Any, key: str, path: str
) -> None:
    lines = (
        calls(("search", {"query": "wing"}), reasoning_content="Wings lift."),
        calls(
            ("read", {"entity_ids": [WING]}),
            ("count", {}),
            ("get_parent", {"entity_id": WING}),
            ("add_to_results", {"entity_ids": [WING]}),
            ("review_results", {}),
            ("nonsense", {}),
        ),
        FINISH,
    )
    async with thinking(parts, key, *lines) as wired:
        transport = httpx.ASGITransport(wired.app)
        async with httpx.AsyncClient(transport=transport) as wire:
            sdk = AsyncAirweaveSDK(
                api_key=key, base_url="http://wellhead", httpx_client=wire
            )
            stream = sdk.collections.search.stream_agentic(
                path.split("/")[2], query="what lifts?", thinking=True
            )
            events = [one async for one in stream]

    kinds = [one.type for one in events]
    assert kinds.count("tool_call") == 7
    assert (kinds[0], kinds[-1]) == ("started", "done")
    assert events[1].thinking == "Wings lift."
    stats: Any = [one.diagnostics.stats for one in events if one.type == "tool_call"]
    assert stats[0].new_results >= 1
    assert stats[1].found == 1
    assert stats[2].count == 5
    assert events[-1].results[0].entity_id == WING


async def test_what_it_collected_is_returned_up_to_the_limit(
    parts: Any, key: str, path: str
) -> None:
    lines = (
        calls(("search", {"query": "a"})),
        calls(
            ("add_to_results", {"entity_ids": [TAIL, "book__chunk_0", WING]}),
            ("remove_from_results", {"entity_ids": ["book__chunk_0"]}),
            ("review_results", {}),
        ),
        FINISH,
    )
    async with thinking(parts, key, *lines * 3) as wired:
        *events, done = await events_of(wired, path)
        *_, short = await events_of(wired, path, limit=1)
        answer = await wired.client.post(path, json={"query": "q", "limit": 1})

    assert ids(done["results"]) == [TAIL, WING]
    assert ids(short["results"]) == ids(answer.json()["results"]) == [TAIL]
    review = stats_of(events)[3]
    assert (review["total_collected"], review["entity_count"]) == (2, 2)


async def test_it_ends_however_little_the_model_does(
    parts: Any, key: str, path: str
) -> None:
    look = calls(("search", {"query": "wing", "limit": 1}))
    lines = (look, FINISH, FINISH, *[look] * 15, *[says("A wing lifts.")] * 3)
    async with thinking(parts, key, *lines) as wired:
        *refused, nothing = await events_of(wired, path)
        *_, stopped = await events_of(wired, path)
        *talk, silent = await events_of(wired, path)

    _, first, second = stats_of(refused)
    assert not first["accepted"]
    assert first["warning"].startswith("Nothing is collected.")
    assert second["accepted"]
    assert nothing["results"] == [], "as the model insisted"
    assert stopped["diagnostics"]["total_iterations"] == MOST_ITERATIONS == 15
    assert stopped["diagnostics"]["max_iterations_hit"]
    assert len(stopped["results"]) == 1, "what it saw, as it chose nothing"
    assert [one["text"] for one in talk[1:]] == ["A wing lifts."] * 3
    assert silent["diagnostics"]["stagnation_nudges_sent"] == 2
    assert silent["results"] == []


async def test_trouble_ends_it_and_is_told(parts: Any, key: str, path: str) -> None:
    class Broken:
        name = "broken"

        async def reply(self, _: Any) -> Any:
            raise ZeroDivisionError("secret")

        async def close(self) -> None: ...

    async with thinking(parts, key, refuses(401), refuses(401), never) as wired:
        *_, away = await events_of(wired, path)
        answer = await wired.client.post(path, json={"query": "q"})
        short = replace(parts.limits, agentic_seconds=0.3)
        wired.app.state.parts = replace(wired.parts, limits=short)
        *_, late = await events_of(wired, path)
        wired.app.state.parts = replace(wired.parts, language_model=Broken())
        *_, bug = await events_of(wired, path)

    said = "No language model answered (openai:scripted: it answered HTTP 401)"
    assert (away["type"], away["message"]) == ("error", said)
    assert away["duration_ms"] >= 0
    assert (answer.status_code, answer.json()["detail"]) == (503, said)
    assert late["message"].startswith("The search took longer than 0.3 seconds")
    assert bug["message"] == "The search failed; please try again"


async def test_it_stops_when_its_client_goes_away(
    parts: Any, key: str, path: str
) -> None:
    async with thinking(parts, key, never, never) as wired:
        for tail in ("", "/stream"):
            ended = asyncio.Event()
            model = Noting(wired.parts.language_model, ended)
            wired.app.state.parts = replace(wired.parts, language_model=model)
            await leave(wired, f"{path}{tail}", key)
            await asyncio.wait_for(ended.wait(), 30)


@dataclass
class Noting:
    """A model that notes when its work is cancelled."""

    model: Any
    ended: asyncio.Event
    name: str = "noting"

    async def reply(self, prompt: Any) -> Any:
        try:
            return await self.model.reply(prompt)
        except asyncio.CancelledError:
            self.ended.set()
            raise

    async def close(self) -> None: ...


async def leave(wired: Thinking, path: str, key: str) -> None:
    """Ask as a server's client does, and go away as soon as the model is asked."""
    wired.model.came.clear()
    messages = iter([{"type": "http.request", "body": b'{"query": "q"}'}])

    async def receive() -> Any:
        for message in messages:
            return message
        await wired.model.came.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None: ...

    headers = {"x-api-key": key, "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(one.encode(), value.encode()) for one, value in headers.items()],
        "server": ("wellhead", 80),
        "client": ("127.0.0.1", 1),
    }
    await asyncio.wait_for(wired.app(scope, receive, send), 30)
