"""What happens beside jobs: reaping, purging, flushing, reuse of vectors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from wellhead.domain.entities import Entity
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.embed.null import NullEmbedder
from wellhead.engine.procrastinate import Task
from wellhead.services.parts import Limits
from wellhead.worker import boot
from wellhead.worker.loop import work
from wellhead.worker.maintain import flush_garbage, maintain_tables, maintainer
from wellhead.worker.purge import drop_collection, purge_connection
from wellhead.worker.reaper import reap
from wellhead.worker.scheduler import tick


class CountingEmbedder(NullEmbedder):
    """The null embedder, with its work written down."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> memoryview:
        self.texts.extend(texts)
        return await super().embed(texts)


async def test_an_update_embeds_only_passages_that_are_new(bench) -> None:
    embedder = CountingEmbedder()
    desk = replace(bench.desk, parts=replace(bench.parts, embedder=embedder))
    bench.desk = desk
    passage = "content word " * 40
    bench.script.world = {"a": f"{passage}\n\n{'first ' * 100}\n\n{'second ' * 90}"}
    await bench.sync()
    before = len(embedder.texts)
    bench.script.world = {"a": f"{passage}\n\n{'first ' * 100}\n\n{'third ' * 90}"}

    job = await bench.sync()

    assert job.counts.updated == 1
    assert before >= 3
    assert len(embedder.texts) - before == 1


async def test_changed_metadata_is_an_update_that_embeds_nothing(bench) -> None:
    embedder = CountingEmbedder()
    bench.desk = replace(bench.desk, parts=replace(bench.parts, embedder=embedder))
    url = {"now": "https://example.com/1"}

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Upsert(
            Entity(type="T", source_id="a", name="a", text="content", url=url["now"])
        )
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    url["now"] = "https://example.com/2"

    job = await bench.sync()

    assert (job.counts.updated, len(embedder.texts)) == (1, 1)
    assert (await bench.search("content"))[0].web_url == "https://example.com/2"


async def test_old_versions_leave_the_index_after_their_grace(bench) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    bench.script.world = {"a": "content two"}
    await bench.sync()
    assert len(await bench.stored_versions()) == 2
    assert await flush_garbage(bench.parts) == 0, "a search may still need it"

    await bench.ripen_garbage()

    assert await flush_garbage(bench.parts) == 1
    assert len(await bench.stored_versions()) == 1
    assert await bench.scalar("SELECT count(*) FROM garbage") == 0
    assert await bench.world() == {"a": "content two"}


async def test_two_maintainers_never_work_on_one_collection(bench) -> None:
    async with (
        maintainer(bench.parts.db, bench.collection_id) as first,
        maintainer(bench.parts.db, bench.collection_id) as second,
    ):
        assert (first, second) == (True, False)
    async with maintainer(bench.parts.db, bench.collection_id) as third:
        assert third is True


async def test_a_pending_job_without_a_task_is_queued_again(bench) -> None:
    job = await bench.start()
    await bench.execute("DELETE FROM procrastinate_jobs")
    assert await reap(bench.parts) == 0, "it has just been queued"
    await bench.execute("UPDATE sync_job SET created_at = now() - interval '1 minute'")

    assert await reap(bench.parts) == 1

    assert await reap(bench.parts) == 0
    async with bench.parts.db.connect() as connection:
        assert await bench.parts.engine.is_known(connection, Task.RUN_JOB, job.id)
    assert (await bench.job(job.id)).status is JobStatus.PENDING


async def test_a_deleted_connection_leaves_nothing_behind(bench) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    await bench.sync()
    await bench.execute("UPDATE source_connection SET is_deleting = true")
    assert await bench.found("content") == set(), "absent at once"

    await purge_connection(bench.parts, bench.connection_id)

    assert await bench.stored_versions() == {}
    assert await bench.scalar("SELECT count(*) FROM entity") == 0
    assert await bench.scalar("SELECT count(*) FROM source_connection") == 1
    later = datetime.now(UTC) + timedelta(minutes=16)  # noqa: TID251  # the real time

    class Later:
        def now(self) -> datetime:
            return later

    await purge_connection(replace(bench.parts, clock=Later()), bench.connection_id)
    assert await bench.scalar("SELECT count(*) FROM source_connection") == 0
    assert await bench.scalar("SELECT count(*) FROM sync_job") == 0


async def test_a_deleted_collection_is_dropped_with_its_connections(bench) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    await bench.execute("UPDATE source_connection SET is_deleting = true")
    await bench.execute("UPDATE collection SET is_deleting = true")

    await drop_collection(bench.parts, bench.collection_id)
    assert len(await bench.stored_versions()) == 1, "its connection is not purged yet"
    await purge_connection(bench.parts, bench.connection_id)
    await drop_collection(bench.parts, bench.collection_id)
    assert await bench.stored_versions() == {}
    await bench.execute("DELETE FROM source_connection")
    await drop_collection(bench.parts, bench.collection_id)

    assert await bench.scalar("SELECT count(*) FROM collection") == 0


