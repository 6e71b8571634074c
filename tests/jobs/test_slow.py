"""What is only slow, told to wait or queued is left alone by every watchdog."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url
from tests.things import file, listing, opened_by, thing

from wellhead.domain.errors import RetryableError
from wellhead.domain.items import Item, Ref, ScopeEnd, ScopeStart, Waiting
from wellhead.domain.jobs import JobStatus
from wellhead.embed.null import NullEmbedder
from wellhead.store import jobs
from wellhead.sync import commit, intake, patience, pipeline
from wellhead.sync.convert.converter import Converter
from wellhead.worker import lease
from wellhead.worker.loop import work
from wellhead.worker.reaper import reap
from wellhead.worker.run_job import run_job

STUCK = 2.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the numbers: what takes 15 minutes otherwise."""
    monkeypatch.setattr(patience, "STUCK_SECONDS", STUCK)
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(intake, "PAGE_SECONDS", 0.1)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    short = timedelta(seconds=3)
    monkeypatch.setattr(jobs, "LEASE", short)
    monkeypatch.setattr(lease, "LEASE", short)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.3)
    return short


async def failures(bench) -> dict[str, tuple[str, str, str]]:
    rows = await bench.rows("SELECT source_id, stage, class, error FROM failure")
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def test_a_source_that_says_it_waits_is_waited_for(bench, short_lease) -> None:
    goes_on = asyncio.Event()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield Waiting(3600)
        await goes_on.wait()
        yield thing("b")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.inserted == 1)
    for _ in range(round(2 * STUCK / 0.1)):  # longer than any timeout
        await asyncio.sleep(0.1)
        await reap(bench.parts)
        await run_job(bench.desk, job.id)  # another worker looks
    waiting = await bench.job(job.id)
    goes_on.set()
    await task

    assert waiting.waiting_until is not None, "also once the page is committed"
    assert waiting.waiting_until > waiting.started_at + timedelta(minutes=50)
    done = await bench.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1), done.error
    assert (done.counts.inserted, done.counts.failed) == (2, 0)
    assert done.waiting_until is None


async def test_a_wait_is_over_with_the_next_item(bench) -> None:
    goes_on = asyncio.Event()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Waiting(3600)
        yield thing("a")
        await goes_on.wait()
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    now = await bench.until(job, lambda now: now.counts.inserted == 1)
    goes_on.set()
    await task

    assert now.waiting_until is None


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1.0])
async def test_a_wait_that_cannot_be_breaks_nothing(bench, seconds: float) -> None:
    bench.script.items = listing(thing("a"), Waiting(seconds), thing("b"))

    job = await bench.sync()

    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 2), job.error


async def test_an_announced_wait_does_not_cover_a_later_hang(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_TRIES", 1)

    async def items(_: Any) -> AsyncIterator[Item]:
        yield Waiting(3600)
        yield ScopeStart()
        await asyncio.Event().wait()

    bench.script.items = items
    async with asyncio.timeout(30):
        assert (await bench.sync()).status is JobStatus.FAILED


async def test_a_retry_after_longer_than_any_timeout_costs_no_attempt(bench) -> None:
    reads: list[str] = []

    async def items(_: Any) -> AsyncIterator[Item]:
        reads.append("x")
        if len(reads) <= 7:  # more often than a failing source is tried
            raise RetryableError("429", after=2 * STUCK if len(reads) == 1 else 0.01)
        async for item in listing(thing("a"))(None):
            yield item

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.waiting_until is not None)
    await task

    done = await bench.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1), done.error
    assert done.waiting_until is None


