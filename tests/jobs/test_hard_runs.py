"""Runs that are hard to get right: leases, retries, giants, suspects and outages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from wellhead.domain.entities import Entity
from wellhead.domain.errors import FailureClass, RetryableError
from wellhead.domain.items import Failure, Item, Ref, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store.garbage import GRACE_SECONDS
from wellhead.sync import commit, intake, pipeline
from wellhead.worker.run_job import run_job


def thing(ident: str, version: str | None = None) -> Upsert:
    return Upsert(
        Entity(
            type="Thing",
            source_id=ident,
            name=ident,
            text="content",
            source_version=version,
        )
    )


@pytest.fixture
def quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a source has given is committed soon, although it stands still."""
    monkeypatch.setattr(intake, "PAGE_SECONDS", 0.2)


class Gates:
    """A source that stands still in each read until that read's gate is opened."""

    def __init__(self, count: int) -> None:
        self.gates = [asyncio.Event() for _ in range(count)]
        self.reads = 0

    async def items(self, _: Any) -> AsyncIterator[Item]:
        gate = self.gates[self.reads]
        self.reads += 1
        yield ScopeStart()
        yield thing("a")
        await gate.wait()
        yield ScopeEnd()

    def open(self) -> None:
        for gate in self.gates:
            gate.set()


async def halfway(bench) -> tuple[SyncJob, asyncio.Task[None]]:
    """Start a job that stands still once its first entity is committed."""
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.inserted + now.counts.kept == 1)
    return job, task


async def take_over(bench, job: SyncJob) -> asyncio.Task[None]:
    """Run a job a second time, as if the machine had slept through its lease."""
    async with asyncio.timeout(30):
        while True:
            # the first run's lease may be renewed just before we claim it
            await bench.expire_lease(job)
            task = asyncio.create_task(run_job(bench.desk, job.id))
            while not task.done():
                if (await bench.job(job.id)).attempt == 2:
                    return task
                await asyncio.sleep(0.02)


async def renewed(bench, job: SyncJob, *, times: int) -> None:
    """Wait until a job's lease has been renewed so often."""
    query = "SELECT lease_until FROM sync_job WHERE id = :i"
    last = await bench.scalar(query, i=job.id)
    async with asyncio.timeout(30):
        while times:
            await asyncio.sleep(0.1)
            now = await bench.scalar(query, i=job.id)
            times -= now > last
            last = now


async def other_job(bench) -> UUID:
    """A running job of another connection, of this same worker."""
    job_id, connection_id = uuid4(), uuid4()
    await bench.execute(
        "INSERT INTO source_connection (id, organization_id, collection_id,"
        " short_name, name, config, auth_method, created_at, modified_at)"
        " SELECT :n, organization_id, collection_id, short_name, name, config,"
        " auth_method, created_at, modified_at FROM source_connection",
        n=connection_id,
    )
    await bench.execute(
        "INSERT INTO sync_job (id, sequence, organization_id, connection_id, status,"
        " mode, trigger, created_at, fence, lease_until)"
        " SELECT :n, nextval('job_sequence'), organization_id, :c, 'running', 'full',"
        " 'manual', now(), 1, now() + interval '60 s' FROM sync_job",
        n=job_id,
        c=connection_id,
    )
    return job_id


@pytest.mark.usefixtures("quick_pages")
async def test_a_long_transaction_of_one_job_does_not_starve_the_lease_of_another(
    bench,
) -> None:
    gates = Gates(1)
    bench.script.items = gates.items
    job, task = await halfway(bench)
    other = await other_job(bench)
    held = bench.desk.leases.hold(await bench.job(other))
    lock = text("SELECT 1 FROM sync_job WHERE id = :i FOR UPDATE")
    async with bench.parts.db.begin() as connection:
        await connection.execute(lock, {"i": other})
        await renewed(bench, job, times=2)
    bench.desk.leases.drop(held.job)
    gates.open()
    await task

    assert not held.stop.is_set(), "what is being written is alive"
    assert (await bench.job(job.id)).status is JobStatus.COMPLETED


@pytest.mark.usefixtures("quick_pages")
async def test_a_run_that_was_replaced_in_its_own_process_is_told_to_stop(
    bench,
) -> None:
    gates = Gates(2)
    bench.script.items = gates.items
    job, first = await halfway(bench)
    second = await take_over(bench, job)
    async with asyncio.timeout(30):
        await first  # although its source stands still
    gates.open()
    await second

    done = await bench.job(job.id)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 2)


@pytest.mark.usefixtures("quick_pages")
async def test_the_end_of_a_replaced_run_leaves_its_successors_lease_alone(
    bench,
) -> None:
    gates = Gates(2)
    bench.script.items = gates.items
    job, first = await halfway(bench)
    second = await take_over(bench, job)
    gates.gates[0].set()
    await first
    await renewed(bench, job, times=2)
    gates.open()
    await second

    assert (await bench.job(job.id)).status is JobStatus.COMPLETED


