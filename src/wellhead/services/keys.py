"""API keys and the organizations that they speak for."""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.errors import ForbiddenError, NotFoundError
from wellhead.domain.keys import ApiKey, Organization, key_hash
from wellhead.services.parts import Parts
from wellhead.store import keys as store
from wellhead.store import organizations

DEFAULT_ORGANIZATION = "Default"
DEFAULT_LIFE_DAYS = 90
ROTATION_GRACE = timedelta(hours=24)
"""How long a rotated key still works, so that its users can change over."""
NOTE_USE_EVERY = timedelta(minutes=1)
_PREFIX_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment at which its plain text is known."""

    key: ApiKey
    plain: str


async def find_key(parts: Parts, plain: str) -> ApiKey:
    """Return the key and note its use; ForbiddenError if it is unknown or revoked.

    Whether it has expired is for `require_alive` to say, at each request.
    """
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        key = await store.find_by_hash(connection, key_hash(plain))
        if key is None:
            raise ForbiddenError("Invalid or expired API key")
        if not key.is_expired(now) and _is_use_due(key, parts):
            await store.touch(connection, key.id, at=now, at_most_every=NOTE_USE_EVERY)
    return key


def require_alive(parts: Parts, key: ApiKey) -> None:
    if key.is_expired(parts.clock.now()):
        raise ForbiddenError("API key has expired")


def _is_use_due(key: ApiKey, parts: Parts) -> bool:
    last = key.last_used_at
    return last is None or last < parts.clock.now() - NOTE_USE_EVERY


async def ensure_organization(parts: Parts) -> Organization:
    """Return the first organization, created when there is none."""
    async with parts.db.begin() as connection:
        return await _first_organization(connection, parts)


async def ensure_first_key(parts: Parts) -> str | None:
    """Create a key that never expires when no usable one exists, and return it."""
    async with parts.db.begin() as connection:
        organization = await _first_organization(connection, parts)
        if await store.has_usable(connection, at=parts.clock.now()):
            return None
        new = await _add_key(connection, parts, organization.id, "First key", None)
    return new.plain


async def _first_organization(
    connection: AsyncConnection, parts: Parts
) -> Organization:
    found = await organizations.first(connection)
    if found is not None:
        return found
    await organizations.lock_creation(connection)
    found = await organizations.first(connection)
    if found is not None:
        return found
    new = Organization(uuid4(), DEFAULT_ORGANIZATION, parts.clock.now())
    await organizations.add(connection, new)
    return new


async def create_key(
    parts: Parts, organization_id: UUID, *, name: str, life_days: int | None
) -> NewKey:
    """Make a key; without `life_days` it lives until it is revoked."""
    life = None if life_days is None else timedelta(days=life_days)
    async with parts.db.begin() as connection:
        return await _add_key(connection, parts, organization_id, name, life)


async def _add_key(
    connection: AsyncConnection,
    parts: Parts,
    organization_id: UUID,
    name: str,
    life: timedelta | None,
) -> NewKey:
    plain = secrets.token_urlsafe(32)
    now = parts.clock.now()
    key = ApiKey(
        id=uuid4(),
        organization_id=organization_id,
        prefix=plain[:_PREFIX_CHARACTERS],
        name=name,
        created_at=now,
        expires_at=None if life is None else now + life,
    )
    await store.add(connection, key, key_hash=key_hash(plain))
    return NewKey(key, plain)


async def list_keys(
    parts: Parts, organization_id: UUID, *, skip: int, limit: int
) -> list[ApiKey]:
    async with parts.db.connect() as connection:
        return await store.page(connection, organization_id, skip=skip, limit=limit)


async def get_key(parts: Parts, organization_id: UUID, key_id: UUID) -> ApiKey:
    async with parts.db.connect() as connection:
        return await _get(connection, organization_id, key_id)


async def _get(
    connection: AsyncConnection, organization_id: UUID, key_id: UUID
) -> ApiKey:
    key = await store.find(connection, organization_id, key_id)
    if key is None:
        raise NotFoundError("API key not found")
    return key


async def rotate_key(parts: Parts, organization_id: UUID, key_id: UUID) -> NewKey:
    """Make a successor with the same life; the old key ends within a day."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        old = await _get(connection, organization_id, key_id)
        life = None if old.expires_at is None else old.expires_at - old.created_at
        new = await _add_key(connection, parts, organization_id, old.name, life)
        await store.expire(connection, old.id, at=now + ROTATION_GRACE)
    return new


async def revoke_key(parts: Parts, organization_id: UUID, key_id: UUID) -> ApiKey:
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        key = await _get(connection, organization_id, key_id)
        await store.revoke(connection, key.id, at=now)
    return replace(key, expires_at=now)