async def test_a_job_waits_behind_a_busy_worker_as_long_as_it_takes(
    bench, short_lease, database_url
) -> None:
    gate, stop = asyncio.Event(), asyncio.Event()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield Waiting(3600)
        await gate.wait()
        yield ScopeStart()
        yield ScopeEnd()

    bench.script.items = items
    first = await bench.start()
    worker = asyncio.create_task(
        work(
            bench.parts,
            bench.desk.converter,
            conninfo=conninfo(database_url),
            concurrency=1,
            stop=stop,
        )
    )
    await bench.until(first, lambda now: now.status is JobStatus.RUNNING)
    await bench.execute(
        "INSERT INTO source_connection (id, organization_id, collection_id,"
        " short_name, name, config, auth_method, created_at, modified_at)"
        " SELECT gen_random_uuid(), organization_id, collection_id, short_name, name,"
        " config, auth_method, created_at, modified_at FROM source_connection"
    )
    bench.connection_id = await bench.scalar(
        "SELECT id FROM source_connection WHERE id <> :c", c=bench.connection_id
    )
    second = await bench.start()
    await bench.execute(
        "UPDATE sync_job SET created_at = created_at - interval '2 days' WHERE id = :i",
        i=second.id,
    )
    await asyncio.sleep(4)
    waiting = await bench.job(second.id)
    gate.set()
    done = [
        await bench.until(job, lambda now: not now.is_open) for job in (first, second)
    ]
    stop.set()
    await worker

    assert waiting.status is JobStatus.PENDING
    assert [(one.status, one.attempt) for one in done] == [(JobStatus.COMPLETED, 1)] * 2


class SlowEmbedder(NullEmbedder):
    calls = 0

    async def embed(self, texts: Sequence[str]) -> memoryview:
        self.calls += 1
        await asyncio.sleep(0.3 * STUCK)
        return await super().embed(texts)


async def test_a_slow_embedder_is_not_stuck(bench, monkeypatch) -> None:
    monkeypatch.setattr("wellhead.sync.embedding.TEXTS", 2)
    embedder = SlowEmbedder()
    bench.desk = replace(bench.desk, parts=replace(bench.parts, embedder=embedder))
    passages = [f"content {n} {'word ' * 150}" for n in range(10)]
    bench.script.world = {"a": "\n\n".join(passages)}

    job = await bench.sync()

    assert embedder.calls >= 4, "together longer than any timeout"
    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 1), job.error
    assert job.counts.failed == 0


class SlowChild:
    """A converter process that takes its time."""

    usable = True

    async def read(self, *_: Any, **__: Any) -> str:
        await asyncio.sleep(0.5 * STUCK)
        return "content"

    async def end(self) -> None: ...


class SlowConverter(Converter):
    async def _take(self) -> Any:
        return SlowChild()


async def test_a_document_in_the_converters_queue_is_not_stuck(bench, tmp_path) -> None:
    names = [f"{n}.pdf" for n in range(6)]
    for name in names:
        (tmp_path / name).write_text("a slow one")
    bench.desk = replace(bench.desk, converter=SlowConverter())
    bench.script.items = listing(*(file(name, tmp_path / name) for name in names))

    job = await bench.sync()

    assert (job.counts.inserted, job.counts.failed) == (6, 0), await failures(bench)


async def test_a_slow_commit_keeps_its_job(bench, short_lease, monkeypatch) -> None:
    mark, began = commit._mark, asyncio.Event()

    async def slowly(*args: Any) -> int:
        began.set()
        await asyncio.sleep(1.5 * short_lease.total_seconds())
        return await mark(*args)

    monkeypatch.setattr(commit, "_mark", slowly)
    bench.script.items = listing(thing("a"))
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await began.wait()
    while not task.done():
        await reap(bench.parts)
        await run_job(bench.desk, job.id)  # another worker looks
        await asyncio.sleep(0.1)
    await task

    done = await bench.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1), done.error


async def test_a_failure_is_retried_later_by_jobs_not_by_tries(bench) -> None:
    tries: list[str] = []

    def busy() -> Path:
        tries.append("x")
        raise RetryableError("busy")

    async def again(_: Sequence[Ref]) -> AsyncIterator[Item]:
        yield opened_by("b.txt", busy)

    bench.script.items = listing(opened_by("b.txt", busy))
    bench.script.fetched = again
    minutes = []
    for _ in range(5):
        await bench.sync(force_full=True)
        minutes.append(
            await bench.scalar(
                "SELECT round(extract(epoch FROM next_retry_at - now()) / 60)"
                " FROM failure"
            )
        )
        await bench.execute(
            "UPDATE failure SET failed_at = failed_at + (now() - next_retry_at),"
            " next_retry_at = now()"
        )

    assert len(tries) > 10, "more than once in each job"
    assert minutes == [5, 20, 80, 320, 1280]


# who does not even turn


def conninfo(database_url: str) -> str:
    url = make_url(database_url).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["running", "cancelled"])
