"""What hangs is given up: an entity, a read, a job; never what it hangs on for good."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from tests.things import file, listing, opened_by, thing

from wellhead.domain.errors import JobError, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Item,
    Ref,
    ScopeStart,
)
from wellhead.domain.jobs import JobStatus
from wellhead.embed.null import NullEmbedder
from wellhead.sources.base import Source, SourceInfo
from wellhead.sync import intake, patience, pipeline
from wellhead.sync.convert.converter import Converter
from wellhead.worker import endings
from wellhead.worker import run_job as running
from wellhead.worker.run_job import run_job

STUCK = 2.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the numbers: what takes 15 minutes otherwise."""
    monkeypatch.setattr(patience, "STUCK_SECONDS", STUCK)
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(intake, "PAGE_SECONDS", 0.1)


async def failures(bench) -> dict[str, tuple[str, str, str]]:
    rows = await bench.rows("SELECT source_id, stage, class, error FROM failure")
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def test_a_source_that_goes_silent_fails_the_job_and_nothing_is_swept(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_TRIES", 2)
    bench.script.world = {"a": "content one"}
    await bench.sync()
    closed: list[str] = []

    async def silent(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        try:
            await asyncio.Event().wait()
        finally:
            closed.append("x")

    bench.script.items = silent
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert job.error == ("the source does not answer: nothing came from it for 2 s")
    assert closed == ["x", "x"], "each try was ended"
    assert job.counts.deleted == 0
    assert await bench.world() == {"a": "content one"}


async def test_a_source_that_was_silent_once_is_read_on_from_its_checkpoint(
    bench,
) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(4)}

    async def silent_once(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in bench.script.numbered(cursor):
            yield item
            if item == Checkpoint({"done": 1}):
                await asyncio.Event().wait()

    bench.script.items = silent_once
    job = await bench.sync()

    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 4), job.error
    assert bench.script.cursors == [None, {"done": 1}]
    assert job.attempt == 1


async def test_a_fetch_of_single_entities_that_hangs_leaves_them_for_later(
    bench,
) -> None:
    def busy() -> Path:
        raise RetryableError("busy")

    async def silent(_: Sequence[Ref]) -> AsyncIterator[Item]:
        await asyncio.Event().wait()
        yield ScopeStart()

    bench.script.items = listing(thing("a"), opened_by("b.txt", busy))
    bench.script.fetched = silent
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert (job.counts.inserted, job.counts.failed) == (1, 1)


async def test_files_that_hang_fail_alone_and_hold_nobody_up(bench, tmp_path) -> None:
    for number in range(12):  # more than are read at once, or than a pool has threads
        os.mkfifo(tmp_path / f"{number}.txt")
    (tmp_path / "good.txt").write_text("content")
    hanging = [file(f"{n}.txt", tmp_path / f"{n}.txt") for n in range(12)]
    bench.script.items = listing(*hanging, file("good.txt", tmp_path / "good.txt"))

    job = await bench.sync()
    for number in range(12):  # lets the threads go
        os.close(os.open(tmp_path / f"{number}.txt", os.O_RDWR | os.O_NONBLOCK))

    assert job.status is JobStatus.COMPLETED, job.error
    assert (job.counts.inserted, job.counts.failed) == (1, 12)
    assert set((await failures(bench)).values()) == {
        ("read", "transient", "no progress for 2 s")
    }
    assert await bench.found("content") == {"good.txt"}


async def test_a_timeout_of_the_file_itself_is_told_in_its_own_words(bench) -> None:
    def slow() -> Path:
        raise TimeoutError("the server took longer than 30 s")

    bench.script.items = listing(opened_by("a.txt", slow))
    await bench.sync()

    assert await failures(bench) == {
        "a.txt": ("read", "transient", "the server took longer than 30 s")
    }


class HangingConverter(Converter):
    async def text_of(self, path: Path, **_: Any) -> Any:
        if path.name == "bad.pdf":
            await asyncio.Event().wait()
        return await super().text_of(path, name=path.name)


async def test_a_conversion_that_hangs_fails_its_file(bench, tmp_path) -> None:
    for name in ("good.txt", "bad.pdf"):
        (tmp_path / name).write_text("content")
    bench.desk = replace(bench.desk, converter=HangingConverter())
    bench.script.items = listing(
        *(file(name, tmp_path / name) for name in ("good.txt", "bad.pdf"))
    )
    job = await bench.sync()

    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 1), job.error
    assert await failures(bench) == {
        "bad.pdf": ("convert", "transient", "no progress for 2 s")
    }


class Embedder(NullEmbedder):
    """Never answers for texts with a certain word, and is slow for all."""

    def __init__(self, *, word: str = "", seconds: float = 0) -> None:
        super().__init__()
        self.word, self.seconds = word, seconds
        self.calls = 0

    async def embed(self, texts: Sequence[str]) -> memoryview:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.word and any(self.word in text for text in texts):
            await asyncio.Event().wait()
        return await super().embed(texts)


