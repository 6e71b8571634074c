"""Events, written in the transaction that made them true."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.events import EventType
from wellhead.domain.jobs import SyncJob
from wellhead.store.schema import event


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
            payload=dict(payload),
            created_at=at,
        )
    )


async def write_job_event(
    connection: AsyncConnection, job: SyncJob, at: datetime
) -> None:
    """Add the event of the status that the job has just reached."""
    await write_event(
        connection,
        job.organization_id,
        EventType(f"sync.{job.status.value}"),
        {
            "sync_id": str(job.connection_id),
            "sync_job_id": str(job.id),
            "source_connection_id": str(job.connection_id),
            "entities_inserted": job.counts.inserted,
            "entities_updated": job.counts.updated,
            "entities_deleted": job.counts.deleted,
            "entities_failed": job.counts.failed,
            "error": job.error,
        },
        at,
    )