async def test_a_blocked_event_loop_loses_its_leases(
    bench, short_lease, database_url, monkeypatch, *, is_cancelled: bool
) -> None:
    limit = "BLOCKED_CANCEL_SECONDS" if is_cancelled else "BLOCKED_SECONDS"
    monkeypatch.setattr(lease, limit, 1.0)
    blocked = threading.Event()
    keeper = lease.LeaseKeeper(conninfo(database_url), blocked=blocked.set)
    keeper.start()
    gate = asyncio.Event()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        await gate.wait()
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(replace(bench.desk, leases=keeper), job.id))
    await bench.until(job, lambda now: now.status is JobStatus.RUNNING)
    with psycopg.connect(conninfo(database_url), autocommit=True) as connection:
        if is_cancelled:  # once the loop stands still, so that nobody hears of it
            connection.execute("UPDATE sync_job SET status = 'cancelling'")
        # until another worker could take it, as a connector that blocks for ever
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if blocked.is_set() and _is_lapsed(connection):
                break
            time.sleep(0.1)  # noqa: ASYNC251  # that is the point
        is_lapsed = _is_lapsed(connection)
    gate.set()
    await task
    keeper.close()

    assert blocked.is_set()
    assert is_lapsed
    ended = JobStatus.CANCELLED if is_cancelled else JobStatus.COMPLETED
    assert (await bench.job(job.id)).status is ended, "it woke up before anyone came"


def _is_lapsed(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT lease_until < clock_timestamp() FROM sync_job"
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


async def test_a_busy_event_loop_keeps_its_leases(
    bench, short_lease, database_url
) -> None:
    blocked = threading.Event()
    keeper = lease.LeaseKeeper(conninfo(database_url), blocked=blocked.set)
    keeper.start()
    gate = asyncio.Event()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        await gate.wait()
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(replace(bench.desk, leases=keeper), job.id))
    await bench.until(job, lambda now: now.status is JobStatus.RUNNING)
    time.sleep(1.5 * short_lease.total_seconds())  # noqa: ASYNC251  # that is the point
    lapsed = await bench.scalar("SELECT lease_until < now() FROM sync_job")
    gate.set()
    await task
    keeper.close()

    assert not lapsed
    assert not blocked.is_set()
    assert (await bench.job(job.id)).attempt == 1


BLOCKED_WORKER = """
import asyncio, sys, time
from pathlib import Path
from wellhead.app import processes
from wellhead.app.settings import load
from wellhead.domain.items import ScopeStart
from wellhead.sources.connectors.timed import TimedSource
from wellhead.worker import lease

async def read(self, cursor):
    yield ScopeStart()
    time.sleep(3600)

TimedSource.read = read
lease.BLOCKED_SECONDS = 2.0
processes.run_worker(load())
"""


async def test_a_blocked_worker_process_ends_itself(
    bench, database_url, tmp_path
) -> None:
    await bench.configure("timed")
    job = await bench.start()
    inherited = {k: v for k, v in os.environ.items() if k[:9] != "WELLHEAD_"}  # noqa: TID251
    worker = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", BLOCKED_WORKER],
        env=inherited
        | {
            "WELLHEAD_DATA_DIR": str(tmp_path / "data"),
            "WELLHEAD_DATABASE_URL": database_url,
            "WELLHEAD_EMBEDDER": "null",
            "WELLHEAD_ENABLE_DEMO_SOURCES": "true",
        },
    )
    try:
        status = await asyncio.to_thread(worker.wait, 60)
    finally:
        worker.kill()
    left = await bench.job(job.id)
    await bench.configure("scripted")
    await bench.expire_lease(job)
    done = await bench.run(job)

    assert status == -9
    assert left.status is JobStatus.RUNNING
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 2), done.error


async def test_a_file_whose_vendor_asks_to_wait_is_waited_for(
    bench, tmp_path: Path
) -> None:
    path = tmp_path / "late.md"
    path.write_text("It came late.")
    loop = asyncio.get_running_loop()

    def open_late() -> Path:
        asyncio.run_coroutine_threadsafe(told_to_wait(), loop).result()
        return path

    async def told_to_wait() -> None:
        async with bench.script.source.surroundings.waits.wait(3600):
            await asyncio.sleep(2.5 * STUCK)

    bench.script.items = listing(opened_by("late.md", open_late))
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.inserted, job.counts.failed) == (1, 0)
