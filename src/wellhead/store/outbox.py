"""Events, written in the transaction that made them true, and who has to be told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.events import EventType
from wellhead.domain.jobs import SyncJob
from wellhead.store.schema_webhooks import event


async def write_event(
    connection: AsyncConnection,
    organization_id: UUID,
    event_type: EventType,
    payload: Mapping[str, Any],
    at: datetime,
) -> None:
    """Add one event; `payload` is JSON and public."""
    await connection.execute(
        insert(event).values(
            organization_id=organization_id,
            event_type=event_type.value,
            payload=_common(event_type, organization_id, at) | dict(payload),
            created_at=at,
        )
    )


def _common(
    event_type: EventType, organization_id: UUID, at: datetime
) -> dict[str, Any]:
    """Return what the payload of every event holds."""
    return {
        "event_type": event_type.value,
        "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "organization_id": str(organization_id),
    }


async def write_job_event(
    connection: AsyncConnection, job: SyncJob, at: datetime
) -> None:
    """Add the event of the status that the job has just reached."""
    event_type = EventType(f"sync.{job.status.value}")
    said = {
        **_common(event_type, job.organization_id, at),
        "sync_id": str(job.connection_id),
        "sync_job_id": str(job.id),
        "source_connection_id": str(job.connection_id),
        "entities_inserted": job.counts.inserted,
        "entities_updated": job.counts.updated,
        "entities_deleted": job.counts.deleted,
        "entities_skipped": job.counts.failed,
        "error": job.error,
    }
    await connection.execute(
        _JOB_EVENT,
        {
            "organization_id": job.organization_id,
            "event_type": event_type.value,
            "payload": json.dumps(said),
            "at": at,
            "job_id": job.id,
            "connection_id": job.connection_id,
        },
    )


_JOB_EVENT = text(
    """
    INSERT INTO event (organization_id, event_type, payload, created_at)
    SELECT CAST(:organization_id AS uuid), CAST(:event_type AS text),
      CAST(:payload AS jsonb) || jsonb_build_object(
        'collection_id', c.id, 'collection_name', c.name,
        'collection_readable_id', c.readable_id,
        'source_type', s.short_name, 'chunks_written', coalesce(j.chunks, 0)),
      CAST(:at AS timestamptz)
    FROM (VALUES (1)) AS one
    LEFT JOIN source_connection s ON s.id = :connection_id
    LEFT JOIN collection c ON c.id = s.collection_id
    LEFT JOIN sync_job j ON j.id = :job_id
    """
)


@dataclass(frozen=True, slots=True)
class FannedOut:
    """How many events were taken, and which subscriptions have something to get."""

    events: int
    subscriptions: Sequence[UUID]


async def fan_out(
    connection: AsyncConnection, *, at: datetime, limit: int
) -> FannedOut:
    """Turn the oldest new events into one delivery for each who wants them.

    Several workers may do this at once: each event is taken by one of them.
    """
    row = (await connection.execute(_FAN_OUT, {"at": at, "limit": limit})).one()
    return FannedOut(row.events, row.subscriptions)


_FAN_OUT = text(
    """
    WITH taken AS (
      SELECT id, organization_id, event_type FROM event
      WHERE published_at IS NULL ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), made AS (
      INSERT INTO delivery (event_id, subscription_id, next_attempt_at)
      SELECT t.id, s.id, CAST(:at AS timestamptz) FROM taken t JOIN subscription s
        ON s.organization_id = t.organization_id AND NOT s.disabled
        AND t.event_type = ANY(s.event_types)
      ON CONFLICT DO NOTHING RETURNING subscription_id
    ), marked AS (
      UPDATE event SET published_at = CAST(:at AS timestamptz)
      FROM taken WHERE event.id = taken.id RETURNING event.id
    )
    SELECT (SELECT count(*) FROM marked) AS events,
      ARRAY(SELECT DISTINCT subscription_id FROM made) AS subscriptions
    """
)


async def purge(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Forget old events with their deliveries and attempts; returns how many.

    What somebody is at work with is left for another time: this waits for nobody.
    """
    old = await connection.execute(
        text(
            "SELECT id FROM event WHERE created_at < :before"
            " ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED"
        ),
        {"before": before, "limit": limit},
    )
    # a statement of its own: now that events are held they get no more deliveries
    result = await connection.execute(_PURGE, {"ids": [row.id for row in old]})
    return int(result.rowcount)


_PURGE = text(
    """
    WITH held AS (
      SELECT event_id, subscription_id FROM delivery
      WHERE event_id = ANY(CAST(:ids AS bigint[])) FOR UPDATE SKIP LOCKED
    ), busy AS (
      SELECT event_id FROM delivery LEFT JOIN held USING (event_id, subscription_id)
      WHERE event_id = ANY(CAST(:ids AS bigint[])) AND held.event_id IS NULL
    )
    DELETE FROM event WHERE id = ANY(CAST(:ids AS bigint[]))
      AND id NOT IN (SELECT event_id FROM busy)
    """
)