async def test_chunks_lost_with_the_power_are_synced_again(bench) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    await bench.sync()
    assert await boot.after_power_loss(bench.parts, boot_id="first") == 0
    lost = await bench.scalar("SELECT version FROM entity WHERE source_id = 'a'")
    await bench.parts.index.delete_versions(bench.collection_id, [lost])
    assert await boot.after_power_loss(bench.parts, boot_id="first") == 0

    assert await boot.after_power_loss(bench.parts, boot_id="second") == 1

    job = await bench.sync()
    assert job.counts.updated == 1
    assert await bench.world() == {"a": "content one", "b": "content two"}


async def test_tables_are_maintained_once_after_they_changed(bench) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()

    await maintain_tables(bench.parts)

    assert await bench.scalar("SELECT maintained_at FROM collection") is not None
    assert await bench.world() == {"a": "content one"}


async def test_a_worker_runs_what_is_queued_until_it_is_stopped(
    bench, database_url: str
) -> None:
    bench.script.world = {"a": "content one"}
    stop = asyncio.Event()
    conninfo = make_url(database_url).set(drivername="postgresql")
    worker = asyncio.create_task(
        work(
            bench.parts,
            bench.desk.converter,
            conninfo=conninfo.render_as_string(hide_password=False),
            concurrency=2,
            stop=stop,
        )
    )

    job = await bench.start()
    done = await bench.until(job, lambda now: not now.is_open)
    cancelled = await slow_job(bench)
    stop.set()
    await asyncio.wait_for(worker, 20)

    assert done.status is JobStatus.COMPLETED
    assert cancelled.status is JobStatus.CANCELLED


async def slow_job(bench):
    """Start a job that never ends by itself, and cancel it through the engine."""

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        await asyncio.sleep(3600)

    bench.script.items = items
    job = await bench.start()
    await bench.until(job, lambda now: now.status is JobStatus.RUNNING)
    await bench.cancel(job)
    return await bench.until(job, lambda now: not now.is_open)


async def test_what_is_due_is_started_once_however_many_moments_passed(bench) -> None:
    await bench.execute(
        "UPDATE source_connection SET schedule_cron = '*/5 * * * *',"
        " next_run_at = now() - interval '1 day'"
    )

    assert await tick(bench.parts) == 1
    assert await tick(bench.parts) == 0

    assert await bench.scalar("SELECT trigger FROM sync_job") == "schedule"
    assert await bench.scalar("SELECT next_run_at > now() FROM source_connection")


@pytest.mark.parametrize(
    "obstacle",
    [
        "UPDATE source_connection SET paused_reason = 'config_invalid'",
        "UPDATE source_connection SET is_deleting = true",
        "UPDATE source_connection SET next_run_at = now() + interval '1 minute'",
    ],
)
async def test_what_must_not_run_is_not_started(bench, obstacle: str) -> None:
    await bench.execute(
        "UPDATE source_connection SET schedule_cron = '0 * * * *',"
        " next_run_at = now() - interval '1 minute'"
    )
    await bench.execute(obstacle)

    assert await tick(bench.parts) == 0
    assert await bench.scalar("SELECT count(*) FROM sync_job") == 0


async def test_a_tick_finds_an_open_job_and_waits_for_the_next_moment(bench) -> None:
    await bench.start()
    await bench.execute(
        "UPDATE source_connection SET schedule_cron = '0 * * * *',"
        " next_run_at = now() - interval '1 minute'"
    )

    assert await tick(bench.parts) == 0
    assert await bench.scalar("SELECT count(*) FROM sync_job") == 1
    assert await bench.scalar("SELECT next_run_at > now() FROM source_connection")


async def test_a_full_disk_fails_the_job_and_the_next_one_goes_on(
    bench, tmp_path: Path
) -> None:
    bench.script.world = {"a": "content one"}
    roomy = bench.desk
    limits = Limits(min_free_bytes=2**62, data_dir=tmp_path)
    bench.desk = replace(roomy, parts=replace(bench.parts, limits=limits))

    full = await bench.sync()
    bench.desk = roomy
    after = await bench.sync()

    assert full.status is JobStatus.FAILED
    assert (full.error or "").startswith("disk full")
    assert full.error_details == {"category": "disk_full"}
    assert await bench.scalar("SELECT paused_reason FROM source_connection") is None
    assert (after.status, after.counts.inserted) == (JobStatus.COMPLETED, 1)
