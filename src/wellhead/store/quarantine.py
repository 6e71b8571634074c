"""Entities that failed, when they are tried again, and what each job saw fail."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.entities import Access
from wellhead.domain.errors import FailureClass, FailureStage
from wellhead.domain.jobs import SyncJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One entity that failed in a job."""

    entity_key: bytes
    scope: str
    type: str
    source_id: str
    source_version: str | None
    stage: FailureStage
    failure_class: FailureClass
    reason: str
    access: Access | None = None
    """Who may see it now, where its source said so."""


DEATH = "the worker died twice while this was all it worked on"
"""The reason of a failure whose cause nobody saw."""


@dataclass(frozen=True, slots=True)
class OpenFailure:
    """A failure that still stands."""

    failure_class: FailureClass
    source_version: str | None
    pipeline_fingerprint: str
    is_due: bool = False
    """It is time to try it again, whatever has or has not changed."""
    job_id: UUID | None = None
    """The job in which it failed last."""
    was_death: bool = False


_RECORD = text(
    """
    INSERT INTO failure AS f (connection_id, entity_key, scope, type, source_id,
      source_version, pipeline_fingerprint, stage, class, attempts, next_retry_at,
      error, first_failed_at, failed_at, job_id, seen_generation)
    SELECT :connection_id, k, s, ty, si, sv, :fingerprint, st, cl, 1,
      CASE cl WHEN 'transient' THEN now() + interval '5 minutes' END, r, :now,
      :now, :job_id, :generation
    FROM unnest(CAST(:keys AS bytea[]), CAST(:scopes AS text[]),
      CAST(:types AS text[]), CAST(:source_ids AS text[]),
      CAST(:source_versions AS text[]), CAST(:stages AS text[]),
      CAST(:classes AS text[]), CAST(:reasons AS text[]))
      AS t(k, s, ty, si, sv, st, cl, r)
    ON CONFLICT (connection_id, entity_key) DO UPDATE SET
      scope = excluded.scope, source_version = excluded.source_version,
      pipeline_fingerprint = excluded.pipeline_fingerprint,
      stage = excluded.stage, class = excluded.class,
      attempts = f.attempts + 1, error = excluded.error,
      failed_at = excluded.failed_at, seen_generation = excluded.seen_generation,
      job_id = excluded.job_id,
      -- asked for while this job runs: what it had begun before is no answer to that
      next_retry_at = CASE WHEN f.asked_during = excluded.job_id THEN f.next_retry_at
        WHEN excluded.class = 'transient' THEN
        now() + least(interval '5 minutes' * power(4, least(f.jobs, 9)
          - CASE WHEN f.job_id = excluded.job_id THEN 1 ELSE 0 END),
                      interval '24 hours') END,
      jobs = f.jobs + CASE WHEN f.job_id = excluded.job_id THEN 0 ELSE 1 END,
      asked_during = CASE WHEN f.asked_during = excluded.job_id
        THEN f.asked_during END
    """
)

_RECORD_JOB = text(
    """
    INSERT INTO job_failure
      (job_id, entity_key, failed_at, source_id, stage, class, reason)
    SELECT :job_id, k, :now, si, st, cl, r
    FROM unnest(CAST(:keys AS bytea[]), CAST(:source_ids AS text[]),
      CAST(:stages AS text[]), CAST(:classes AS text[]), CAST(:reasons AS text[]))
      AS t(k, si, st, cl, r)
    ON CONFLICT (job_id, entity_key) DO UPDATE SET failed_at = excluded.failed_at,
      stage = excluded.stage, class = excluded.class, reason = excluded.reason,
      resolved = false
    """
)


async def record(
    connection: AsyncConnection,
    *,
    job: SyncJob,
    fingerprint: str,
    now: datetime,
    failed: Sequence[Failed],
) -> None:
    """Put entities into quarantine, and into the job's list of failures."""
    shared: dict[str, Any] = {
        "now": now,
        "keys": [one.entity_key for one in failed],
        "source_ids": [one.source_id for one in failed],
        "stages": [one.stage.value for one in failed],
        "classes": [one.failure_class.value for one in failed],
        "reasons": [one.reason for one in failed],
    }
    await connection.execute(
        _RECORD,
        shared
        | {
            "connection_id": job.connection_id,
            "job_id": job.id,
            "generation": job.generation,
            "fingerprint": fingerprint,
            "scopes": [one.scope for one in failed],
            "types": [one.type for one in failed],
            "source_versions": [one.source_version for one in failed],
        },
    )
    await connection.execute(_RECORD_JOB, shared | {"job_id": job.id})


