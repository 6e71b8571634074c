"""The watch: which chores a look at the ledger asks for."""

from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from wellhead.app.late_index import LateIndex
from wellhead.domain.ports import Index
from wellhead.engine.procrastinate import Task
from wellhead.worker import boot
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.maintain import drop_retired, flush_garbage
from wellhead.worker.outbox import publish
from wellhead.worker.reaper import reap
from wellhead.worker.scheduler import tick
from wellhead.worker.watch import look, wake_idle

SUBSCRIPTION = """
    WITH told AS (
      INSERT INTO event (organization_id, event_type, payload, created_at, published_at)
      SELECT id, 'sync.completed', '{}', now(), now() FROM organization RETURNING id
    ), made AS (
      INSERT INTO subscription (id, organization_id, url, secret, event_types,
        created_at, updated_at)
      SELECT gen_random_uuid(), id, 'https://example.com', '', '{sync.completed}',
        now(), now() FROM organization RETURNING id
    )
    INSERT INTO delivery (event_id, subscription_id, next_attempt_at)
    SELECT told.id, made.id, now() FROM told, made
"""
GARBAGE = """
    INSERT INTO garbage (version, collection_id, connection_id, not_before, passes)
    SELECT 1, collection_id, id, now(), 1 FROM source_connection
"""
JOB = """
    INSERT INTO sync_job (id, sequence, organization_id, connection_id, status, mode,
      trigger, created_at, started_at, completed_at, lease_until, rollback)
    SELECT gen_random_uuid(), 1, organization_id, id, {}, 'full', 'manual', now(), {}
    FROM source_connection
"""
PENDING = JOB.format("'pending'", "NULL, NULL, NULL, 'none'")
RUNNING = JOB.format("'running'", "now(), NULL, now(), 'none'")
UNDONE = JOB.format("'cancelled'", "now(), now(), NULL, 'pending'")


async def change(bench, query: str) -> None:
    async with bench.parts.db.begin() as connection:
        await connection.exec_driver_sql(query)


async def test_nothing_is_asked_for_where_nothing_is_to_be_done(bench) -> None:
    assert await look(bench.parts) == []


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (
            "INSERT INTO event (organization_id, event_type, payload, created_at)"
            " SELECT id, 'sync.completed', '{}', now() FROM organization",
            publish,
        ),
        (SUBSCRIPTION, publish),
        ("UPDATE source_connection SET next_run_at = now()", tick),
        ("UPDATE source_connection SET next_full_at = now()", tick),
        (PENDING, reap),
        (RUNNING, reap),
        (UNDONE, reap),
        ("UPDATE source_connection SET is_deleting = true", reap),
        ("UPDATE collection SET is_deleting = true", reap),
        (GARBAGE, flush_garbage),
        (
            "INSERT INTO expunge (version, collection_id) SELECT 1, id FROM collection",
            expunge_erased,
        ),
        (
            "INSERT INTO retired_table (table_id, collection_id, not_before, passes)"
            " SELECT gen_random_uuid(), id, now(), 2 FROM collection",
            drop_retired,
        ),
    ],
)
async def test_a_chore_is_asked_for_when_it_has_something_to_do(
    bench, query: str, asked: object
) -> None:
    await change(bench, query)

    assert await look(bench.parts) == [asked]


async def test_what_is_due_later_is_not_asked_for(bench) -> None:
    await change(
        bench,
        "UPDATE source_connection SET next_run_at = now() + interval '1 minute',"
        " next_full_at = now() + interval '1 minute'",
    )

    assert await look(bench.parts) == []


async def test_a_chore_that_is_done_is_asked_for_no_more(bench) -> None:
    await change(bench, "UPDATE source_connection SET next_run_at = now()")
    await tick(bench.parts)

    assert tick not in await look(bench.parts)


async def test_workers_are_told_of_a_task_whose_time_has_come(
    bench, database_url: str
) -> None:
    parts = bench.parts
    async with parts.db.begin() as connection:
        await parts.engine.defer(connection, Task.PURGE_CONNECTION, uuid4())
        await parts.engine.defer(
            connection, Task.DROP_COLLECTION, uuid4(), after_seconds=60
        )
        await connection.execute(
            text(
                "UPDATE procrastinate_jobs SET queue_name = 'later'"
                " WHERE scheduled_at IS NOT NULL"
            )
        )
    plain = database_url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as worker:
        for queue in ("jobs", "later"):
            await worker.execute(f'LISTEN "procrastinate_queue_v1#{queue}"'.encode())

        assert await look(parts) == [wake_idle]
        await wake_idle(parts)
        told = [one.channel async for one in worker.notifies(timeout=0.5)]

    assert told == ["procrastinate_queue_v1#jobs"]


@pytest.mark.parametrize(("query", "is_loaded"), [(PENDING, False), (RUNNING, True)])
async def test_a_worker_loads_the_index_early_where_a_job_was_left(
    bench, query: str, is_loaded: bool
) -> None:
    loaded = []

    async def opening() -> Index:
        loaded.append(True)
        index: Index = bench.parts.index
        return index

    await change(bench, query)
    await boot.meet_running_jobs(replace(bench.parts, index=LateIndex(opening)))

    assert bool(loaded) is is_loaded
