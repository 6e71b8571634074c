"""Turns under a vendor's limit, handed out to all workers from one row each."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_RESERVE = text(
    "INSERT INTO rate_limit AS r (short_name, owner_id, full_at) VALUES"
    " (:short_name, :owner, clock_timestamp() + make_interval(secs => :seconds))"
    " ON CONFLICT (short_name, owner_id) DO UPDATE SET full_at ="
    " greatest(r.full_at, clock_timestamp()) + make_interval(secs => :seconds)"
    " RETURNING extract(epoch FROM r.full_at - clock_timestamp())::float8"
)
_HOLD = text(
    "INSERT INTO rate_limit AS r (short_name, owner_id, full_at) VALUES"
    " (:short_name, :owner, clock_timestamp() + make_interval(secs => :seconds))"
    " ON CONFLICT (short_name, owner_id) DO UPDATE SET full_at = greatest("
    "r.full_at, clock_timestamp() + make_interval(secs => :seconds))"
)


async def reserve(
    connection: AsyncConnection, short_name: str, owner: UUID, *, seconds: float
) -> float:
    """Take turns that fill so many seconds, and return how soon the first begins.

    Less than 0 never: a bucket that is full does not get fuller. By the database's
    clock, so it does not matter how those of the workers differ.
    """
    found = await connection.execute(
        _RESERVE, {"short_name": short_name, "owner": owner, "seconds": seconds}
    )
    return max(0.0, float(found.scalar_one()) - seconds)


async def hold(
    connection: AsyncConnection, short_name: str, owner: UUID, *, seconds: float
) -> None:
    """Let no turn begin before so many seconds are over."""
    await connection.execute(
        _HOLD, {"short_name": short_name, "owner": owner, "seconds": seconds}
    )


async def forget(connection: AsyncConnection, owner: UUID) -> None:
    """Remove what is known of an organization or a connection that is gone."""
    await connection.execute(
        text("DELETE FROM rate_limit WHERE owner_id = :owner"), {"owner": owner}
    )
