"""Jobs whose worker has gone: each comes to its right end, and none runs for ever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from tests.bench import Bench, thing

from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store import cursors, jobs
from wellhead.sync import intake
from wellhead.worker import boot, lease
from wellhead.worker.loop import work
from wellhead.worker.run_job import _claim, run_job

WAITING = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
ORPHANS = {
    "waiting, task lost": ("pending", "DELETE FROM procrastinate_jobs WHERE {mine}"),
    "waiting, fetched by one that died": (
        "pending",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = {dead}"
        " WHERE {mine}",
    ),
    "waiting, fetched by one long gone": (
        "pending",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = NULL WHERE {mine}",
    ),
    "running, task lost": ("running", "DELETE FROM procrastinate_jobs WHERE {mine}"),
    "running, its worker died": (
        "running",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = {dead}"
        " WHERE {mine}",
    ),
    "running, handed over, task lost": (
        "running",
        "WITH gone AS (DELETE FROM procrastinate_jobs WHERE {mine})"
        " UPDATE sync_job SET released = true WHERE id = '{id}'",
    ),
    "cancelling, task lost": (
        "cancelling",
        "DELETE FROM procrastinate_jobs WHERE {mine}",
    ),
    "cancelling, its worker died": (
        "cancelling",
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = {dead},"
        " abort_requested = true WHERE {mine}",
    ),
    "cancelling, handed over": (
        "cancelling",
        "UPDATE sync_job SET released = true WHERE id = '{id}'",
    ),
}


async def orphan(bench: Bench, how: str) -> SyncJob:
    """A job of a connection of its own, left behind in this way."""
    status, statement = ORPHANS[how]
    connection_id = await bench.scalar("SELECT gen_random_uuid()")
    await bench.execute(
        "INSERT INTO source_connection (id, organization_id, collection_id,"
        " short_name, name, config, auth_method, created_at, modified_at)"
        " SELECT :n, organization_id, collection_id, short_name, name, config,"
        " auth_method, created_at, modified_at FROM source_connection"
        " WHERE id = :old",
        n=connection_id,
        old=bench.connection_id,
    )
    mine = replace(bench, connection_id=connection_id)
    job = await mine.start()
    if status != "pending":
        claimed = await _claim(mine.parts, job.id)
        assert claimed is not None
        async with bench.parts.db.begin() as connection:
            await jobs.patch(connection, claimed.claim.job, {"phase": "syncing"})
    if status == "cancelling":
        await mine.cancel(job)
    dead = await bench.scalar("SELECT max(id) FROM procrastinate_workers")
    await bench.execute(
        statement.format(
            mine=f"queueing_lock = 'run_job:{job.id}'", dead=dead, id=job.id
        )
    )
    await bench.execute(
        "UPDATE sync_job SET created_at = now() - interval '1 hour',"
        " lease_until = lease_until - interval '1 minute' WHERE id = :i",
        i=job.id,
    )
    return job


async def test_whatever_a_dead_worker_left_comes_to_its_right_end(
    bench, database_url: str, monkeypatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.2)
    bench.script.world = {"a": "content"}
    await bench.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat)"
        " VALUES (now() - interval '1 minute')"
    )
    left = {how: await orphan(bench, how) for how in ORPHANS}
    stop = asyncio.Event()
    conninfo = make_url(database_url).set(drivername="postgresql")
    worker = asyncio.create_task(
        work(
            bench.parts,
            bench.desk.converter,
            conninfo=conninfo.render_as_string(hide_password=False),
            concurrency=4,
            stop=stop,
        )
    )

    done = {
        how: await bench.until(job, lambda now: not now.is_open)
        for how, job in left.items()
    }
    stop.set()
    await worker

    assert {how: job.status.value for how, job in done.items()} == {
        how: "cancelled" if status == "cancelling" else "completed"
        for how, (status, _) in ORPHANS.items()
    }
    resumed = [how for how, job in done.items() if job.attempt == 2]
    assert resumed == [
        "running, task lost",
        "running, its worker died",
        "cancelling, task lost",
        "cancelling, its worker died",
    ]
    assert await bench.scalar("SELECT count(*) FROM intent") == 0
    assert await bench.scalar("SELECT count(*) FROM procrastinate_jobs") == 0


# a worker that dies again and again


async def crash_in_listing(bench: Bench, job: SyncJob, items: Any) -> None:
    """Run a job until its source stands still; then its worker is no more."""
    reached = asyncio.Event()

    async def read(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in items(cursor):
            yield item
        reached.set()
        await asyncio.Event().wait()

    bench.script.items = read
    task = asyncio.create_task(run_job(bench.desk, job.id))
    stands = asyncio.create_task(reached.wait())
    await asyncio.wait({task, stands}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    stands.cancel()
    await asyncio.gather(task, stands, return_exceptions=True)
    await bench.execute(
        "UPDATE sync_job SET released = false,"
        " lease_until = now() - interval '1 second'"
        " WHERE id = :id AND status = 'running'",
        id=job.id,
    )


async def nothing(_: Any) -> AsyncIterator[Item]:
    yield ScopeStart()


async def test_a_job_that_kills_its_workers_before_any_commit_fails_in_the_end(
    bench,
) -> None:
    job = await bench.start()
    workers = 0
    while (await bench.job(job.id)).is_open:
        workers += 1
        assert workers < 20, "the job never ends"
        await crash_in_listing(bench, job, nothing)

    failed = await bench.job(job.id)
    assert failed.status is JobStatus.FAILED
    assert (failed.error or "").startswith("the worker died 5 times in a row")
    assert failed.attempt == 6
    bench.script.items = None
    assert (await bench.sync()).status is JobStatus.COMPLETED, "the next one is new"


async def test_a_job_that_gets_further_each_time_outlives_any_number_of_crashes(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(intake, "PAGE_SECONDS", 0.05)
    job = await bench.start()

    async def one_more(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        at = (cursor or {"at": 0})["at"]
        yield ScopeStart()
        yield Upsert(thing(str(at), f"content {at}"))
        yield Checkpoint({"at": at + 1})
        await bench.until(job, lambda now: now.checkpoint == {"at": at + 1})

    for _ in range(2):
        await crash_in_listing(bench, job, nothing)
    for _ in range(8):
        await crash_in_listing(bench, job, one_more)
    bench.script.items = nothing
    done = await bench.run(job)

    assert (done.status, done.counts.inserted) == (JobStatus.COMPLETED, 8), done.error


async def test_a_worker_that_only_slept_has_not_crashed(bench) -> None:
    gates: list[asyncio.Event] = []

    async def items(_: Any) -> AsyncIterator[Item]:
        gates.append(asyncio.Event())
        yield ScopeStart()
        await gates[-1].wait()
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    tasks = [asyncio.create_task(run_job(bench.desk, job.id))]
    await bench.until(job, lambda _: len(gates) == 1)
    for turn in range(2, 8):
        async with asyncio.timeout(60):
            while len(gates) < turn:
                await bench.expire_lease(job)
                tasks.append(asyncio.create_task(run_job(bench.desk, job.id)))
                while not tasks[-1].done() and len(gates) < turn:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            while await bench.scalar("SELECT crashes FROM sync_job"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    gates[-1].set()
    await asyncio.gather(*tasks)

    done = await bench.job(job.id)
    assert done.status is JobStatus.COMPLETED, done.error
    assert done.attempt >= 7


async def test_after_a_power_loss_locks_are_taken_in_the_order_of_all(bench) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    await boot.after_power_loss(bench.parts, boot_id="first")
    version = await bench.scalar("SELECT version FROM entity")
    await bench.parts.index.delete_versions(bench.collection_id, [version])

    async with bench.parts.db.begin() as connection:  # as the end of a job
        await cursors.lock(connection, bench.connection_id)
        repair = asyncio.create_task(
            boot.after_power_loss(bench.parts, boot_id="second")
        )
        async with asyncio.timeout(30):
            while not await bench.scalar(WAITING):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        # who waits for the connection holds no entity
        await connection.execute(text("SELECT 1 FROM entity FOR UPDATE NOWAIT"))

    assert await repair == 1
