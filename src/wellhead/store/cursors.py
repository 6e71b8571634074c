"""How far a connection has come: cursor, generation, fence, and what pauses it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.schema import source_connection


@dataclass(frozen=True, slots=True)
class Turn:
    """A connection locked for a claim; its next fence, and generation."""

    organization_id: UUID
    collection_id: UUID
    short_name: str
    is_deleting: bool
    cursor: dict[str, Any] | None
    needs_full: bool
    fence: int
    generation: int


async def take_turn(connection: AsyncConnection, connection_id: UUID) -> Turn | None:
    """Lock a connection and draw its next fence and generation, None if it is gone.

    Both only ever grow; a generation that no job used is harmless.
    """
    row = (
        await connection.execute(
            update(source_connection)
            .where(source_connection.c.id == connection_id)
            .values(
                fence=source_connection.c.fence + 1,
                generation=source_connection.c.generation + 1,
            )
            .returning(
                source_connection.c.organization_id,
                source_connection.c.collection_id,
                source_connection.c.short_name,
                source_connection.c.is_deleting,
                source_connection.c.cursor,
                source_connection.c.needs_full,
                source_connection.c.fence,
                source_connection.c.generation,
            )
        )
    ).one_or_none()
    return None if row is None else Turn(*row)


async def read(connection: AsyncConnection, connection_id: UUID) -> Any:  # JSON or null
    """Return the last checkpoint of the last job that completed."""
    return (
        await connection.execute(
            select(source_connection.c.cursor).where(
                source_connection.c.id == connection_id
            )
        )
    ).scalar_one_or_none()


async def reconciled_at(
    connection: AsyncConnection, connection_id: UUID
) -> datetime | None:
    """Return when all ids were last compared."""
    return (
        await connection.execute(
            select(source_connection.c.reconciled_at).where(
                source_connection.c.id == connection_id
            )
        )
    ).scalar_one_or_none()


async def lock(connection: AsyncConnection, connection_id: UUID) -> None:
    """Lock the connection's row before its job's, for an ending transaction."""
    await connection.execute(
        text("SELECT 1 FROM source_connection WHERE id = :id FOR NO KEY UPDATE"),
        {"id": connection_id},
    )


async def advance(
    connection: AsyncConnection,
    connection_id: UUID,
    *,
    cursor: dict[str, Any] | None,
    reconciled: datetime | None,
    was_full: bool,
) -> None:
    """A job completed: move the cursor to its last checkpoint, lift any pause."""
    values: dict[str, Any] = {"paused_reason": None}
    if cursor is not None or was_full:
        values["cursor"] = cursor
    if reconciled is not None:
        values["reconciled_at"] = reconciled
    await connection.execute(
        update(source_connection)
        .where(source_connection.c.id == connection_id)
        .values(**values)
    )


async def begin_full(connection: AsyncConnection, connection_id: UUID) -> None:
    """A full job has begun: only what is asked for from now on needs another one."""
    await connection.execute(
        update(source_connection)
        .where(source_connection.c.id == connection_id)
        .values(needs_full=False)
    )


async def require_full(connection: AsyncConnection, connection_id: UUID) -> None:
    """The next job must list everything: a cursor may be past what was removed."""
    await connection.execute(
        update(source_connection)
        .where(source_connection.c.id == connection_id)
        .values(needs_full=True)
    )


async def pause(
    connection: AsyncConnection,
    connection_id: UUID,
    reason: str,
    *,
    began_at: datetime,
) -> None:
    """No scheduled job starts until someone mends credentials or configuration.

    What somebody has changed since the job began may have mended them already.
    """
    await connection.execute(
        update(source_connection)
        .where(
            source_connection.c.id == connection_id,
            source_connection.c.modified_at <= began_at,
        )
        .values(paused_reason=reason)
    )
