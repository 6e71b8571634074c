"""An organization at a glance: how its connections stand, and what is under way."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wellhead.domain.errors import CREDENTIALS
from wellhead.domain.glances import (
    TROUBLE,
    Choice,
    ConnectionGlance,
    ConnectionState,
    EndedJob,
    JobGlance,
    Standing,
)
from wellhead.domain.jobs import Counts, JobMode, JobStatus
from wellhead.store.reading import Reads

# S608: these queries are made of constants
_CHOSEN: LiteralString = """
  FROM source_connection c JOIN collection k ON k.id = c.collection_id
  WHERE c.organization_id = %(organization)s AND NOT c.is_deleting
    AND (%(collection)s::text IS NULL OR k.readable_id = %(collection)s)
    AND (%(pattern)s::text IS NULL
      OR c.name ILIKE %(pattern)s OR c.short_name ILIKE %(pattern)s)
"""
_LAST: LiteralString = """
LEFT JOIN LATERAL (
  SELECT id, status, error, error_category, started_at, completed_at, created_at,
    lease_until, progress_at, waiting_until
  FROM sync_job WHERE connection_id = c.id ORDER BY sequence DESC LIMIT 1
) AS j ON true
"""
_STATE: LiteralString = """
CASE
  WHEN j.status = 'pending' AND j.created_at < %(now)s - interval '2 minutes'
    AND NOT EXISTS (SELECT FROM consent q WHERE q.connection_id = c.id
      AND q.granted_at IS NOT NULL AND q.verified_at IS NULL)
    OR j.status IN ('running', 'cancelling') AND (
      j.lease_until < %(now)s - interval '1 minute'
      OR greatest(j.progress_at, j.waiting_until) < %(now)s - interval '15 minutes')
    THEN 'stuck'
  WHEN j.status = 'running' THEN 'syncing'
  WHEN j.status = 'cancelling' THEN 'cancelling'
  WHEN j.status = 'pending' THEN 'queued'
  WHEN NOT c.is_authenticated OR c.paused_reason = ANY(%(credentials)s)
    OR j.status = 'failed' AND j.error_category = ANY(%(credentials)s)
    THEN 'needs_credentials'
  WHEN c.paused_reason IS NOT NULL THEN 'paused'
  WHEN j.status = 'failed' THEN 'failed'
  WHEN j.status = 'cancelled' THEN 'cancelled'
  WHEN j.status = 'completed' THEN 'synced'
  ELSE 'never_ran'
END
"""
_ALL: LiteralString = f"""
WITH c AS (SELECT c.* {_CHOSEN}),
judged AS MATERIALIZED (
  SELECT c.id, c.created_at, {_STATE} AS state,
    EXISTS (SELECT FROM failure f WHERE f.connection_id = c.id)
      OR EXISTS (SELECT FROM scope_hold h WHERE h.connection_id = c.id) AS has_more
  FROM c {_LAST})
"""  # noqa: S608
_NEEDS_ATTENTION: LiteralString = "(state = ANY(%(trouble)s) OR has_more)"
_STANDING: LiteralString = f"""
{_ALL}
SELECT (SELECT jsonb_object_agg(state, n)
    FROM (SELECT state, count(*) AS n FROM judged GROUP BY 1) t),
  (SELECT count(*) FROM collection k WHERE k.organization_id = %(organization)s
    AND NOT k.is_deleting),
  (SELECT count(*) FROM judged WHERE {_NEEDS_ATTENTION}),
  ARRAY(SELECT id FROM judged WHERE {_NEEDS_ATTENTION}
    ORDER BY state = ANY(%(trouble)s) DESC, created_at DESC, id LIMIT %(limit)s)
"""  # noqa: S608
_AFTER: LiteralString = """
  AND (%(before)s::uuid IS NULL OR (created_at, id) < (
    SELECT created_at, id FROM source_connection WHERE id = %(before)s))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""
