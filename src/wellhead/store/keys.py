"""API keys in the ledger: hashes only."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.keys import ApiKey
from wellhead.store.schema import api_key

_COLUMNS = (
    api_key.c.id,
    api_key.c.organization_id,
    api_key.c.prefix,
    api_key.c.name,
    api_key.c.created_at,
    api_key.c.expires_at,
    api_key.c.last_used_at,
    api_key.c.rotated_at,
)
_ALIVE = api_key.c.revoked_at.is_(None)


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    return ApiKey(**row._asdict())


async def add(connection: AsyncConnection, key: ApiKey, *, key_hash: bytes) -> None:
    await connection.execute(
        insert(api_key).values(
            id=key.id,
            organization_id=key.organization_id,
            key_hash=key_hash,
            prefix=key.prefix,
            name=key.name,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


async def find_by_hash(connection: AsyncConnection, key_hash: bytes) -> ApiKey | None:
    """Return the key that was not revoked; it may be expired."""
    query = select(*_COLUMNS).where(api_key.c.key_hash == key_hash, _ALIVE)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _key(row)


async def touch(
    connection: AsyncConnection, key_id: UUID, *, at: datetime, at_most_every: timedelta
) -> None:
    """Note that the key was used, unless that was noted just before."""
    await connection.execute(
        update(api_key)
        .where(
            api_key.c.id == key_id,
            or_(
                api_key.c.last_used_at.is_(None),
                api_key.c.last_used_at < at - at_most_every,
            ),
        )
        .values(last_used_at=at)
    )


async def find(
    connection: AsyncConnection,
    organization_id: UUID,
    key_id: UUID,
    *,
    for_update: bool = False,
) -> ApiKey | None:
    query = select(*_COLUMNS).where(
        api_key.c.id == key_id, api_key.c.organization_id == organization_id, _ALIVE
    )
    if for_update:
        query = query.with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _key(row)


async def page(
    connection: AsyncConnection, organization_id: UUID, *, skip: int, limit: int
) -> list[ApiKey]:
    """List keys that were not revoked, newest first."""
    query = (
        select(*_COLUMNS)
        .where(api_key.c.organization_id == organization_id, _ALIVE)
        .order_by(api_key.c.created_at.desc(), api_key.c.id)
        .offset(skip)
        .limit(limit)
    )
    return [_key(row) for row in await connection.execute(query)]


async def has_usable(
    connection: AsyncConnection, organization_id: UUID, *, at: datetime
) -> bool:
    """Tell whether any key of the organization could be used now."""
    query = select(api_key.c.id).where(
        api_key.c.organization_id == organization_id,
        _ALIVE,
        or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > at),
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def revoke(connection: AsyncConnection, key_id: UUID, *, at: datetime) -> None:
    await connection.execute(
        update(api_key).where(api_key.c.id == key_id).values(revoked_at=at)
    )


async def replace(
    connection: AsyncConnection, key_id: UUID, *, at: datetime, until: datetime
) -> None:
    """Note that another key stands in for it; it ends at `until`, if not before."""
    await connection.execute(
        update(api_key)
        .where(api_key.c.id == key_id)
        .values(rotated_at=at, expires_at=func.least(api_key.c.expires_at, until))
    )
