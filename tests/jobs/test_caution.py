"""Whom a job blames when its workers die, and how long it stays careful."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.bench import Bench, thing

from wellhead.domain.errors import FailureClass, FailureStage
from wellhead.domain.items import (
    Checkpoint,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
    Waiting,
)
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store import scopes
from wellhead.sync import commit, failing, loading, reading, run, sweep
from wellhead.worker import run_job as job_run
from wellhead.worker.run_job import _claim, run_job

NAMES = [f"{number:02}" for number in range(10)]


class Deaths:
    """Entities at which a worker dies: so often, or each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **at: int) -> None:
        self.left = {name.removeprefix("at_"): often for name, often in at.items()}
        self.recorded = 0
        self._loop = asyncio.get_running_loop()
        self._reached = asyncio.Event()
        self._page_ended = asyncio.Event()
        self._load, self._record = loading.load, failing.record_suspect
        monkeypatch.setattr(reading, "load", self._deadly_load)
        monkeypatch.setattr(reading, "record_suspect", self._counted)
        self._finish = commit.finish
        monkeypatch.setattr(commit, "finish", self._finished)

    def _deadly_load(self, run: Any, one: Any, *rest: Any) -> Any:
        ident = one.item.entity.source_id
        if self.left.get(ident, 0) > 0:
            self.left[ident] -= 1
            self._loop.call_soon_threadsafe(self._reached.set)
            threading.Event().wait()
        return self._load(run, one, *rest)

    async def _counted(self, *words: Any, **more: Any) -> None:
        self.recorded += 1
        await self._record(*words, **more)

    async def _finished(self, run: Any, batch: Any, *rest: Any) -> None:
        await self._finish(run, batch, *rest)
        if batch.ends_page:
            self._page_ended.set()

    async def committed(self) -> None:
        """Wait for T2 of the page before this."""
        await self._page_ended.wait()
        self._page_ended.clear()

    async def while_listing(self) -> None:
        self._reached.set()
        await asyncio.Event().wait()

    async def run(self, bench: Bench, job: SyncJob) -> SyncJob:
        """Run a job to its end; a worker that dies leaves its lease to run out."""
        for _ in range(20):
            if not (await bench.job(job.id)).is_open:
                break
            self._reached.clear()
            self._page_ended.clear()
            task = asyncio.create_task(run_job(bench.desk, job.id))
            reached = asyncio.create_task(self._reached.wait())
            await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
            # T2 of what was read before it does not wait
            await asyncio.sleep(0.1)
            reached.cancel()
            task.cancel()
            await asyncio.gather(task, reached, return_exceptions=True)
            await bench.execute("UPDATE sync_job SET released = false")
            await bench.expire_lease(job)
        return await bench.job(job.id)


@pytest.fixture
def ten(bench: Bench) -> Bench:
    bench.script.world = {name: f"content {name}" for name in NAMES}
    return bench


async def versioned(_: Any) -> AsyncIterator[Item]:
    yield ScopeStart()
    for name in NAMES:
        yield Upsert(replace(thing(name, f"content {name}"), source_version="1"))
    yield ScopeEnd()


async def careful(bench: Bench) -> SyncJob:
    """A job whose workers died twice before anything was committed."""
    job = await bench.start()
    await bench.execute("UPDATE sync_job SET crashes = 2")
    return job


async def test_the_entity_that_kills_every_worker_is_quarantined(
    ten, monkeypatch
) -> None:
    deaths = Deaths(monkeypatch, at_04=100)
    done = await deaths.run(ten, await ten.start())

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 5), done.error
    assert (done.counts.inserted, done.counts.failed) == (9, 1)
    assert (done.error_details or {})["failures"][0]["source_id"] == "04"


async def test_an_entity_at_which_a_worker_happened_to_be_killed_is_written(
    ten, monkeypatch
) -> None:
    deaths = Deaths(monkeypatch, at_02=1, at_05=1, at_08=1)
    done = await deaths.run(ten, await careful(ten))

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 4), done.error
    assert (done.counts.inserted, done.counts.failed) == (10, 0)


@pytest.mark.parametrize("items", [versioned, None])
async def test_each_of_several_deadly_entities_is_found(
    ten, monkeypatch, items
) -> None:
    ten.script.items = items
    deaths = Deaths(monkeypatch, at_02=100, at_03=100, at_07=100)
    done = await deaths.run(ten, await careful(ten))

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 7), done.error
    assert (done.counts.inserted, done.counts.failed) == (7, 3)


async def test_a_suspect_that_goes_well_ends_the_caution(ten, monkeypatch) -> None:
    deaths = Deaths(monkeypatch, at_03=1)
    done = await deaths.run(ten, await careful(ten))

    assert done.counts.inserted == 10
    assert deaths.recorded == 4 + 4, "up to 03, again up to 03, and none after it"


async def test_a_job_that_goes_well_for_long_hurries_again(ten, monkeypatch) -> None:
    monkeypatch.setattr(run, "CAUTIOUS_ENTITIES", 4)
    deaths = Deaths(monkeypatch)
    batches = []
    finish = commit.finish

    async def noted(*words: Any) -> None:
        batches.append(len(words[2]))
        await finish(*words)

    monkeypatch.setattr(commit, "finish", noted)
    done = await deaths.run(ten, await careful(ten))

    assert done.counts.inserted == 10
    assert deaths.recorded == 4
    assert [size for size in batches if size] == [1, 1, 1, 1, 6]
    assert await ten.scalar("SELECT crashes FROM sync_job") == 0


