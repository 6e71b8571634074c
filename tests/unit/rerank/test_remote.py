"""Each provider is asked in its own words, and believed only what makes sense."""

import json
from typing import Any

import pytest
from tests.receiver import Received, Receiver, answer, hang, receiving

from wellhead.domain.errors import UnavailableError
from wellhead.rerank.remote import RemoteReranker

SCORES = [{"index": 1, "relevance_score": 0.2}, {"index": 0, "relevance_score": 0.9}]


def answering(body: Any, status: int = 200) -> Any:
    async def react(_: Received) -> bytes:
        return answer(status, json.dumps(body), **{"content-type": "application/json"})

    return react


async def rank(receiver: Receiver, provider: str = "cohere") -> Any:
    url = f"http://127.0.0.1:{receiver.port}/rerank"
    reranker = RemoteReranker(provider, "m-1", key="k", url=url)
    try:
        return await reranker.rank("q", ["a", "b"])
    finally:
        await reranker.close()


@pytest.mark.parametrize(
    ("provider", "most", "results"),
    [
        ("cohere", "top_n", "results"),
        ("jina", "top_n", "results"),
        ("voyage", "top_k", "data"),
    ],
)
async def test_it_is_asked_in_its_own_words(
    provider: str, most: str, results: str
) -> None:
    async with receiving() as receiver:
        receiver.react = answering({results: SCORES, "model": "m-1"})
        ranked = await rank(receiver, provider)

    [request] = receiver.received
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.body) == {
        "model": "m-1",
        "query": "q",
        "documents": ["a", "b"],
        most: 2,
    }
    assert ranked == [(0, 0.9), (1, 0.2)]


@pytest.mark.parametrize(
    "react",
    [
        answering({}, 401),
        answering({"results": SCORES}, 503),
        answering({}),
        answering([]),
        answering({"results": None}),
        answering({"results": [{"index": 2, "relevance_score": 1}]}),
        answering({"results": [{"index": -1, "relevance_score": 1}]}),
        answering({"results": [{"index": 0, "relevance_score": None}]}),
    ],
)
async def test_anything_else_is_trouble(react: Any) -> None:
    async with receiving() as receiver:
        receiver.react = react

        with pytest.raises(UnavailableError, match="cohere:m-1"):
            await rank(receiver)


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellhead.rerank.remote.TIMEOUT", 0.2)
    async with receiving() as receiver:
        receiver.react = hang

        with pytest.raises(UnavailableError, match="ReadTimeout"):
            await rank(receiver)
