"""A provider is asked in its own words, waited for, and never asked twice in vain."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from tests.scripted_embedder import (
    DIMENSION,
    KEY,
    ScriptedEmbedder,
    Trouble,
    embedding,
    hangs,
    refuses,
    torn,
    vector_of,
)

from wellhead.domain.errors import (
    EmbedderError,
    FailureClass,
    FailureStage,
    RefusedTextsError,
    RetryableError,
)
from wellhead.embed import remote
from wellhead.embed.names import PROVIDERS, RemoteModel, remote_model
from wellhead.embed.remote import Access, RemoteEmbedder

Asked = Callable[
    ..., AbstractAsyncContextManager[tuple[RemoteEmbedder, ScriptedEmbedder]]
]
TEXTS = [f"text {number}" for number in range(10)]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(remote, "LONGEST_WAIT_SECONDS", 0.05)


@asynccontextmanager
async def asked(
    *troubles: Trouble,
    provider: str = "openai",
    model: RemoteModel | None = None,
    server: dict[str, Any] | None = None,
    **access: Any,
) -> AsyncIterator[tuple[RemoteEmbedder, ScriptedEmbedder]]:
    async with embedding(*troubles, **server or {}) as found:
        embedder = RemoteEmbedder(
            model or RemoteModel(provider, "m-1", DIMENSION),
            Access(url=found.base(provider), key=KEY, **access),
        )
        yield embedder, found
        await embedder.close()


def expected(text: str) -> Any:
    return np.array(vector_of(text, DIMENSION)) / 3


def matrix(vectors: memoryview) -> Any:
    return np.frombuffer(vectors.cast("B"), np.float32).reshape(-1, DIMENSION)


@pytest.mark.parametrize(
    ("provider", "document", "query"),
    [
        ("openai", {"encoding_format": "float"}, {"encoding_format": "float"}),
        ("mistral", {"encoding_format": "float"}, {"encoding_format": "float"}),
        ("ollama", {"encoding_format": "float"}, {"encoding_format": "float"}),
        ("voyage", {"input_type": "document"}, {"input_type": "query"}),
        (
            "cohere",
            {
                "input_type": "search_document",
                "embedding_types": ["float"],
                "truncate": "END",
            },
            {
                "input_type": "search_query",
                "embedding_types": ["float"],
                "truncate": "END",
            },
        ),
    ],
)
async def test_it_is_asked_in_its_own_words(
    provider: str, document: Any, query: Any
) -> None:
    async with asked(provider=provider) as (embedder, server):
        await embedder.embed(["a", "b"])
        await embedder.embed_query("q")

    texts = "texts" if provider == "cohere" else "input"
    assert server.asked == [
        {"model": "m-1", texts: ["a", "b"], **document},
        {"model": "m-1", texts: ["q"], **query},
    ]
    assert {one["authorization"] for one in server.headers} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("provider", "model", "field"),
    [
        ("openai", "text-embedding-3-large", "dimensions"),
        ("mistral", "codestral-embed", "output_dimension"),
        ("cohere", "embed-v4.0", "output_dimension"),
        ("voyage", "voyage-3.5", "output_dimension"),
    ],
)
async def test_shorter_vectors_are_asked_for(
    provider: str, model: str, field: str
) -> None:
    shorter = remote_model(provider, model, DIMENSION)

    async with asked(provider=provider, model=shorter) as (embedder, server):
        await embedder.embed(["a"])

    assert server.asked[0][field] == DIMENSION


async def test_vectors_are_unit_vectors_in_the_order_of_the_texts() -> None:
    async with asked(texts=3) as (embedder, _):
        rows = matrix(await embedder.embed(TEXTS))

    assert np.allclose(rows, [expected(text) for text in TEXTS], atol=1e-6)


async def test_requests_are_bounded_by_texts_and_by_characters() -> None:
    long = [letter * 7_000 for letter in "abcdefgh"]

    async with asked(texts=4) as (embedder, server):
        await embedder.embed([*TEXTS, *long])

    sizes = [len(one["input"]) for one in server.asked]
    assert max(sizes) == 4
    assert sum(sizes) == 18
    most = max(sum(map(len, one["input"])) for one in server.asked)
    assert most <= remote.REQUEST_CHARACTERS


async def test_a_provider_takes_no_more_texts_than_it_says() -> None:
    async with asked(provider="cohere", texts=500) as (embedder, server):
        await embedder.embed(["t"] * 200)

    assert max(len(one["texts"]) for one in server.asked) == 96


async def test_so_many_requests_are_made_at_a_time() -> None:
    async with asked(texts=1, concurrency=3) as (embedder, server):
        await embedder.embed([str(number) for number in range(30)])

    assert server.most_under_way == 3


async def test_more_requests_than_a_minute_has_wait() -> None:
    # 1,200 in a minute: a new one every 50 ms once the first 1,200 are gone
    async with asked(texts=1, requests_per_minute=1200) as (embedder, server):
        limit = embedder._limit
        await embedder.embed(TEXTS)

    assert limit.has_capacity(1190)  # type: ignore[attr-defined]  # aiolimiter's
    assert not limit.has_capacity(1195)  # type: ignore[attr-defined]  # as above
    assert len(server.asked) == len(TEXTS)


@pytest.mark.parametrize(
    "troubles",
    [
        [refuses(429)],
        [refuses(429, **{"retry-after": "0.01"}), refuses(429)],
        [refuses(503, **{"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})],
        [refuses(500), refuses(502)],
        [torn()],
        [b""],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"],
        [hangs],
    ],
    ids=["429", "retry-after", "date", "500", "torn", "closed", "no rows", "slow"],
)
async def test_passing_trouble_is_waited_out(troubles: list[Trouble]) -> None:
    async with asked(*troubles, seconds=0.5) as (embedder, server):
        rows = matrix(await embedder.embed(["a"]))

    assert np.allclose(rows, [expected("a")], atol=1e-6)
    assert len(server.asked) == len(troubles) + 1


async def test_a_server_is_given_the_time_it_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "LONGEST_WAIT_SECONDS", 60.0)
    error = remote._TroubleError("", after=7.0)
    assert remote._wait(error) == 7.0
    monkeypatch.setattr(remote, "LONGEST_WAIT_SECONDS", 5.0)
    assert remote._wait(error) == 5.0


def _always(trouble: Trouble) -> Iterator[Trouble]:
    while True:
        yield trouble


@pytest.mark.parametrize("trouble", [refuses(429), refuses(503), torn()])
async def test_a_server_that_stays_away_ends_the_job_and_blames_no_text(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.3)
    async with asked(server={}) as (embedder, server):
        server.troubles = _always(trouble)

        with pytest.raises(EmbedderError, match=r"openai:m-1.*committed stays"):
            await embedder.embed(TEXTS)


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        (401, "WELLHEAD_EMBEDDER_API_KEY"),
        (403, "WELLHEAD_EMBEDDER_API_KEY"),
        (404, "WELLHEAD_EMBEDDER_URL"),
        (301, "WELLHEAD_EMBEDDER_URL"),
        (402, "WELLHEAD_EMBEDDER_URL"),
    ],
)
async def test_what_the_operator_has_to_mend_is_named(
    status: int, setting: str
) -> None:
    async with asked(refuses(status)) as (embedder, server):
        with pytest.raises(EmbedderError, match=f"{status}.*{setting}"):
            await embedder.embed(TEXTS)

    assert len(server.asked) == 1


async def test_another_dimension_is_named() -> None:
    async with asked(server={"dimension": 12}) as (embedder, _):
        with pytest.raises(EmbedderError, match=r"12 .*48 .*EMBEDDER_DIMENSION to 12"):
            await embedder.embed(TEXTS)
        with pytest.raises(EmbedderError, match="EMBEDDER_DIMENSION to 12"):
            await embedder.embed_query("q")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_refused_texts_are_found_and_the_others_are_embedded_once(
    provider: str, status: int
) -> None:
    texts = [f"text {n} {'poison' if n in (3, 17) else ''}" for n in range(20)]
    refusing = {"refused": "poison", "refusal": status}

    async with asked(provider=provider, server=refusing) as (embedder, server):
        with pytest.raises(RefusedTextsError) as caught:
            await embedder.embed(texts)

    error = caught.value
    well = [text for text in texts if "poison" not in text]
    rows = matrix(error.vectors)
    assert error.refused == {3, 17}
    assert (error.stage, error.failure_class) == (
        FailureStage.EMBED,
        FailureClass.PERMANENT,
    )
    assert sorted(server.answered) == sorted(well)
    for place, text in enumerate(texts):
        if place not in error.refused:
            assert np.allclose(rows[place], expected(text), atol=1e-6)


async def test_a_text_on_which_the_server_fails_is_found() -> None:
    texts = [f"text {n} {'poison' if n == 3 else ''}" for n in range(8)]
    failing = {"refused": "poison", "refusal": 500}

    async with asked(server=failing) as (embedder, _):
        with pytest.raises(RefusedTextsError) as caught:
            await embedder.embed(texts)

    assert caught.value.refused == {3}
    assert caught.value.failure_class is FailureClass.TRANSIENT


async def test_a_vector_of_nothing_is_no_vector() -> None:
    zeros = [[0.0] * DIMENSION]
    said = b'{"data": [{"index": 0, "embedding": %s}]}' % str(zeros[0]).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said)

    async with asked(head + said) as (embedder, _):
        with pytest.raises(RefusedTextsError, match="no direction"):
            await embedder.embed(["a"])


async def test_a_search_waits_for_no_server_that_is_away() -> None:
    async with asked(*[refuses(503)] * 5) as (embedder, server):
        with pytest.raises(RetryableError, match="503"):
            await embedder.embed_query("q")
        assert len(server.asked) == remote.QUERY_TRIES
        server.asked.clear()
        server.troubles = iter([refuses(429, **{"retry-after": "30"})])

        with pytest.raises(RetryableError, match="429"):
            await embedder.embed_query("q")

    assert len(server.asked) == 1


async def test_a_question_that_is_refused_is_said_to_be() -> None:
    async with asked(refuses(400)) as (embedder, _):
        with pytest.raises(RefusedTextsError):
            await embedder.embed_query("q")


@pytest.mark.parametrize(
    "trouble", [refuses(400), refuses(401), refuses(404), refuses(500), torn()]
)
async def test_the_key_is_in_no_error_and_no_log(
    trouble: Trouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.1)
    caplog.set_level(logging.DEBUG)
    async with asked() as (embedder, server):
        server.troubles = _always(trouble)
        with pytest.raises((EmbedderError, RefusedTextsError)) as caught:
            await embedder.embed(["a"])

    said: BaseException | None = caught.value
    while said is not None:
        assert KEY not in str(said) + repr(said)
        said = said.__cause__ or said.__context__
    assert KEY not in caplog.text
    assert KEY not in repr(Access(key=KEY))


async def test_a_cancelled_call_asks_no_more() -> None:
    async with asked(*[hangs] * 2, texts=1, concurrency=2) as (embedder, server):
        call = asyncio.ensure_future(embedder.embed(TEXTS))
        while len(server.asked) < 2:  # noqa: ASYNC110  # two hang in the server
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])

        assert call.cancelled()
        assert len(matrix(await embedder.embed(["a"]))) == 1
        assert len(server.asked) == 3