_IDS: LiteralString = f"""
SELECT id FROM (SELECT c.id, c.created_at {_CHOSEN}) AS c WHERE true {_AFTER}
"""  # noqa: S608
_JUDGED_IDS: LiteralString = f"""
{_ALL} SELECT id FROM judged
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (NOT %(attention)s OR {_NEEDS_ATTENTION}) {_AFTER}
"""  # noqa: S608
_GLANCES: LiteralString = f"""
SELECT c.id, c.name, c.short_name, k.readable_id, k.name, {_STATE},
  (SELECT count(*) FROM entity e
    LEFT JOIN sync_job i ON i.id = e.inserted_by AND i.rollback = 'pending'
    WHERE e.connection_id = c.id AND i.id IS NULL),
  (SELECT count(*) FROM failure f WHERE f.connection_id = c.id),
  EXISTS (SELECT FROM scope_hold h WHERE h.connection_id = c.id),
  c.schedule_cron, c.next_run_at, c.created_at, j.id, j.started_at, j.completed_at,
  CASE WHEN j.status = 'failed' THEN j.error END
FROM unnest(%(ids)b::uuid[]) WITH ORDINALITY AS wanted (id, place)
JOIN source_connection c USING (id)
JOIN collection k ON k.id = c.collection_id {_LAST}
ORDER BY place
"""  # noqa: S608
_OPEN: LiteralString = """
SELECT j.id, c.id, c.name, c.short_name, j.status, j.mode, j.phase,
  j.inserted, j.updated, j.deleted, j.failed, j.kept,
  j.created_at, j.started_at, j.progress_at, j.waiting_until, j.lease_until, j.attempt,
  full_job.listed
FROM sync_job j JOIN source_connection c ON c.id = j.connection_id
LEFT JOIN LATERAL (
  SELECT inserted + updated + kept + failed AS listed FROM sync_job f
  WHERE f.connection_id = c.id AND f.status = 'completed' AND f.mode = 'full'
    AND j.mode = 'full'
  ORDER BY f.sequence DESC LIMIT 1
) AS full_job ON true
WHERE j.status IN ('pending', 'running', 'cancelling') AND NOT c.is_deleting
  AND j.organization_id = %(organization)s
  AND (%(job)s::uuid IS NULL OR j.id = %(job)s)
ORDER BY j.started_at DESC NULLS LAST, j.created_at DESC LIMIT %(limit)s
"""
_ENDED: LiteralString = """
SELECT (e.payload ->> 'sync_job_id')::uuid,
  (e.payload ->> 'source_connection_id')::uuid, c.name, c.short_name,
  e.event_type, e.created_at,
  (e.payload ->> 'entities_inserted')::bigint,
  (e.payload ->> 'entities_updated')::bigint,
  (e.payload ->> 'entities_deleted')::bigint,
  (e.payload ->> 'entities_skipped')::bigint,
  e.payload ->> 'error', e.id
FROM (
  SELECT * FROM event
  WHERE organization_id = %(organization)s AND event_type = ANY(%(types)s)
    AND (%(before)s::bigint IS NULL OR id < %(before)s)
  ORDER BY id DESC LIMIT %(limit)s) AS e
LEFT JOIN source_connection c
  ON c.id = (e.payload ->> 'source_connection_id')::uuid AND NOT c.is_deleting
ORDER BY e.id DESC
"""


async def standing(
    reads: Reads, organization_id: UUID, *, at: datetime, limit: int
) -> tuple[Standing, list[UUID]]:
    """Judge every connection; also name those that somebody should look at."""
    values = {**_values(organization_id, Choice()), "now": at, "limit": limit}
    [found] = await reads.fetch(_STANDING, values, _standing)
    return found


async def choose(
    reads: Reads,
    organization_id: UUID,
    choice: Choice,
    *,
    at: datetime,
    before: UUID | None,
    limit: int,
) -> list[UUID]:
    """Name connections, newest first; `before` is the last one of the page before."""
    is_plain = choice.state is None and not choice.needs_attention
    values = {
        **_values(organization_id, choice),
        "now": at,
        "before": before,
        "limit": limit,
        "state": choice.state and choice.state.value,
        "attention": choice.needs_attention,
    }
    return await reads.fetch(_IDS if is_plain else _JUDGED_IDS, values, _same)


async def glances(
    reads: Reads, ids: Sequence[UUID], *, at: datetime
) -> list[ConnectionGlance]:
    """Describe these connections, in this order."""
    credentials = [one.value for one in CREDENTIALS]
    values = {"ids": list(ids), "credentials": credentials, "now": at}
    return await reads.fetch(_GLANCES, values, _glance) if ids else []


async def open_jobs(
    reads: Reads, organization_id: UUID, *, limit: int, job_id: UUID | None = None
) -> list[JobGlance]:
    """List what is under way or queued, or this one job if it is."""
    values = {"organization": organization_id, "limit": limit, "job": job_id}
    return await reads.fetch(_OPEN, values, _open_job)


async def ended_jobs(
    reads: Reads,
    organization_id: UUID,
    statuses: Sequence[JobStatus],
    *,
    before: int | None,
    limit: int,
) -> list[EndedJob]:
    """List jobs of all connections in the order in which they ended, newest first."""
    values = {
        "organization": organization_id,
        "types": [f"sync.{one.value}" for one in statuses],
        "before": before,
        "limit": limit,
    }
    return await reads.fetch(_ENDED, values, _ended_job)


def _values(organization_id: UUID, choice: Choice) -> dict[str, Any]:
    return {
        "organization": organization_id,
        "collection": choice.readable_collection_id,
        "pattern": _pattern(choice.containing),
        "credentials": [one.value for one in CREDENTIALS],
        "trouble": [one.value for one in TROUBLE],
    }


def _pattern(part: str | None) -> str | None:
    if not part:
        return None
    plain = part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{plain}%"


def _same(id_: UUID) -> UUID:
    return id_


def _standing(
    states: dict[str, int] | None, collections: int, needing: int, ids: list[UUID]
) -> tuple[Standing, list[UUID]]:
    counted = {ConnectionState(name): n for name, n in (states or {}).items()}
    return Standing(counted, collections, needing), ids


def _glance(*row: Any) -> ConnectionGlance:
    names = list(ConnectionGlance.__dataclass_fields__)
    values = dict(zip(names, row, strict=True))
    return ConnectionGlance(**values | {"state": ConnectionState(values["state"])})


def _open_job(*row: Any) -> JobGlance:
    names = list(JobGlance.__dataclass_fields__)
    flat = [*row[:7], Counts(*row[7:12]), *row[12:]]
    values = dict(zip(names, flat, strict=True))
    return JobGlance(
        **values
        | {"status": JobStatus(values["status"]), "mode": JobMode(values["mode"])}
    )


def _ended_job(*row: Any) -> EndedJob:
    names = list(EndedJob.__dataclass_fields__)
    values = dict(zip(names, row, strict=True))
    status = values["status"].removeprefix("sync.")
    return EndedJob(**values | {"status": JobStatus(status)})
