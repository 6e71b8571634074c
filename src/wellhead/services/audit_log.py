"""Who changed what: read here, written by use cases as they change things."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, AuditEntry, Subject
from wellhead.domain.connections import SourceConnection
from wellhead.services.parts import Parts
from wellhead.store import audit_log as store


async def list_entries(
    parts: Parts,
    organization_id: UUID,
    *,
    limit: int,
    before: int | None = None,
    action: Action | None = None,
) -> list[AuditEntry]:
    """List newest first; `before` is the last id of the page before."""
    async with parts.db.connect() as connection:
        return await store.page(
            connection, organization_id, limit=limit, before=before, action=action
        )


async def note_connection(
    connection: AsyncConnection,
    parts: Parts,
    about: SourceConnection,
    action: Action,
    **details: Any,
) -> None:
    """Add a line on a source connection, in the caller's transaction."""
    await store.note(
        connection,
        parts.actor,
        about.organization_id,
        action,
        Subject("source_connection", str(about.id)),
        parts.clock.now(),
        name=about.name,
        short_name=about.short_name,
        collection=about.readable_collection_id,
        **details,
    )
