"""One job for its page: the parts of its listing, what happened to it, those before."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from wellhead.domain.glances import Growth, TimelineEvent
from wellhead.domain.jobs import SyncJob
from wellhead.store.reading import Reads
from wellhead.store.scopes import ScopeRun

MOST_SCOPES = 50
MOST_EVENTS = 50
_SCOPES: LiteralString = """
SELECT scope, state, confirmed_empty, reason FROM scope_run
WHERE job_id = %(job)s
ORDER BY (state = 'STARTED') DESC, (state = 'COMPLETE'), scope LIMIT %(limit)s
"""
# by time, which has an index: what a job told lies between its beginning and its end
_TOLD: LiteralString = """
SELECT event_type, created_at, NULL, payload FROM event
WHERE organization_id = %(organization)s
  AND created_at BETWEEN %(since)s - interval '1 second'
    AND coalesce(%(until)s::timestamptz, now()) + interval '5 seconds'
  AND payload ->> 'sync_job_id' = %(job)s::text
ORDER BY id LIMIT %(limit)s
"""
_ASKED: LiteralString = """
SELECT action, at, actor_name, details FROM audit_log
WHERE organization_id = %(organization)s AND action = 'sync_job.cancelled'
  AND subject_id = %(job)s::text AND at >= %(since)s - interval '1 second'
ORDER BY id LIMIT %(limit)s
"""
_GROWTH: LiteralString = """
SELECT date_trunc('day', coalesce(i.created_at, e.committed_at)), e.type, count(*)
FROM source_connection c JOIN entity e ON e.connection_id = c.id
LEFT JOIN sync_job i ON i.id = e.inserted_by
WHERE c.organization_id = %(organization)s AND NOT c.is_deleting
  AND c.collection_id = %(collection)s AND i.rollback IS DISTINCT FROM 'pending'
GROUP BY 1, 2 ORDER BY 1, 2
"""


async def scopes(reads: Reads, job_id: UUID) -> list[ScopeRun]:
    """List the parts of a running job's listing, those under way first."""
    values = {"job": job_id, "limit": MOST_SCOPES}
    return await reads.fetch(_SCOPES, values, ScopeRun)


async def timeline(reads: Reads, job: SyncJob) -> Sequence[TimelineEvent]:
    """List what was told of a job, and who asked it to stop, in order."""
    values = {
        "organization": job.organization_id,
        "job": str(job.id),
        "since": job.created_at,
        "until": job.completed_at,
        "limit": MOST_EVENTS,
    }
    told = await reads.fetch(_TOLD, values, _event)
    asked = await reads.fetch(_ASKED, values, _event)
    return sorted([*told, *asked], key=lambda one: one.at)


async def growth(
    reads: Reads, organization_id: UUID, collection_id: UUID
) -> list[Growth]:
    """Count the entities of a collection by type and by the day on which they came."""
    values = {"organization": organization_id, "collection": collection_id}
    return await reads.fetch(_GROWTH, values, Growth)


def _event(what: str, at: Any, who: str | None, details: Any) -> TimelineEvent:
    return TimelineEvent(what, at, who, details or {})
