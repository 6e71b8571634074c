"""What failed within one job, for people to read."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
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
