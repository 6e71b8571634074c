"""API keys: made, found, rotated, revoked."""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.errors import ConflictError, ForbiddenError, NotFoundError
from wellhead.domain.keys import ApiKey, key_hash
from wellhead.services.organizations import first_organization, named_organization
from wellhead.services.parts import Parts
from wellhead.store import audit_log
from wellhead.store import keys as store

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


async def ensure_first_key(parts: Parts) -> str | None:
    """Create a key that never expires when the first organization has none that works.

    Returns its plain text, or None.
    """
    async with parts.db.begin() as connection:
        organization = await first_organization(connection, parts)
        if await store.has_usable(connection, organization.id, at=parts.clock.now()):
            return None
        new = await _add_key(connection, parts, organization.id, "First key", None)
    return new.plain


async def create_key(
    parts: Parts, organization_id: UUID, *, name: str, life_days: int | None
) -> NewKey:
    """Make a key; without `life_days` it lives until it is revoked."""
    async with parts.db.begin() as connection:
        return await _add_key(
            connection, parts, organization_id, name, _days(life_days)
        )


async def create_key_for(
    parts: Parts, organization: str | None, *, name: str, life_days: int | None
) -> NewKey:
    """The same for the organization of this name or id, created if it is new.

    Without one, for the first organization.
    """
    async with parts.db.begin() as connection:
        owner = await first_organization(connection, parts)  # always the oldest
        if organization is not None:
            owner = await named_organization(connection, parts, organization)
        return await _add_key(connection, parts, owner.id, name, _days(life_days))


def _days(life_days: int | None) -> timedelta | None:
    return None if life_days is None else timedelta(days=life_days)


async def _add_key(
    connection: AsyncConnection,
    parts: Parts,
    organization_id: UUID,
    name: str,
    life: timedelta | None,
) -> NewKey:
    new = _new_key(parts, organization_id, name, life)
    await store.add(connection, new.key, key_hash=key_hash(new.plain))
    await _note(connection, parts, new.key, Action.KEY_CREATED)
    return new


def _new_key(
    parts: Parts, organization_id: UUID, name: str, life: timedelta | None
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
    return NewKey(key, plain)


async def list_keys(
    parts: Parts, organization_id: UUID, *, skip: int, limit: int
) -> list[ApiKey]:
    async with parts.db.connect() as connection:
        return await store.page(connection, organization_id, skip=skip, limit=limit)


async def get_key(parts: Parts, organization_id: UUID, key_id: UUID) -> ApiKey:
    async with parts.db.connect() as connection:
        return await _get(connection, organization_id, key_id)


async def is_usable(parts: Parts, plain: str, organization_id: UUID) -> bool:
    """Tell whether this is a living key of the organization."""
    async with parts.db.connect() as connection:
        key = await store.find_by_hash(connection, key_hash(plain))
    return (
        key is not None
        and key.organization_id == organization_id
        and not key.is_expired(parts.clock.now())
    )


async def _get(
    connection: AsyncConnection,
    organization_id: UUID,
    key_id: UUID,
    *,
    for_update: bool = False,
) -> ApiKey:
    key = await store.find(connection, organization_id, key_id, for_update=for_update)
    if key is None:
        raise NotFoundError("API key not found")
    return key


async def rotate_key(parts: Parts, organization_id: UUID, key_id: UUID) -> NewKey:
    """Make a successor with the same life; the old key ends within a day.

    Raises ConflictError when there is a successor already.
    """
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        old = await _get(connection, organization_id, key_id, for_update=True)
        if old.rotated_at is not None:
            raise ConflictError(
                "This API key was rotated already: rotate the key that followed it"
            )
        life = None if old.expires_at is None else old.expires_at - old.created_at
        new = _new_key(parts, organization_id, old.name, life)
        await store.add(connection, new.key, key_hash=key_hash(new.plain))
        await store.replace(connection, old.id, at=now, until=now + ROTATION_GRACE)
        await _note(
            connection,
            parts,
            old,
            Action.KEY_ROTATED,
            successor_id=str(new.key.id),
            successor_prefix=new.key.prefix,
        )
    return new


async def revoke_key(parts: Parts, organization_id: UUID, key_id: UUID) -> ApiKey:
    """Refuse a key from now on; other processes notice within seconds."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        key = await _get(connection, organization_id, key_id, for_update=True)
        await store.revoke(connection, key.id, at=now)
        await _note(connection, parts, key, Action.KEY_REVOKED)
    return replace(key, expires_at=now)


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    key: ApiKey,
    action: Action,
    **details: Any,
) -> None:
    await audit_log.note(
        connection,
        parts.actor,
        key.organization_id,
        action,
        Subject("api_key", str(key.id)),
        parts.clock.now(),
        name=key.name,
        prefix=key.prefix,
        **details,
    )
