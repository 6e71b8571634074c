"""Cancels, crashes and lost leases: what is true afterwards."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.things import thing

from wellhead.domain.errors import ConflictError, FailureClass, FencedError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
)
from wellhead.domain.jobs import JobMode, JobStatus, Rollback
from wellhead.store import jobs
from wellhead.sync import commit, intake, reading
from wellhead.sync.recover import roll_back
from wellhead.worker.maintain import flush_garbage
from wellhead.worker.run_job import run_job


class Gate:
    """A source that stops after some entities until it is let go on."""

    def __init__(self, bench, after: int) -> None:
        self.bench, self.after = bench, after
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def items(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        done = 0
        async for item in self.bench.script.numbered(cursor):
            yield item
            done += isinstance(item, Checkpoint)
            if done == self.after and not self.open.is_set():
                self.reached.set()
                await self.open.wait()


async def halfway(bench, *, after: int = 3):
    """Start a job that stands still once `after` entities are committed."""
    gate = Gate(bench, after)
    bench.script.items = gate.items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.inserted == after)
    return job, task, gate


@pytest.fixture
def five(bench):
    bench.script.world = {str(n): f"content {n}" for n in range(5)}
    return bench


async def test_a_pending_job_is_cancelled_without_a_worker(bench) -> None:
    job = await bench.start()

    cancelled = await bench.cancel(job)

    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.completed_at is not None
    assert (cancelled.started_at, cancelled.duration_seconds) == (None, None)
    await run_job(bench.desk, job.id)
    assert (await bench.job(job.id)).status is JobStatus.CANCELLED


async def test_what_a_cancelled_job_inserted_is_gone_at_once(five) -> None:
    bench = five
    job, task, _ = await halfway(bench)
    assert await bench.found("content") == {"0", "1", "2"}

    answer = await bench.cancel(job)
    again = await bench.cancel(job)
    await task
    done = await bench.job(job.id)

    assert answer.status is again.status is JobStatus.CANCELLING
    assert done.status is JobStatus.CANCELLED
    assert done.counts.inserted == 3, "true counts of what was done"
    assert done.error is None
    assert done.rollback is Rollback.PENDING
    assert done.error_details["cleanup"] == {
        "state": "pending",
        "entities": 3,
        "chunks": 3,
    }
    assert await bench.found("content") == set()
    await roll_back(bench.parts.db, job.id)
    assert (await bench.job(job.id)).error_details["cleanup"]["state"] == "done"
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    assert await bench.stored_versions() == {}
    with pytest.raises(ConflictError, match="cancelled state"):
        await bench.cancel(job)


async def test_after_a_removing_cancel_the_next_job_is_full(five) -> None:
    bench = five
    job, task, _ = await halfway(bench)
    await bench.cancel(job)
    await task
    bench.script.items = bench.script.numbered

    after = await bench.sync()

    assert after.mode is JobMode.FULL
    assert after.counts.inserted == 5
    assert await bench.found("content") == set("01234")


async def test_a_cancel_may_keep_the_data(five) -> None:
    bench = five
    job, task, _ = await halfway(bench)

    await bench.cancel(job, keep_data=True)
    await task

    assert (await bench.job(job.id)).rollback is Rollback.NONE
    assert await bench.found("content") == {"0", "1", "2"}


async def test_a_cancel_leaves_what_earlier_jobs_made(five) -> None:
    bench = five
    await bench.sync()
    bench.script.world = {str(n): f"content {n} changed" for n in range(5)} | {
        "00": "content new"
    }
    gate = Gate(bench, 3)
    bench.script.items = gate.items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.updated == 2)

    await bench.cancel(job)
    await task

    shown = await bench.world()
    assert set(shown) == set("01234")
    assert shown["0"] == "content 0 changed", "its newest committed version"
    assert shown["4"] == "content 4"


async def test_a_crashed_job_resumes_under_its_id_with_the_same_counts(five) -> None:
    bench = five
    job, task, gate = await halfway(bench)
    bench.desk.leases.drop(await bench.job(job.id))
    await bench.expire_lease(job)
    zombie = await bench.job(job.id)
    resumed = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.fence > zombie.fence)
    gate.open.set()
    await asyncio.gather(task, resumed)

    done = await bench.job(job.id)
    assert done.status is JobStatus.COMPLETED, done.error
    assert done.attempt == 2
    assert (done.counts.inserted, done.counts.updated) == (5, 0)
    assert bench.script.cursors == [None, {"done": 2}]
    assert await bench.found("content") == set("01234")


async def test_a_fenced_writer_can_commit_nothing(five) -> None:
    bench = five
    job, task, gate = await halfway(bench)
    mine = await bench.job(job.id)
    await bench.execute(
        "UPDATE sync_job SET fence = fence + 1 WHERE id = :id", id=job.id
    )

    async with bench.parts.db.begin() as connection:
        with pytest.raises(FencedError):
            await jobs.lock(connection, mine, JobStatus.RUNNING)
    gate.open.set()
    await task

    after = await bench.job(job.id)
    assert after.status is JobStatus.RUNNING, "left to its new owner"
    assert after.counts.inserted == 3


async def test_a_shutdown_gives_the_job_to_another_worker_at_no_cost(five) -> None:
    bench = five
    job, task, gate = await halfway(bench)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gate.open.set()
    done = await bench.run(job)

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)
    assert done.counts.inserted == 5


async def test_a_database_that_went_away_is_no_crash_of_the_job(
    five, monkeypatch
) -> None:
    bench = five
    finish = commit.finish

    async def cut_off(run, *rest: Any) -> None:
        async with run.tools.db.connect() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pg_backend_pid())")
            )

    monkeypatch.setattr(commit, "finish", cut_off)
    job = await bench.start()
    with pytest.raises(OperationalError):
        await run_job(bench.desk, job.id)
    monkeypatch.setattr(commit, "finish", finish)

    done = await bench.run(job)

    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)
    assert await bench.scalar("SELECT crashes FROM sync_job") == 0
    assert done.counts.inserted == 5


async def test_a_crash_between_append_and_commit_leaves_nothing(
    five, monkeypatch
) -> None:
    bench = five
    finish = commit.finish

    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(commit, "finish", die)
    job = await bench.start()
    with pytest.raises(asyncio.CancelledError):
        await run_job(bench.desk, job.id)
    assert await bench.scalar("SELECT count(*) FROM intent") == 5
    assert len(await bench.stored_versions()) == 5
    assert await bench.found("content") == set(), "appended, never committed"
    monkeypatch.setattr(commit, "finish", finish)

    done = await bench.run(job)

    assert (done.status, done.counts.inserted) == (JobStatus.COMPLETED, 5)
    assert await bench.scalar("SELECT count(*) FROM intent") == 0
    assert await bench.scalar("SELECT max(passes) FROM garbage") == 2
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    versions = await bench.scalar("SELECT array_agg(version) FROM entity")
    assert set(await bench.stored_versions()) == set(versions)


async def test_an_entity_that_kills_the_worker_is_quarantined(five) -> None:
    bench = five
    killer = "2"

    async def items(_: Any) -> AsyncIterator[Item]:
        async for item in bench.script.numbered(None):
            if not isinstance(item, Checkpoint):
                yield item

    read = reading._read_group

    async def deadly(run, group):
        if any(one.item.entity.source_id == killer for one in group):
            raise asyncio.CancelledError
        return await read(run, group)

    bench.script.items = items
    job = await bench.start()
    attempts = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_read_group", deadly)
        while (await bench.job(job.id)).is_open:
            attempts += 1
            assert attempts < 20, "the job never ends"
            crash = asyncio.create_task(run_job(bench.desk, job.id))
            await asyncio.gather(crash, return_exceptions=True)
            # unlike a shutdown, a crash releases nothing
            await bench.execute(
                "UPDATE sync_job SET released = false,"
                " lease_until = now() - interval '1 second'"
                " WHERE id = :id AND status = 'running'",
                id=job.id,
            )

    done = await bench.job(job.id)
    assert done.status is JobStatus.COMPLETED, done.error
    assert done.attempt == 5
    assert (done.counts.inserted, done.counts.failed) == (4, 1)
    assert done.error_details["failures"][0]["source_id"] == killer


async def test_what_failed_before_a_crash_is_read_again_when_it_changed(bench) -> None:
    """Without versions only the content tells that it is another one."""
    gate = asyncio.Event()

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if cursor is None:
            yield Failure(Ref("Thing", "2"), "unreadable", FailureClass.PERMANENT)
            yield Checkpoint({"at": 1})
            await gate.wait()
        yield thing("2", "good at last")
        yield Checkpoint({"at": 2})

    bench.script.items = items
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.failed == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    # unlike a shutdown, a crash releases nothing
    await bench.execute("UPDATE sync_job SET released = false")
    await bench.expire_lease(job)
    gate.set()
    await run_job(bench.desk, job.id)

    done = await bench.job(job.id)
    assert done.status is JobStatus.COMPLETED, done.error
    assert (done.counts.inserted, done.counts.failed) == (1, 0)
    assert await bench.found("good") == {"2"}


async def test_a_second_job_is_refused_while_one_is_open(bench) -> None:
    await bench.start()

    with pytest.raises(ConflictError, match="already pending"):
        await bench.start()


async def test_of_many_starts_at_once_one_wins(bench) -> None:
    outcomes = await asyncio.gather(
        *(bench.start() for _ in range(8)), return_exceptions=True
    )

    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert all(
        isinstance(one, ConflictError) for one in outcomes if isinstance(one, Exception)
    )


async def test_an_entity_deleted_and_inserted_in_one_job_is_an_update(bench) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Delete(Ref("Thing", "a"))
        yield Checkpoint({"n": 1})
        for _n in range(intake.PAGE_ITEMS):
            yield Checkpoint({"n": 2})
        async for item in bench.script.listing(None):
            if not isinstance(item, ScopeStart):
                yield item
        yield ScopeEnd()

    bench.script.items = items
    bench.script.world = {"a": "content two"}
    job = await bench.sync()

    assert (job.counts.inserted, job.counts.updated, job.counts.deleted) == (0, 1, 0)
    assert await bench.scalar("SELECT inserted_by FROM entity") is None
