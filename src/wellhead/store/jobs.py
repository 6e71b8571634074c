"""Sync jobs in the ledger: compare-and-set, claims, leases, lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Placeholder
from psycopg.types.json import Jsonb
from sqlalchemy import CursorResult, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.errors import ConflictError, FencedError
from wellhead.domain.jobs import OPEN, Counts, JobMode, JobStatus, Rollback, SyncJob
from wellhead.store.database import raw
from wellhead.store.schema import sync_job

LEASE = timedelta(seconds=6)
"""After so long without a sign of life a job is another worker's to take."""

CONSENT = "consent"
"""What triggered a run that waits until the consent before it is verified."""
WAITS_FOR_CONSENT = f"""
    status = 'pending' AND trigger = '{CONSENT}' AND EXISTS (
      SELECT FROM consent c WHERE c.connection_id = sync_job.connection_id
        AND c.granted_at IS NOT NULL AND c.verified_at IS NULL)
"""  # made of constants

_COLUMNS = tuple(
    column
    for column in sync_job.c
    if column.name
    not in {
        "suspect_key",
        "sequence",
        "crashes",
        "deaths",
        "released",
        "earlier_runs",
        "earlier_successful",
        "earlier_failed",
    }
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write for a job, and how many workers have lost it.

    `deaths` counts them since the last progress; `crashes`, which decides how careful
    to be, begins anew with each entity that is suspected.
    """

    job: SyncJob
    crashes: int
    deaths: int
    suspect_key: bytes | None


def _job(fields: Mapping[Any, Any]) -> SyncJob:
    return SyncJob(
        id=fields["id"],
        organization_id=fields["organization_id"],
        connection_id=fields["connection_id"],
        status=JobStatus(fields["status"]),
        mode=JobMode(fields["mode"]),
        created_at=fields["created_at"],
        started_at=fields["started_at"],
        completed_at=fields["completed_at"],
        counts=Counts(
            inserted=fields["inserted"],
            updated=fields["updated"],
            deleted=fields["deleted"],
            failed=fields["failed"],
            kept=fields["kept"],
        ),
        error=fields["error"],
        error_category=fields["error_category"],
        error_details=fields["error_details"],
        generation=fields["generation"],
        fence=fields["fence"],
        attempt=fields["attempt"],
        lease_until=fields["lease_until"],
        progress_at=fields["progress_at"],
        waiting_until=fields["waiting_until"],
        phase=fields["phase"],
        checkpoint=fields["checkpoint"],
        rollback=Rollback(fields["rollback"]),
        keep_data=fields["keep_data"],
        force_full=fields["force_full"],
        confirm_deletes=fields["confirm_deletes"],
        trigger=fields["trigger"],
    )


async def add(connection: AsyncConnection, job: SyncJob) -> None:
    """Insert a PENDING job; IntegrityError when the connection has an open one."""
    await connection.execute(
        insert(sync_job).values(
            id=job.id,
            sequence=func.nextval("job_sequence"),
            organization_id=job.organization_id,
            connection_id=job.connection_id,
            status=job.status.value,
            mode=job.mode.value,
            trigger=job.trigger,
            force_full=job.force_full,
            confirm_deletes=job.confirm_deletes,
            created_at=job.created_at,
        )
    )
    await connection.execute(_COUNT_EARLIER, {"id": job.id, "c": job.connection_id})


# A statement of its own: now that this is the connection's open job all others are
# over and seen, and numbers drawn from here on are in the order of the jobs.
_COUNT_EARLIER = text(
    """
    UPDATE sync_job SET sequence = nextval('job_sequence'),
      earlier_runs = before.runs, earlier_successful = before.successful,
      earlier_failed = before.failed
    FROM (
      SELECT earlier_runs + 1 AS runs,
        earlier_successful + (status = 'completed')::int AS successful,
        earlier_failed + (status = 'failed')::int AS failed
      FROM sync_job WHERE connection_id = :c AND id <> :id
      ORDER BY sequence DESC LIMIT 1
    ) AS before
    WHERE id = :id
    """
)


_BY_ID = select(*_COLUMNS).where(sync_job.c.id == bindparam("id"))


async def get(
    connection: AsyncConnection, job_id: UUID, *, for_update: bool = False
) -> SyncJob | None:
    query = _BY_ID.with_for_update() if for_update else _BY_ID
    row = (await connection.execute(query, {"id": job_id})).mappings().one_or_none()
    return None if row is None else _job(row)


async def open_job(
    connection: AsyncConnection, connection_id: UUID, *, for_update: bool = False
) -> SyncJob | None:
    """Return the connection's only job that is not final."""
    query = select(*_COLUMNS).where(
        sync_job.c.connection_id == connection_id,
        sync_job.c.status.in_([status.value for status in OPEN]),
    )
    if for_update:
        query = query.with_for_update()
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _job(row)


async def save(connection: AsyncConnection, job: SyncJob, *, was: SyncJob) -> None:
    """Write a moved job, if its status and fence are still what they were.

    Raises ConflictError when someone was faster.
    """
    result = await connection.execute(
        update(sync_job)
        .where(
            sync_job.c.id == job.id,
            sync_job.c.status == was.status.value,
            sync_job.c.fence == was.fence,
        )
        .values(
            status=job.status.value,
            started_at=job.started_at,
            completed_at=job.completed_at,
            error=job.error,
            error_category=job.error_category,
            error_details=job.error_details,
            lease_until=job.lease_until,
            progress_at=job.progress_at,
            waiting_until=job.waiting_until,
            phase=job.phase,
            rollback=job.rollback.value,
            keep_data=job.keep_data,
        )
    )
    if result.rowcount != 1:
        raise ConflictError(f"Job {job.id} is no longer {was.status}")


_CLAIM = text(
    """
    UPDATE sync_job SET
      fence = :fence,
      attempt = CASE WHEN released THEN greatest(attempt, 1) ELSE attempt + 1 END,
      crashes = CASE WHEN released OR status = 'pending' THEN crashes
                     ELSE crashes + 1 END,
      deaths = CASE WHEN released OR status = 'pending' THEN deaths
                    ELSE deaths + 1 END,
      lease_until = now() + :lease,
      started_at = coalesce(started_at,
                            greatest(CAST(:now AS timestamptz), created_at)),
      progress_at = :now,
      waiting_until = NULL,
      released = false,
      status = CASE status WHEN 'pending' THEN 'running' ELSE status END
    WHERE id = :job_id
      AND (status = 'pending'
           OR (status IN ('running', 'cancelling') AND lease_until < now()))
    RETURNING *
    """
)


async def claim(
    connection: AsyncConnection,
    job_id: UUID,
    *,
    fence: int,
    now: datetime,
) -> Claim | None:
    """Take a job that waits or whose lease ran out; None when it is not to be had."""
    found = (
        await connection.execute(
            _CLAIM, {"job_id": job_id, "fence": fence, "now": now, "lease": LEASE}
        )
    ).mappings()
    row = found.one_or_none()
    if row is None:
        return None
    return Claim(_job(row), row["crashes"], row["deaths"], row["suspect_key"])


_LOCK = f"""
    SELECT {", ".join(column.name for column in _COLUMNS)} FROM sync_job
    WHERE id = %(id)s AND fence = %(fence)s AND status = ANY(%(allowed)s)
    FOR UPDATE
"""  # noqa: S608  # made of constants


async def lock(
    connection: AsyncConnection, job: SyncJob, *allowed: JobStatus
) -> SyncJob:
    """Lock the job's row for this transaction, as its fenced owner.

    Raises FencedError when the fence moved on or the status is none of `allowed`.
    """
    wanted = {"id": job.id, "fence": job.fence}
    driver = await raw(connection)
    async with driver.cursor(binary=True, row_factory=dict_row) as cursor:
        await cursor.execute(
            _LOCK, wanted | {"allowed": [one.value for one in allowed]}
        )
        row = await cursor.fetchone()
    if row is None:
        raise FencedError(
            f"job {job.id} is no longer ours to write (fence {job.fence})"
        )
    return _job(row)


async def patch(
    connection: AsyncConnection,
    job: SyncJob,
    values: Mapping[str, Any],
    *,
    more_chunks: int = 0,
) -> bool:
    """Write progress columns as the fenced owner; False when the fence moved on.

    A sign of life: it renews the lease too, also at the end of a long transaction.
    """
    owner = {"id": job.id, "fence": job.fence, "lease": LEASE, "more": more_chunks}
    plain = {
        name: Jsonb(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    driver = await raw(connection)
    async with driver.cursor() as cursor:
        await cursor.execute(_patch(tuple(values)), owner | plain)
        return cursor.rowcount == 1


@cache
def _patch(names: tuple[str, ...]) -> Composed:
    columns = [SQL("{} = {}").format(Identifier(n), Placeholder(n)) for n in names]
    return SQL(
        "UPDATE sync_job SET lease_until = clock_timestamp() + %(lease)s,"
        " chunks = chunks + %(more)s, {} WHERE id = %(id)s AND fence = %(fence)s"
    ).format(SQL(", ").join(columns))


async def release(connection: AsyncConnection, job: SyncJob) -> bool:
    """Give the lease back without it counting as an attempt or a crash.

    False when the job is over or no longer ours.
    """
    result: CursorResult[Any] = await connection.execute(
        update(sync_job)
        .where(
            sync_job.c.id == job.id,
            sync_job.c.fence == job.fence,
            sync_job.c.status.in_([status.value for status in OPEN]),
        )
        .values(lease_until=func.now(), released=True, phase=None)
    )
    return result.rowcount == 1


async def was_no_crash(connection: AsyncConnection, job: SyncJob) -> None:
    """The worker that lost this job lives: it only slept, or was too slow."""
    await connection.execute(
        update(sync_job)
        .where(
            sync_job.c.id == job.id,
            sync_job.c.fence > job.fence,
            sync_job.c.status == JobStatus.RUNNING.value,
            sync_job.c.crashes > 0,
        )
        .values(
            crashes=sync_job.c.crashes - 1,
            deaths=func.greatest(sync_job.c.deaths - 1, 0),
        )
    )


async def abandoned(connection: AsyncConnection, *, limit: int = 100) -> Sequence[UUID]:
    """Return open jobs that no worker holds: lease run out, or waiting unqueued."""
    rows = await connection.execute(
        text(
            f"""
            SELECT id FROM sync_job
            WHERE (status IN ('running', 'cancelling') AND lease_until < now())
               OR (status = 'pending'
                   AND created_at < now() - interval '5 seconds'
                   AND NOT ({WAITS_FOR_CONSENT})
                   AND NOT EXISTS (
                     SELECT 1 FROM procrastinate_jobs p
                     WHERE p.queueing_lock = 'run_job:' || sync_job.id
                       AND p.status IN ('todo', 'doing')))
            ORDER BY sequence LIMIT :limit
            """  # noqa: S608  # made of constants
        ),
        {"limit": limit},
    )
    return [row.id for row in rows]


async def rolling_back(connection: AsyncConnection) -> Sequence[UUID]:
    """Return cancelled jobs whose inserted entities are still to be removed."""
    rows = await connection.execute(
        select(sync_job.c.id).where(sync_job.c.rollback == Rollback.PENDING.value)
    )
    return [row.id for row in rows]


async def wait_until(connection: AsyncConnection, job: SyncJob, seconds: float) -> None:
    """Say until when the source told the job to wait; 0 means it goes on."""
    await connection.execute(
        text(
            "UPDATE sync_job SET progress_at = now(), waiting_until ="
            " CASE WHEN :seconds > 0 THEN now() + make_interval(secs => :seconds) END"
            " WHERE id = :id AND fence = :fence"
        ),
        {"id": job.id, "fence": job.fence, "seconds": seconds},
    )
