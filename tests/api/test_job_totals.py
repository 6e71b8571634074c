"""How many jobs a connection had, and that lists read no more than they show."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.errors import ConflictError
from wellhead.services import runs

MANY = 20_000


async def _totals(client: Any, connection_id: str) -> tuple[int, int, int]:
    sync = (await client.get(f"/source-connections/{connection_id}")).json()["sync"]
    return sync["total_runs"], sync["successful_runs"], sync["failed_runs"]


async def test_totals_count_every_job_by_how_it_ended(
    given: Any, client: Any, set_job: Any
) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}"
    job = made["sync"]["last_job"]
    assert await _totals(client, made["id"]) == (1, 0, 0)

    for status in ("completed", "failed", "completed", "cancelled"):
        await set_job(job["id"], status=status)
        job = (await client.post(f"{path}/run")).json()

    assert await _totals(client, made["id"]) == (5, 2, 1)
    await set_job(job["id"], status="failed")
    assert await _totals(client, made["id"]) == (5, 2, 2)


async def test_totals_are_true_when_many_start_and_cancel_at_once(
    given: Any, client: Any, parts: Any, db: AsyncEngine
) -> None:
    made = await given.connection(sync_immediately=False)
    connection_id, tenant = UUID(made["id"]), UUID(made["organization_id"])

    async def hurry() -> None:
        for _ in range(6):
            try:
                job = await runs.start_run(parts, tenant, connection_id)
                await runs.cancel_run(parts, tenant, connection_id, job.id)
            except ConflictError:
                await asyncio.sleep(0)

    await asyncio.gather(*(hurry() for _ in range(5)))

    async with db.connect() as connection:
        query = text("SELECT count(*), count(DISTINCT earlier_runs) FROM sync_job")
        count, different = (await connection.execute(query)).one()
    assert (await _totals(client, made["id"]))[0] == count == different
    listed = (await client.get(f"/source-connections/{made['id']}/jobs")).json()
    assert len(listed) == count


@pytest.fixture
async def crowded(given: Any, parts: Any, db: AsyncEngine) -> tuple[str, str]:
    """A connection with very many jobs, and one without any."""
    full = await given.connection()
    empty = await given.connection(sync_immediately=False)
    async with db.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO sync_job (id, sequence, organization_id, connection_id,"
                " status, mode, trigger, created_at, completed_at)"
                " SELECT gen_random_uuid(), nextval('job_sequence'), organization_id,"
                " connection_id, 'completed', 'full', 'manual', now(), now()"
                " FROM sync_job, generate_series(1, :many)"
            ),
            {"many": MANY},
        )
        await connection.execute(text("ANALYZE sync_job"))
    return full["id"], empty["id"]


@pytest.mark.parametrize(
    "path",
    [
        "/collections",
        "/source-connections",
        "/source-connections/{full}",
        "/source-connections/{empty}",
        "/source-connections/{full}/jobs?limit=5",
        "/source-connections/{full}/jobs?limit=5&status=failed",
        "/source-connections/{empty}/jobs",
    ],
)
async def test_no_answer_reads_jobs_that_it_does_not_show(
    path: str, crowded: tuple[str, str], client: Any, db: AsyncEngine
) -> None:
    full, empty = crowded
    before = await _read(db)

    answer = await client.get(path.format(full=full, empty=empty))

    assert answer.status_code == 200
    assert await _read(db) - before < MANY / 100


async def _read(db: AsyncEngine) -> int:
    """Return how many rows of jobs, or entries of their indexes, were read so far."""
    async with db.connect() as connection:
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))
        await connection.commit()
    async with db.connect() as connection:
        query = text(
            "SELECT coalesce(sum(idx_tup_read), 0) + (SELECT seq_tup_read"
            " FROM pg_stat_user_tables WHERE relname = 'sync_job')"
            " FROM pg_stat_user_indexes WHERE relname = 'sync_job'"
        )
        return int((await connection.execute(query)).scalar_one())