async def test_a_text_larger_than_the_lead_is_read_all_the_same(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LEAD_BYTES", 1000)
    bench.script.world = {"a": "content " * 1000, "b": "content b"}
    async with asyncio.timeout(30):
        job = await bench.sync()

    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 2)


async def test_a_source_that_fails_at_the_same_place_for_ever_fails_the_job(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.0)

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        raise RetryableError("HTTP 500")

    bench.script.items = items
    async with asyncio.timeout(30):
        job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "HTTP 500" in (job.error or "")
    assert len(bench.script.cursors) == pipeline.SOURCE_TRIES


class Lockable:
    """A source of many entities, of which every so many can be locked."""

    def __init__(self, total: int, every: int) -> None:
        self.total, self.every = total, every
        self.is_locked = False
        self.fetches = 0

    async def items(self, _: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for n in range(self.total):
            if self.is_locked and n % self.every == 0:
                yield Failure(Ref("Thing", f"{n:04}"), "locked")
            else:
                yield thing(f"{n:04}", version="1")
        yield ScopeEnd()

    async def fetched(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        self.fetches += 1
        for ref in refs:
            yield Failure(ref, "locked")


async def test_retries_that_are_due_and_fail_again_do_not_fail_the_next_job(
    bench,
) -> None:
    source = Lockable(500, every=20)
    bench.script.items = source.items
    await bench.sync()
    source.is_locked = True
    second = await bench.sync()
    await bench.execute("UPDATE failure SET next_retry_at = now()")
    bench.script.fetched = source.fetched
    third = await bench.sync()

    assert (second.status, second.counts.failed) == (JobStatus.COMPLETED, 25)
    assert source.fetches >= 1
    assert third.status is JobStatus.COMPLETED, third.error


async def test_retries_at_the_end_of_a_job_are_not_counted_as_new_failures(
    bench,
) -> None:
    source = Lockable(1500, every=20)
    bench.script.items, bench.script.fetched = source.items, source.fetched
    await bench.sync()
    source.is_locked = True
    job = await bench.sync()

    assert source.fetches == 1
    assert (job.status, job.counts.failed) == (JobStatus.COMPLETED, 75), job.error


async def test_few_failures_among_many_new_entities_do_not_fail_the_job(bench) -> None:
    """Six in a hundred fail, which is known long before the others are written."""
    source = Lockable(500, every=16)
    source.is_locked = True
    bench.script.items = source.items
    job = await bench.sync()

    assert (job.status, job.counts.failed) == (JobStatus.COMPLETED, 32), job.error


@pytest.mark.usefixtures("quick_pages")
async def test_an_entity_that_was_kept_is_not_blamed_for_a_later_crash(bench) -> None:
    """It has no version, so it is read before it is kept: a suspect meanwhile."""
    gates = Gates(3)
    gates.gates[0].set()
    bench.script.items = gates.items
    await bench.sync()
    job = await bench.start()
    await bench.execute("UPDATE sync_job SET crashes = 2 WHERE id = :i", i=job.id)
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.kept == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    # as after kill -9
    await bench.execute("UPDATE sync_job SET released = false WHERE id = :i", i=job.id)
    gates.open()
    done = await bench.run(job)

    assert gates.reads == 3
    assert (done.status, done.counts.failed) == (JobStatus.COMPLETED, 0)


async def test_the_grace_of_garbage_counts_from_its_commit(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    bench.script.world = {"a": "content two"}
    write, written = commit._write, []

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(0.3)  # within the transaction
        written.append(await bench.scalar("SELECT clock_timestamp()"))
        return await write(*arguments)

    monkeypatch.setattr(commit, "_write", slow)
    await bench.sync()
    ends = await bench.scalar("SELECT not_before FROM garbage")

    assert (ends - written[0]).total_seconds() >= GRACE_SECONDS


@pytest.mark.usefixtures("quick_pages")
async def test_the_reader_is_stopped_before_its_source_is_closed(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = []

    async def close(_: Any) -> None:
        log.append("closed")

    async def items(_: Any) -> AsyncIterator[Item]:
        try:
            yield ScopeStart()
            for n in range(60):
                yield Failure(Ref("Thing", str(n)), "corrupt", FailureClass.PERMANENT)
            for n in range(100_000):
                yield thing(str(n))
                await asyncio.sleep(0.005)
        finally:
            log.append("read ended")

    monkeypatch.setattr(bench.parts.sources.get("scripted"), "close", close)
    bench.script.items = items
    async with asyncio.timeout(30):
        job = await bench.sync()

    assert job.status is JobStatus.FAILED, "too much is corrupt"
    assert log == ["read ended", "closed"]


async def test_vectors_that_cannot_be_read_back_do_not_fail_the_job(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = {"a": "content one", "b": "content b"}
    await bench.sync()
    bench.script.world = {"a": "content two", "b": "content b", "c": "content c"}

    async def broken(*_: Any) -> None:
        raise RuntimeError("file not found")

    monkeypatch.setattr(bench.parts.index, "read_vectors", broken)
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert "b" in await bench.found("content")
