"""Who changed what, written in the transaction that changes it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Actor, ActorKind, AuditEntry, Subject
from wellhead.store.schema_audit_log import audit_log


async def note(  # who, for whom, what, to what, when
    connection: AsyncConnection,
    actor: Actor,
    organization_id: UUID,
    action: Action,
    subject: Subject,
    at: datetime,
    **details: Any,
) -> None:
    """Add one line; `details` are JSON and hold names of fields, never their values."""
    await connection.execute(
        insert(audit_log).values(
            organization_id=organization_id,
            at=at,
            actor_kind=actor.kind.value,
            actor_name=actor.name,
            actor_key_id=actor.key_id,
            request_id=actor.request_id,
            action=action.value,
            subject_kind=subject.kind,
            subject_id=subject.id,
            details=details,
        )
    )


async def page(
    connection: AsyncConnection,
    organization_id: UUID,
    *,
    limit: int,
    before: int | None,
    action: Action | None,
) -> list[AuditEntry]:
    """List newest first; `before` is the last id of the page before."""
    query = select(audit_log).where(audit_log.c.organization_id == organization_id)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    if action is not None:
        query = query.where(audit_log.c.action == action.value)
    rows = await connection.execute(query.order_by(audit_log.c.id.desc()).limit(limit))
    return [
        AuditEntry(
            id=row.id,
            organization_id=row.organization_id,
            at=row.at,
            actor=Actor(
                kind=ActorKind(row.actor_kind),
                name=row.actor_name,
                key_id=row.actor_key_id,
                request_id=row.request_id,
            ),
            action=row.action,
            subject=Subject(row.subject_kind, row.subject_id),
            details=row.details,
        )
        for row in rows
    ]