async def resolve(
    connection: AsyncConnection,
    connection_id: UUID,
    job_id: UUID,
    keys: Collection[bytes],
) -> None:
    """These entities are well again, or gone."""
    parameters = {"c": connection_id, "j": job_id, "keys": list(keys)}
    await connection.execute(
        text(
            "DELETE FROM failure WHERE connection_id = :c"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        parameters,
    )
    await connection.execute(
        text(
            "UPDATE job_failure SET resolved = true WHERE job_id = :j"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        parameters,
    )


async def count_unresolved(connection: AsyncConnection, job_id: UUID) -> int:
    """Count the entities that failed in this job and are not well since."""
    return int(
        (
            await connection.execute(
                text(
                    "SELECT count(*) FROM job_failure"
                    " WHERE job_id = :j AND NOT resolved"
                ),
                {"j": job_id},
            )
        ).scalar_one()
    )


async def count_open(connection: AsyncConnection, connection_id: UUID) -> int:
    """Count a connection's entities that failed last time, in whichever job."""
    return int(
        (
            await connection.execute(
                text("SELECT count(*) FROM failure WHERE connection_id = :c"),
                {"c": connection_id},
            )
        ).scalar_one()
    )


async def retryable(
    connection: AsyncConnection,
    connection_id: UUID,
    *,
    job_id: UUID | None,
    after: bytes = b"",
    limit: int = 1000,
) -> list[tuple[bytes, str, str, str]]:
    """Return (key, type, source id, scope) of failures to try again, in key order.

    With a job: transient ones that it saw fail itself. Without: those whose time has
    come, which somebody may have asked for.
    """
    if job_id is None:
        condition = "f.next_retry_at <= now()"
    else:
        condition = (
            "f.class = 'transient' AND EXISTS"
            " (SELECT 1 FROM job_failure j WHERE j.job_id = :j"
            " AND j.entity_key = f.entity_key AND NOT j.resolved)"
        )
    rows = await connection.execute(
        text(
            "SELECT f.entity_key, f.type, f.source_id, f.scope"  # noqa: S608  # two constants
            " FROM failure f WHERE f.connection_id = :c AND f.entity_key > :after"
            f" AND {condition} ORDER BY f.entity_key LIMIT :limit"
        ),
        {"c": connection_id, "j": job_id, "after": after, "limit": limit},
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def examples(
    connection: AsyncConnection, job_id: UUID, *, limit: int = 20
) -> list[dict[str, Any]]:
    """Return the first failures of a job, for its error details."""
    rows = await connection.execute(
        text(
            "SELECT source_id, stage, class, reason FROM job_failure"
            " WHERE job_id = :j AND NOT resolved ORDER BY failed_at, source_id"
            " LIMIT :limit"
        ),
        {"j": job_id, "limit": limit},
    )
    return [
        {"source_id": r[0], "stage": r[1], "class": r[2], "reason": r[3]} for r in rows
    ]


async def scopes_of(connection: AsyncConnection, connection_id: UUID) -> list[str]:
    rows = await connection.execute(
        text("SELECT DISTINCT scope FROM failure WHERE connection_id = :c"),
        {"c": connection_id},
    )
    return [row[0] for row in rows]


async def mark_seen(
    connection: AsyncConnection,
    connection_id: UUID,
    generation: int,
    keys: Collection[bytes],
) -> None:
    """These were listed again and are not worth another try."""
    await connection.execute(
        text(
            "UPDATE failure SET seen_generation = :g WHERE connection_id = :c"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"c": connection_id, "g": generation, "keys": list(keys)},
    )


async def forget_vanished(
    connection: AsyncConnection,
    connection_id: UUID,
    generation: int,
    *,
    scopes: Sequence[str],
) -> None:
    """Drop failures of entities that a whole listing no longer showed."""
    await connection.execute(
        text(
            "DELETE FROM failure f WHERE f.connection_id = :c"
            " AND f.seen_generation < :g"
            " AND f.scope = ANY(CAST(:scopes AS text[]))"
            " AND NOT EXISTS (SELECT 1 FROM entity e WHERE"
            " e.connection_id = f.connection_id AND e.entity_key = f.entity_key)"
        ),
        {"c": connection_id, "g": generation, "scopes": list(scopes)},
    )
