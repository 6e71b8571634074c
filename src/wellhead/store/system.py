"""The installation as its database sees it: who works, what waits, how large it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from wellhead.store.reading import Reads


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """Somebody who takes tasks; each worker process has one for each of its queues."""

    id: int
    last_beat_at: datetime
    tasks: int
    """How many it is at work with."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Tasks of one kind."""

    task: str
    waiting: int
    later: int
    """Those whose time has not come."""
    working: int
    oldest_at: datetime | None
    """Since when the oldest one waits."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes; rows are estimated by the database."""

    name: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The server, and how large the ledger is."""

    server_version: str
    schema: str | None
    now: datetime
    size: int
    connections: int
    most_connections: int
    unpublished_events: int
    """What happened and was not turned into deliveries yet."""


_FACTS: LiteralString = """
SELECT current_setting('server_version'),
  (SELECT string_agg(version_num, ',') FROM alembic_version),
  clock_timestamp(), pg_database_size(current_database()),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
  current_setting('max_connections')::int,
  (SELECT count(*) FROM (
    SELECT FROM event WHERE published_at IS NULL LIMIT 10000) AS few)
"""
_TABLES: LiteralString = """
SELECT relname::text, greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY 3 DESC LIMIT 8
"""
_WORKERS: LiteralString = """
SELECT w.id, w.last_heartbeat,
  (SELECT count(*) FROM procrastinate_jobs j
    WHERE j.worker_id = w.id AND j.status = 'doing')
FROM procrastinate_workers w ORDER BY w.id LIMIT 100
"""
_QUEUE: LiteralString = """
SELECT j.task_name::text,
  count(*) FILTER (WHERE j.status = 'todo'
    AND coalesce(j.scheduled_at <= now(), true)),
  count(*) FILTER (WHERE j.status = 'todo' AND j.scheduled_at > now()),
  count(*) FILTER (WHERE j.status = 'doing'),
  min(e.at) FILTER (WHERE j.status = 'todo'
    AND coalesce(j.scheduled_at <= now(), true))
FROM procrastinate_jobs j
LEFT JOIN LATERAL (
  SELECT min(at) AS at FROM procrastinate_events WHERE job_id = j.id
) AS e ON true
WHERE j.status IN ('todo', 'doing') GROUP BY 1 ORDER BY 1
"""
_COLLECTIONS: LiteralString = """
SELECT id, readable_id, name FROM collection
WHERE organization_id = %(organization)s AND NOT is_deleting
ORDER BY created_at DESC, id LIMIT %(limit)s
"""


async def facts(reads: Reads) -> DatabaseFacts:
    [found] = await reads.fetch(_FACTS, {}, DatabaseFacts)
    return found


async def largest_tables(reads: Reads) -> list[TableSize]:
    return await reads.fetch(_TABLES, {}, TableSize)


async def workers(reads: Reads) -> list[WorkerBeat]:
    return await reads.fetch(_WORKERS, {}, WorkerBeat)


async def queue(reads: Reads) -> list[Queued]:
    """Count tasks by what they are, those of all organizations."""
    return await reads.fetch(_QUEUE, {}, Queued)


async def newest_collections(
    reads: Reads, organization_id: UUID, *, limit: int
) -> list[tuple[UUID, str, str]]:
    """Return the id, the public id and the name of each."""
    values = {"organization": organization_id, "limit": limit}
    return await reads.fetch(_COLLECTIONS, values, _three)


def _three(id_: UUID, readable_id: str, name: str) -> tuple[UUID, str, str]:
    return id_, readable_id, name