async def test_a_worker_that_dies_while_it_lists_blames_no_entity(
    ten, monkeypatch
) -> None:
    deaths = Deaths(monkeypatch, at_05=1)
    job = await careful(ten)
    task = asyncio.create_task(run_job(ten.desk, job.id))
    await ten.until(job, lambda now: now.counts.inserted == 5)
    while deaths.left["05"]:  # noqa: ASYNC110  # set by the worker
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ten.execute("UPDATE sync_job SET released = false")

    assert await ten.scalar("SELECT suspect_key FROM sync_job") is not None
    assert await _claim(ten.parts, job.id) is not None, "and dies at once"
    await ten.expire_lease(job)
    done = await ten.run(job)

    assert (done.counts.inserted, done.counts.failed) == (10, 0)


@pytest.mark.parametrize("token", [None, {"page": 1}])
async def test_workers_that_die_while_they_list_blame_no_entity_and_end(
    ten, monkeypatch, token
) -> None:
    deaths = Deaths(monkeypatch)

    async def deadly(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for name in NAMES[:3]:
            yield Upsert(thing(name, f"content {name}"))
        if token is not None:
            yield Checkpoint(token)
        yield Waiting(0)
        await deaths.committed()
        await deaths.while_listing()

    ten.script.items = deadly
    done = await deaths.run(ten, await ten.start())

    assert (done.status, done.counts.failed) == (JobStatus.FAILED, 0), done
    assert (done.counts.inserted, done.attempt) == (3, 6)


@pytest.mark.parametrize("is_listing_deadly", [True, False])
async def test_workers_that_die_each_time_of_something_else_end_the_job(
    ten, monkeypatch, *, is_listing_deadly: bool
) -> None:
    monkeypatch.setattr(job_run, "DEATHS_UNTIL_FAILED", 8)
    deaths = Deaths(monkeypatch, at_04=100, at_05=100)
    reads = []

    async def listed(_: Any) -> AsyncIterator[Item]:
        reads.append(1)
        yield ScopeStart()
        if len(reads) % 2 == 0 and is_listing_deadly:
            await deaths.while_listing()
        names = ["04", "05"] if len(reads) % 2 == 0 else ["05", "04"]
        for name in names:
            yield Upsert(thing(name, f"content {name}"))
        yield ScopeEnd()

    ten.script.items = listed
    done = await deaths.run(ten, await ten.start())

    assert done.status is JobStatus.FAILED
    assert (done.error or "").startswith("the worker died 8 times in a row")
    assert done.attempt == 9


async def test_failing_again_at_one_entity_is_no_progress_for_another(
    ten, monkeypatch
) -> None:
    deaths = Deaths(monkeypatch, at_04=100)
    failure = Failure(
        Ref("thing", "bad"),
        stage=FailureStage.READ,
        failure_class=FailureClass.TRANSIENT,
        reason="it stumbles",
    )

    async def listed(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield failure
        yield Waiting(0)
        await deaths.committed()
        yield Upsert(thing("04", "content 04"))
        yield ScopeEnd()

    ten.script.items = listed
    done = await deaths.run(ten, await ten.start())

    assert done.status is JobStatus.COMPLETED, done.error
    failed = [one["source_id"] for one in (done.error_details or {})["failures"]]
    assert "04" in failed


async def test_what_failed_for_good_is_tried_again_once_it_has_changed(
    ten, monkeypatch
) -> None:
    deaths = Deaths(monkeypatch)
    changed = replace(thing("04", "content 04"), source_version="2")
    failure = Failure(
        Ref(changed.type, "04"),
        stage=FailureStage.READ,
        failure_class=FailureClass.PERMANENT,
        reason="it is corrupt",
        source_version="1",
    )
    reads = []

    async def listed(_: Any) -> AsyncIterator[Item]:
        reads.append(1)
        yield ScopeStart()
        if len(reads) == 1:
            yield failure
            yield Waiting(0)
            await deaths.committed()
            await deaths.while_listing()
        yield Upsert(changed)
        yield ScopeEnd()

    ten.script.items = listed
    done = await deaths.run(ten, await ten.start())

    assert (done.status, done.counts.inserted) == (JobStatus.COMPLETED, 1), done.error
    assert done.counts.failed == 0


async def test_each_page_of_deletes_is_progress(ten, monkeypatch) -> None:
    await ten.sync()
    deaths = Deaths(monkeypatch)
    monkeypatch.setattr(sweep, "PAGE", 1)
    page = scopes.missing_page
    calls = []

    async def every_second_dies(*words: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) % 2 == 0:
            await deaths.while_listing()
        return await page(*words, **more)

    monkeypatch.setattr(scopes, "missing_page", every_second_dies)
    ten.script.world = {}
    done = await deaths.run(ten, await ten.start(force_full=True))

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 11), done.error
    assert done.counts.deleted == 10
