"""When connections run by themselves; the clock is the test's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from wellhead.domain.errors import CredentialsError
from wellhead.domain.items import Item, ScopeStart
from wellhead.domain.jobs import JobStatus
from wellhead.services import connections, runs
from wellhead.services.schedules import Schedule
from wellhead.store import connections as store
from wellhead.worker import scheduler
from wellhead.worker.scheduler import tick

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATEST = timedelta(minutes=5)


@pytest.fixture
async def scene(bench, still_clock):
    """A bench whose parts and whose connection live in the test's time."""
    bench.parts = replace(bench.parts, clock=still_clock)
    await bench.execute("UPDATE source_connection SET created_at = :at", at=CREATED)
    still_clock.at = CREATED
    return bench


async def schedule(scene, cron: str | None) -> None:
    await connections.change_connection(
        scene.parts,
        scene.organization_id,
        scene.connection_id,
        {"schedule": Schedule(cron)},
    )


async def moments(scene):
    async with scene.parts.db.connect() as connection:
        return await store.get(connection, scene.connection_id)


async def triggers(scene) -> list[str]:
    rows = await scene.rows("SELECT trigger FROM sync_job ORDER BY sequence")
    return [row.trigger for row in rows]


async def end_jobs(scene) -> None:
    await scene.execute(
        "UPDATE sync_job SET status = 'completed', completed_at = now()"
        " WHERE status IN ('pending', 'running')"
    )


async def incremental(scene, cron: str) -> datetime:
    """Have an incremental source on this schedule; return when its full run is due."""
    scene.script.info = replace(
        scene.script.info, supports_continuous=True, is_incremental=True
    )
    await scene.execute("UPDATE source_connection SET cursor = '{\"at\": 1}'")
    await schedule(scene, cron)
    full_at: datetime = (await moments(scene)).next_full_at
    return full_at


async def test_a_connection_starts_a_little_after_the_moment_its_cron_names(
    scene, still_clock
) -> None:
    await schedule(scene, "0 * * * *")
    starts = (await moments(scene)).next_run_at
    late = starts - datetime(2026, 1, 2, 4, tzinfo=UTC)

    still_clock.at = starts - timedelta(microseconds=1)
    too_early = await tick(scene.parts)
    still_clock.at = starts
    on_time = await tick(scene.parts)

    assert timedelta(0) <= late < LATEST
    assert (too_early, on_time) == (0, 1)
    assert await triggers(scene) == ["schedule"]
    assert (await moments(scene)).next_run_at == starts + timedelta(hours=1)


async def test_what_was_missed_is_made_up_for_once(scene, still_clock) -> None:
    await schedule(scene, "0 * * * *")
    still_clock.at += timedelta(days=3)

    assert [await tick(scene.parts), await tick(scene.parts)] == [1, 0]
    next_run_at = (await moments(scene)).next_run_at
    assert still_clock.at < next_run_at <= still_clock.at + timedelta(hours=1) + LATEST


async def test_without_a_schedule_nothing_starts(scene, still_clock) -> None:
    await schedule(scene, "0 * * * *")
    await schedule(scene, None)
    still_clock.at += timedelta(days=3)

    assert await tick(scene.parts) == 0


async def test_tickers_at_once_start_each_connection_once(
    scene, still_clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "BATCH", 3)
    await schedule(scene, "0 * * * *")
    for _ in range(16):
        await scene.execute(
            "INSERT INTO source_connection (id, organization_id, collection_id,"
            " short_name, name, config, auth_method, created_at, modified_at,"
            " schedule_cron, next_run_at)"
            " SELECT :id, organization_id, collection_id, short_name, name, config,"
            " auth_method, created_at, modified_at, schedule_cron, next_run_at"
            " FROM source_connection WHERE id = :like",
            id=uuid4(),
            like=scene.connection_id,
        )
    still_clock.at += timedelta(hours=2)

    started = await asyncio.gather(*(tick(scene.parts) for _ in range(4)))

    assert sum(started) == 17
    assert await scene.scalar("SELECT count(*) FROM sync_job") == 17
    assert (
        await scene.scalar("SELECT count(DISTINCT connection_id) FROM sync_job") == 17
    )


async def test_one_that_is_being_deleted_is_never_started(scene, still_clock) -> None:
    await incremental(scene, "0 * * * *")
    await connections.delete_connection(
        scene.parts, scene.organization_id, scene.connection_id
    )
    # as if a schedule had been written at the same moment
    await scene.execute(
        "UPDATE source_connection SET next_run_at = :at, next_full_at = :at", at=CREATED
    )
    still_clock.at += timedelta(days=2)

    assert await tick(scene.parts) == 0


