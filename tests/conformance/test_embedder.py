"""What every Embedder must do, and what the local model promises beyond."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from tests.scripted_embedder import DIMENSION, KEY, embedding

from wellhead.domain.errors import RetryableError, StartError
from wellhead.domain.ports import Embedder
from wellhead.embed.minilm import MiniLmEmbedder
from wellhead.embed.names import PROVIDERS, RemoteModel
from wellhead.embed.null import NullEmbedder
from wellhead.embed.remote import Access, RemoteEmbedder

pytestmark = pytest.mark.asyncio(loop_scope="module")
needs_model = pytest.mark.skipif(
    find_spec("wellhead_minilm") is None, reason="wellhead-minilm is not installed"
)
DEADLINE_SECONDS = 60


NAMES = ["null", pytest.param("minilm", marks=needs_model), *PROVIDERS]


async def make(name: str, stack: AsyncExitStack) -> Embedder:
    if name == "null":
        return NullEmbedder()
    if name == "minilm":
        return MiniLmEmbedder(processes=2)
    server = await stack.enter_async_context(embedding())
    access = Access(url=server.base(name), key=KEY, texts=7)
    return RemoteEmbedder(RemoteModel(name, "m-1", DIMENSION), access)


@pytest_asyncio.fixture(params=NAMES, scope="module", loop_scope="module")
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    async with AsyncExitStack() as stack:
        embedder = await make(request.param, stack)
        yield embedder
        await embedder.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def minilm() -> AsyncIterator[MiniLmEmbedder]:
    embedder = MiniLmEmbedder(processes=1)
    yield embedder
    await embedder.close()


async def rows(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = await embedder.embed(texts)
    assert isinstance(vectors, memoryview)
    assert vectors.c_contiguous
    flat = np.frombuffer(vectors.cast("B") if vectors.nbytes else b"", np.float32)
    return flat.reshape(len(texts), embedder.dimension)


async def test_each_text_gives_one_unit_vector(embedder: Embedder) -> None:
    texts = [f"passage number {number}" for number in range(19)]

    got = await rows(embedder, texts)

    assert got.shape == (19, embedder.dimension)
    assert np.allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)


async def test_rows_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = [f"{number} " * (1 + number * 7 % 23) for number in range(20)]

    together = await rows(embedder, texts)

    alone = [await rows(embedder, [text]) for text in texts]
    assert np.array_equal(together, np.concatenate(alone))


async def test_a_vector_does_not_depend_on_neighbours_or_time(
    embedder: Embedder,
) -> None:
    first = await rows(embedder, ["the tide", "x" * 400])
    second = await rows(embedder, ["a", "b", "the tide"])

    assert np.array_equal(first[0], second[2])


async def test_a_query_is_embedded_like_a_passage(embedder: Embedder) -> None:
    query = np.frombuffer(await embedder.embed_query("the tide"), np.float32)

    assert np.array_equal(query, (await rows(embedder, ["the tide"]))[0])


async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert (await rows(embedder, [])).shape == (0, embedder.dimension)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "a" * 100_000,
        "word " * 20_000,
        "日本語 🦉",
        "lone \ud83e",
        "nul \x00",
    ],
    ids=["empty", "blank", "one word", "long", "unicode", "surrogate", "nul"],
)
async def test_any_string_has_a_vector(embedder: Embedder, text: str) -> None:
    got = await rows(embedder, [text])

    assert np.isclose(np.linalg.norm(got), 1, atol=1e-5)


async def test_concurrent_calls_do_not_mix(embedder: Embedder) -> None:
    calls = [[f"call {call} text {n}" for n in range(10)] for call in range(5)]

    together = await asyncio.gather(*(rows(embedder, texts) for texts in calls))

    for texts, got in zip(calls, together, strict=True):
        assert np.array_equal(got, await rows(embedder, texts))


@pytest.mark.parametrize("name", NAMES)
async def test_closing_twice_is_fine(name: str) -> None:
    async with AsyncExitStack() as stack:
        embedder = await make(name, stack)
        await embedder.embed(["something"])

        await embedder.close()
        await embedder.close()


@needs_model
async def test_similar_texts_are_nearer(minilm: MiniLmEmbedder) -> None:
    ship, boat, tax = await rows(
        minilm,
        ["A ship sails over the sea.", "The boat crosses the ocean.", "Tax is due."],
    )

    assert ship @ boat > 0.5 > ship @ tax


@needs_model
async def test_words_after_token_150_are_read(minilm: MiniLmEmbedder) -> None:
    start = "word " * 160
    got = await rows(minilm, [f"{start} whale", f"{start} invoice", f"{start} whale"])

    assert np.array_equal(got[0], got[2])
    assert got[0] @ got[1] < 0.999


@needs_model
async def test_words_after_token_256_are_not(minilm: MiniLmEmbedder) -> None:
    start = "word " * 260
    got = await rows(minilm, [f"{start} whale", f"{start} invoice"])

    assert np.array_equal(got[0], got[1])


async def test_without_the_model_the_start_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wellhead_minilm", None)

    with pytest.raises(StartError, match=r"pip install wellhead\[minilm\]"):
        MiniLmEmbedder(processes=1)


@needs_model
async def test_a_killed_child_is_replaced_under_the_call() -> None:
    embedder = MiniLmEmbedder(processes=2)
    texts = [f"passage number {number} about the sea " * 20 for number in range(60)]
    calm = await rows(embedder, texts)
    call = asyncio.create_task(rows(embedder, texts))
    await asyncio.sleep(0.1)

    os.kill(_children_of(embedder)[0], signal.SIGKILL)

    assert np.array_equal(await call, calm)
    await embedder.close()


@needs_model
async def test_texts_that_kill_every_child_are_given_back() -> None:
    embedder = MiniLmEmbedder(processes=1)
    call = asyncio.create_task(embedder.embed(["some words " * 50] * 2_000))

    with pytest.raises(RetryableError, match="died twice"):
        await _kill_children_until_done(embedder, call)

    await embedder.close()


@needs_model
async def test_a_cancelled_call_leaves_the_embedder_working() -> None:
    embedder = MiniLmEmbedder(processes=1)
    call = asyncio.create_task(embedder.embed(["some words " * 50] * 2_000))
    await embedder.embed(["first"])

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(DEADLINE_SECONDS):
        await embedder.embed(["next"])
    await embedder.close()


@needs_model
async def test_a_closed_embedder_refuses_and_has_no_children() -> None:
    embedder = MiniLmEmbedder(processes=1)
    await embedder.embed(["something"])
    pids = _children_of(embedder)

    await embedder.close()

    assert pids
    assert not [pid for pid in pids if _is_alive(pid)]
    with pytest.raises(RetryableError):
        await embedder.embed(["more"])


PARENT = """
import asyncio, sys
from wellhead.embed.minilm import MiniLmEmbedder

async def main():
    embedder = MiniLmEmbedder(processes=2)
    await embedder.embed(["some words"] * 64)
    assert "onnxruntime" not in sys.modules, "the parent loaded the runtime"
    print(*embedder._pool._processes, flush=True)
    await embedder.embed(["some words " * 50] * 5_000)

if __name__ == "__main__":
    asyncio.run(main())
"""


@needs_model
async def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)

    pids = await asyncio.to_thread(_start_and_kill, script)

    assert len(pids) == 2
    await asyncio.to_thread(_wait_until_gone, pids)


def _start_and_kill(script: Path) -> list[int]:
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # our own
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    return pids


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(map(_is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def _kill_children_until_done(
    embedder: MiniLmEmbedder, call: "asyncio.Task[memoryview]"
) -> memoryview:
    while not call.done():
        for pid in _children_of(embedder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.wait([call], timeout=0.05)
    return await call


def _children_of(embedder: MiniLmEmbedder) -> list[int]:
    return [] if embedder._pool is None else list(embedder._pool._processes or ())


def _is_alive(pid: int) -> bool:
    """Return whether it runs; a zombie that nobody collects does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
