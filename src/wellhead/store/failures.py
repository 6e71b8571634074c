"""What failed, within one job or by now, for people to read and to try again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.errors import FailureClass, FailureStage
from wellhead.store.schema import job_failure


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """One entity that a job could not process; None for an id the source hid."""

    entity_key: bytes
    source_id: str | None
    stage: FailureStage
    failure_class: FailureClass
    reason: str
    failed_at: datetime


async def page(
    connection: AsyncConnection, job_id: UUID, *, limit: int, after: bytes | None
) -> list[JobFailure]:
    """List what still counts as failed, in the order of the entities' keys."""
    query = (
        select(job_failure)
        .where(job_failure.c.job_id == job_id, job_failure.c.resolved.is_(False))
        .order_by(job_failure.c.entity_key)
        .limit(limit)
    )
    if after is not None:
        query = query.where(job_failure.c.entity_key > after)
    return [
        JobFailure(
            entity_key=row.entity_key,
            source_id=row.source_id,
            stage=FailureStage(row.stage),
            failure_class=FailureClass(row._asdict()["class"]),
            reason=row.reason,
            failed_at=row.failed_at,
        )
        for row in await connection.execute(query)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of a connection's failures are meant; None leaves nothing out."""

    stage: FailureStage | None = None
    failure_class: FailureClass | None = None
    source_ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An entity, or a part of the source (a scope), that stands as failed.

    Of a scope that could not be listed only scope, reason, time and job are known;
    `key` is its place in the list, for an entity the entity's key.
    """

    key: bytes
    is_scope: bool
    type: str | None
    source_id: str | None
    source_version: str | None
    scope: str
    stage: FailureStage
    failure_class: FailureClass
    reason: str
    attempts: int | None
    first_failed_at: datetime | None
    failed_at: datetime
    next_retry_at: datetime | None
    is_due: bool
    job_id: UUID


@dataclass(frozen=True, slots=True)
class MadeDue:
    """What was asked to be tried again."""

    entities: int
    scopes: int
    not_found: tuple[str, ...]
    """Of the ids that were given, those that nothing chosen has."""


_STANDING = """
    WITH listed AS (
      SELECT sequence FROM sync_job WHERE connection_id = :c AND status = 'completed'
        AND (mode = 'full' OR completed_at <=
          (SELECT reconciled_at FROM source_connection WHERE id = :c))
      ORDER BY sequence DESC LIMIT 1
    ), broken AS (
      SELECT DISTINCT ON (scope) one ->> 'scope' AS scope, one ->> 'reason' AS reason,
        completed_at, id
      FROM sync_job,
        jsonb_array_elements(coalesce(error_details -> 'incomplete_scopes', '[]')) one
      WHERE connection_id = :c AND status = 'completed'
        AND sequence >= coalesce((SELECT sequence FROM listed), 0)
      ORDER BY scope, sequence DESC
    ), standing AS (
      SELECT entity_key AS key, false AS is_scope, type, source_id, source_version,
        scope, stage, class, error AS reason, attempts, first_failed_at, failed_at,
        next_retry_at, coalesce(next_retry_at <= now(), false) AS is_due, job_id
      FROM failure WHERE connection_id = :c
      UNION ALL
      SELECT substr(sha256(convert_to('scope ' || scope, 'UTF8')), 1, 16), true, NULL,
        NULL, NULL, scope, 'read', 'transient',
        coalesce(reason, 'it could not be listed whole'), NULL, NULL, completed_at,
        NULL, false, id
      FROM broken
    )
"""
_CHOSEN = """
    (CAST(:stage AS text) IS NULL OR stage = :stage)
    AND (CAST(:class AS text) IS NULL OR class = :class)
    AND (CAST(:ids AS text[]) IS NULL OR source_id = ANY(CAST(:ids AS text[])))
"""


def _parameters(connection_id: UUID, which: Selection) -> dict[str, Any]:
    return {
        "c": connection_id,
        "stage": which.stage,
        "class": which.failure_class,
        "ids": None if which.source_ids is None else list(which.source_ids),
    }


async def standing(
    connection: AsyncConnection,
    connection_id: UUID,
    which: Selection,
    *,
    limit: int,
    after: bytes | None,
) -> list[Quarantined]:
    """List what of a connection stands as failed, in the order of keys.

    Scopes are those that could not be listed since all was listed the last time.
    """
    rows = await connection.execute(
        text(
            f"{_STANDING} SELECT * FROM standing WHERE {_CHOSEN}"  # noqa: S608  # constants
            " AND key > :after ORDER BY key LIMIT :limit"
        ),
        _parameters(connection_id, which) | {"after": after or b"", "limit": limit},
    )
    return [_quarantined(row._asdict()) for row in rows]


def _quarantined(row: dict[str, Any]) -> Quarantined:
    stage, failure_class = FailureStage(row["stage"]), FailureClass(row.pop("class"))
    return Quarantined(**row | {"stage": stage}, failure_class=failure_class)


async def count_standing(
    connection: AsyncConnection, connection_id: UUID, which: Selection
) -> int:
    """Count what `standing` lists on all its pages."""
    query = f"{_STANDING} SELECT count(*) FROM standing WHERE {_CHOSEN}"  # noqa: S608
    found = await connection.execute(text(query), _parameters(connection_id, which))
    return int(found.scalar_one())


async def make_due(
    connection: AsyncConnection,
    connection_id: UUID,
    which: Selection,
    *,
    during: UUID | None,
) -> MadeDue:
    """Let failures be tried again first thing in the next job, permanent ones too.

    `during` is the job that runs now, if one does: it may have tried them just before,
    so its failing once more settles nothing. The caller holds the row of an open job.
    """
    parameters = _parameters(connection_id, which)
    rows = await connection.execute(
        text(
            "UPDATE failure SET next_retry_at = now(), asked_during = :during"  # noqa: S608  # constants
            f" WHERE connection_id = :c AND {_CHOSEN} RETURNING"
            " CASE WHEN CAST(:ids AS text[]) IS NOT NULL THEN source_id END"
        ),
        parameters | {"during": during},
    )
    found = [row[0] for row in rows]
    scopes = await connection.execute(
        text(
            f"{_STANDING} SELECT count(*) FROM standing WHERE is_scope AND {_CHOSEN}"  # noqa: S608
        ),
        parameters,
    )
    missing = dict.fromkeys(which.source_ids or ())
    for one in found:
        missing.pop(one, None)
    return MadeDue(len(found), int(scopes.scalar_one()), tuple(missing))