async def test_refused_credentials_pause_the_schedule_until_there_are_new_ones(
    scene, still_clock
) -> None:
    async def refused(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        raise CredentialsError("401")

    scene.script.items = refused
    failed = await scene.sync()
    await incremental(scene, "0 * * * *")
    await scene.execute("DELETE FROM sync_job")
    still_clock.at += timedelta(days=1)
    while_paused = await tick(scene.parts)
    moved_on = await moments(scene)
    await connections.change_connection(
        scene.parts, scene.organization_id, scene.connection_id, {"credentials": {}}
    )
    at_once = await tick(scene.parts)
    still_clock.at = moved_on.next_run_at
    at_the_next_moment = await tick(scene.parts)

    assert failed.status is JobStatus.FAILED
    assert while_paused == 0
    assert moved_on.next_run_at > CREATED + timedelta(days=1)
    assert moved_on.next_full_at > CREATED + timedelta(days=1)
    assert (at_once, at_the_next_moment) == (0, 1)


async def test_credentials_that_came_during_a_job_are_not_paused_by_its_failure(
    bench,
) -> None:
    patched = asyncio.Event()

    async def refused(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        await patched.wait()
        raise CredentialsError("401 for the old ones")

    bench.script.items = refused
    job = await bench.start()
    running = asyncio.create_task(bench.run(job))
    await bench.until(job, lambda now: now.status is JobStatus.RUNNING)
    await connections.change_connection(
        bench.parts, bench.organization_id, bench.connection_id, {"credentials": {}}
    )
    patched.set()
    failed = await running
    bench.script.items = None
    again = await bench.sync()

    assert failed.error_category == "api_key_invalid"
    assert again.status is JobStatus.COMPLETED


async def test_a_quick_schedule_reads_everything_once_a_day(scene, still_clock) -> None:
    full_at = await incremental(scene, "*/5 * * * *")
    still_clock.at = CREATED + timedelta(minutes=6)
    await tick(scene.parts)
    await end_jobs(scene)

    still_clock.at = full_at
    started = await tick(scene.parts)

    assert timedelta(hours=11, minutes=59) < full_at - CREATED
    assert full_at - CREATED < timedelta(hours=12, minutes=30)
    assert started == 1, "the full run covers the other one that is due"
    jobs = await scene.rows(
        "SELECT trigger, mode, force_full FROM sync_job ORDER BY sequence"
    )
    assert [tuple(job) for job in jobs] == [
        ("schedule", "incremental", False),
        ("full", "full", True),
    ]
    now = await moments(scene)
    assert now.next_full_at == full_at + timedelta(days=1)
    assert now.full_waits_until is None


async def test_a_full_run_waits_for_the_open_job_and_goes_before_others(
    scene, still_clock
) -> None:
    full_at = await incremental(scene, "*/5 * * * *")
    await scene.start()
    still_clock.at = full_at
    waiting = [await tick(scene.parts)]
    still_clock.at += timedelta(minutes=20)
    waiting.append(await tick(scene.parts))
    await end_jobs(scene)
    still_clock.at += timedelta(seconds=5)
    await scene.execute(
        "UPDATE source_connection SET next_run_at = :at", at=still_clock.at
    )
    before_it_looks_again = await tick(scene.parts)
    still_clock.at += scheduler.LOOK_AGAIN
    after = await tick(scene.parts)

    assert waiting == [0, 0]
    assert before_it_looks_again == 0
    assert after == 1
    assert await triggers(scene) == ["manual", "full"]
    now = await moments(scene)
    assert now.next_full_at == full_at + timedelta(days=1)
    assert now.full_waits_until is None


async def test_a_full_run_that_waited_an_hour_is_left_to_the_next_day(
    scene, still_clock
) -> None:
    full_at = await incremental(scene, "0 * * * *")
    await scene.start()
    still_clock.at = full_at
    await tick(scene.parts)
    for _ in range(2):
        still_clock.at += timedelta(minutes=30)
        assert await tick(scene.parts) == 0
    await end_jobs(scene)

    now = await moments(scene)
    assert now.next_full_at == full_at + timedelta(days=1)
    assert now.full_waits_until is None
    still_clock.at = now.next_run_at
    assert await tick(scene.parts) == 1
    assert await triggers(scene) == ["manual", "schedule"]


async def test_a_full_run_that_was_missed_is_made_up_for_once(
    scene, still_clock
) -> None:
    full_at = await incremental(scene, "0 * * * *")
    still_clock.at = full_at + timedelta(days=4, hours=7)

    started = await tick(scene.parts)

    assert started == 1
    assert await triggers(scene) == ["full"]
    next_full_at = (await moments(scene)).next_full_at
    assert next_full_at == full_at + timedelta(days=5)


async def test_a_new_schedule_ends_the_wait_for_a_full_run(scene, still_clock) -> None:
    full_at = await incremental(scene, "0 * * * *")
    await scene.start()
    still_clock.at = full_at
    await tick(scene.parts)

    await schedule(scene, "30 5 * * *")

    now = await moments(scene)
    assert (now.next_full_at, now.full_waits_until) == (None, None)


async def test_what_is_due_is_found_by_an_index(scene) -> None:
    asked: list[tuple[str, Any]] = []

    def listen(_connection, _cursor, statement: str, parameters, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(scene.parts.db.sync_engine, "before_cursor_execute", listen)
    await tick(scene.parts)
    event.remove(scene.parts.db.sync_engine, "before_cursor_execute", listen)

    plans = []
    async with scene.parts.db.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in asked:
            plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(plan.scalars()))
    full, regular = plans
    assert "ix_source_connection_full_due" in full
    assert "ix_source_connection_due" in regular


async def test_a_transaction_that_only_points_to_a_connection_does_not_hide_it(
    scene, still_clock
) -> None:
    await schedule(scene, "0 * * * *")
    still_clock.at = (await moments(scene)).next_run_at
    async with scene.parts.db.begin() as connection:
        # as a batch that inserts entities holds it
        await connection.execute(
            text("SELECT 1 FROM source_connection FOR KEY SHARE"),
        )
        assert await tick(scene.parts) == 1


async def add_like(scene, connection_id) -> None:
    """Add a connection like the scene's, due a moment after it."""
    await scene.execute(
        "INSERT INTO source_connection (id, organization_id, collection_id,"
        " short_name, name, config, auth_method, created_at, modified_at,"
        " schedule_cron, next_run_at)"
        " SELECT :id, organization_id, collection_id, short_name, name, config,"
        " auth_method, created_at, modified_at, schedule_cron,"
        " next_run_at + interval '1 second'"
        " FROM source_connection WHERE id = :like",
        id=connection_id,
        like=scene.connection_id,
    )


async def test_a_schedule_that_cannot_be_read_stops_only_its_own_connection(
    scene, still_clock
) -> None:
    await schedule(scene, "0 * * * *")
    other = uuid4()
    await add_like(scene, other)
    await scene.execute(
        "UPDATE source_connection SET schedule_cron = '61 * * * *' WHERE id = :id",
        id=scene.connection_id,
    )
    still_clock.at += timedelta(hours=2)

    started = [await tick(scene.parts), await tick(scene.parts)]

    assert started == [1, 0]
    jobs = await scene.rows(
        "SELECT connection_id, status, error FROM sync_job ORDER BY sequence"
    )
    assert [tuple(job) for job in jobs] == [
        (
            scene.connection_id,
            "failed",
            "The schedule '61 * * * *' cannot be read: set another one",
        ),
        (other, "pending", None),
    ]
    seen = await connections.change_connection(
        scene.parts, scene.organization_id, scene.connection_id, {"name": "Renamed"}
    )
    assert (seen.status, seen.next_run) == ("error", None)
    await schedule(scene, "30 * * * *")
    still_clock.at = (await moments(scene)).next_run_at
    assert await tick(scene.parts) == 1, "a new schedule puts it back"


async def test_a_schedule_that_cannot_be_read_is_told_after_the_open_job(
    scene, still_clock
) -> None:
    await schedule(scene, "0 * * * *")
    await scene.start()
    await scene.execute("UPDATE source_connection SET schedule_cron = 'soon'")
    still_clock.at += timedelta(hours=2)
    await tick(scene.parts)
    meanwhile = await triggers(scene)
    await end_jobs(scene)
    still_clock.at += scheduler.TRY_AGAIN
    await tick(scene.parts)

    assert meanwhile == ["manual"]
    assert await triggers(scene) == ["manual", "schedule"]
    assert (await moments(scene)).next_run_at is None


async def test_a_connection_that_cannot_be_started_is_put_off_and_the_others_start(
    scene, still_clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedule(scene, "0 * * * *")
    other = uuid4()
    await add_like(scene, other)
    enqueue = runs.enqueue_run

    async def broken(parts, connection, due, **how: Any):
        if due.id == scene.connection_id:
            await connection.execute(text("SELECT 1 / 0"))
        return await enqueue(parts, connection, due, **how)

    monkeypatch.setattr(scheduler, "BATCH", 1)
    monkeypatch.setattr(runs, "enqueue_run", broken)
    still_clock.at += timedelta(hours=2)

    started = await tick(scene.parts)

    assert started == 1
    assert await scene.scalar("SELECT connection_id FROM sync_job") == other
    monkeypatch.undo()
    still_clock.at += scheduler.TRY_AGAIN
    assert await tick(scene.parts) == 1
