"""How much an organization has, counted in the ledger."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Usage:
    """What there is now, and what was synced since a moment."""

    source_connections: int
    entities: int
    operations: int
    """Entities that jobs begun since then inserted, updated or deleted."""


_USAGE = text(
    """
    SELECT (
        SELECT count(*) FROM source_connection
        WHERE organization_id = :id AND NOT is_deleting
      ), (
        SELECT count(*)
        FROM source_connection s JOIN entity e ON e.connection_id = s.id
        LEFT JOIN sync_job undone ON undone.id = e.inserted_by
          AND undone.rollback = 'pending'
        WHERE s.organization_id = :id AND NOT s.is_deleting AND undone.id IS NULL
      ), (
        SELECT coalesce(sum(j.inserted + j.updated + j.deleted), 0)
        FROM source_connection s JOIN sync_job j ON j.connection_id = s.id
        WHERE s.organization_id = :id AND NOT s.is_deleting
          AND j.started_at >= :since
      )
    """
)


async def usage(
    connection: AsyncConnection, organization_id: UUID, *, since: datetime
) -> Usage:
    """Count what an organization has; what is being deleted is nobody's any more."""
    found = await connection.execute(_USAGE, {"id": organization_id, "since": since})
    connections, entities, operations = found.one()
    return Usage(int(connections), int(entities), int(operations))
