"""Console sessions that were ended before their time, for as long as that lasts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.schema_console import console_sign_out

_t = console_sign_out.c


async def note(
    connection: AsyncConnection, session_id: UUID, until: datetime, now: datetime
) -> None:
    """Write one down, and forget those that could not be used any more anyway."""
    await connection.execute(delete(console_sign_out).where(_t.until <= now))
    await connection.execute(
        insert(console_sign_out)
        .values(session_id=session_id, until=until)
        .on_conflict_do_nothing()
    )


async def has(connection: AsyncConnection, session_id: UUID) -> bool:
    query = select(_t.session_id).where(_t.session_id == session_id)
    return (await connection.execute(query)).one_or_none() is not None