def with_embedder(bench, embedder: Embedder) -> None:
    bench.desk = replace(bench.desk, parts=replace(bench.parts, embedder=embedder))


async def test_a_text_at_which_the_embedder_hangs_is_found_and_put_aside(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(patience, "NARROWING_SECONDS", 0.25)
    with_embedder(bench, Embedder(word="poison"))
    bench.script.world = {f"{n:02}": f"content {n}" for n in range(20)}
    bench.script.world["13"] = "content with poison"

    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert (job.counts.inserted, job.counts.failed) == (19, 1)
    assert await failures(bench) == {
        "13": ("embed", "transient", "the embedder did not answer for 0.25 s")
    }


async def test_an_embedder_that_never_answers_fails_the_job(bench, monkeypatch) -> None:
    bench.script.world = {str(n): "content one" for n in range(40)}
    await bench.sync()
    before = await bench.world()
    monkeypatch.setattr(patience, "NARROWING_SECONDS", 0.05)
    with_embedder(bench, Embedder(word="content"))
    bench.script.world = {str(n): f"content two {n}" for n in range(40)}

    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert job.error == "the embedder did not answer 12 times in a row"
    assert await bench.world() == before
    assert await bench.scalar("SELECT count(*) FROM intent") == 0


@pytest.mark.parametrize("call", ["append", "read_vectors"])
async def test_an_index_that_does_not_answer_fails_the_job(
    bench, monkeypatch, call: str
) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    await bench.sync()
    before = await bench.world()
    bench.script.world = {"a": "content one more", "b": "content two", "c": "content"}

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as hanging:
        hanging.setattr(bench.parts.index, call, hang)
        async with asyncio.timeout(60):
            job = await bench.sync()
    assert job.status is JobStatus.FAILED
    assert (job.error or "").startswith("the index did not answer for 2 s")
    assert await bench.world() == before
    assert await bench.scalar("SELECT count(*) FROM intent") == 0
    again = await bench.sync()

    assert again.status is JobStatus.COMPLETED, again.error
    assert (await bench.world()).keys() == {"a", "b", "c"}


async def test_a_source_that_does_not_close_holds_no_job_open(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(running, "CLOSE_SECONDS", 0.2)
    let_go = asyncio.Event()

    class Clingy(Source):
        info: ClassVar[SourceInfo] = bench.script.info

        async def check(self) -> None: ...

        def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            return listing(thing("a"))(cursor)

        async def close(self) -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

    monkeypatch.setattr(bench.parts.sources, "get", lambda _: Clingy)
    async with asyncio.timeout(30):
        job = await bench.sync()
    let_go.set()

    assert job.status is JobStatus.COMPLETED, job.error


async def test_a_bug_in_the_close_of_a_source_changes_nothing(
    bench, monkeypatch
) -> None:
    class Broken(Source):
        info: ClassVar[SourceInfo] = bench.script.info

        async def check(self) -> None: ...

        def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            return listing(thing("a"))(cursor)

        async def close(self) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(bench.parts.sources, "get", lambda _: Broken)

    assert (await bench.sync()).status is JobStatus.COMPLETED


@pytest.mark.parametrize("swallows", [False, True], ids=["heeds", "swallows"])
async def test_a_hanging_source_is_cancelled_at_once(
    bench, *, swallows: bool, monkeypatch
) -> None:
    monkeypatch.setattr(patience, "STUCK_SECONDS", 3600.0)
    hangs, let_go = asyncio.Event(), asyncio.Event()

    async def hanging(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        hangs.set()
        try:
            await let_go.wait()
        except asyncio.CancelledError:
            if not swallows:
                raise
            await let_go.wait()

    bench.script.items = hanging
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await hangs.wait()
    await bench.cancel(job)
    async with asyncio.timeout(20):
        await task
    let_go.set()

    assert (await bench.job(job.id)).status is JobStatus.CANCELLED


async def test_a_source_cleans_up_before_its_job_ends(bench, monkeypatch) -> None:
    order: list[str] = []
    fail = endings.fail

    async def noted(*args: Any, **options: Any) -> None:
        order.append("ended")
        await fail(*args, **options)

    async def refuse(*_: Any) -> None:
        raise JobError("no more")

    async def items(_: Any) -> AsyncIterator[Item]:
        try:
            yield ScopeStart()
            yield thing("a")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            order.append("cleaned up")

    monkeypatch.setattr(endings, "fail", noted)
    monkeypatch.setattr(pipeline._Writer, "submit", refuse)
    bench.script.items = items

    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert order == ["cleaned up", "ended"]


async def test_a_source_that_loses_its_own_database_is_no_outage_of_ours(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_TRIES", 2)

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        raise psycopg.OperationalError("server closed the connection")

    bench.script.items = items
    async with asyncio.timeout(30):
        job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert job.error == "the source does not answer: server closed the connection"
