"""Organizations: everything belongs to one, and a key speaks for one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.errors import ConflictError, NotFoundError
from wellhead.domain.keys import Organization
from wellhead.services.parts import Parts
from wellhead.store import audit_log
from wellhead.store import organizations as store

DEFAULT_ORGANIZATION = "Default"


async def ensure_organization(parts: Parts) -> Organization:
    """Return the first organization, created when there is none."""
    async with parts.db.begin() as connection:
        return await first_organization(connection, parts)


async def first_organization(connection: AsyncConnection, parts: Parts) -> Organization:
    """The same in the caller's transaction."""
    found = await store.first(connection)
    if found is not None:
        return found
    await store.lock_creation(connection)
    found = await store.first(connection)
    return found or await _create(connection, parts, DEFAULT_ORGANIZATION)


async def named_organization(
    connection: AsyncConnection, parts: Parts, name: str
) -> Organization:
    """Return the organization of this name or id, created when there is none.

    For commands on the machine itself, which may act for every organization. Raises
    ConflictError when several have the name.
    """
    await store.lock_creation(connection)
    by_id = [one for one in await store.every(connection) if str(one.id) == name]
    found = by_id or await store.named(connection, name)
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise ConflictError(
            f"{len(found)} organizations are named {name}: give the id of one ({ids})"
        )
    return found[0] if found else await _create(connection, parts, name)


async def _create(connection: AsyncConnection, parts: Parts, name: str) -> Organization:
    new = Organization(uuid4(), name, parts.clock.now())
    await store.add(connection, new)
    await _note(connection, parts, new, Action.ORGANIZATION_CREATED)
    return new


async def every_organization(parts: Parts) -> list[Organization]:
    """List all of the installation, oldest first; not for callers with a key."""
    async with parts.db.connect() as connection:
        return await store.every(connection)


async def get_organization(
    parts: Parts, organization_id: UUID, asked_for: UUID
) -> Organization:
    """Return the organization that asks; NotFoundError for any other."""
    async with parts.db.connect() as connection:
        return await _own(connection, organization_id, asked_for)


async def change_organization(
    parts: Parts, organization_id: UUID, asked_for: UUID, values: Mapping[str, Any]
) -> Organization:
    """Write `name` or `description`; no values change nothing."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _own(connection, organization_id, asked_for)
        if not values:
            return found
        changed = replace(found, **values, modified_at=now)
        await store.change(connection, found.id, values, at=now)
        await _note(
            connection,
            parts,
            changed,
            Action.ORGANIZATION_CHANGED,
            fields=sorted(values),
        )
    return changed


async def _own(
    connection: AsyncConnection, organization_id: UUID, asked_for: UUID
) -> Organization:
    if asked_for != organization_id:
        raise NotFoundError("Organization not found")
    return await store.get(connection, organization_id)


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    about: Organization,
    action: Action,
    **details: Any,
) -> None:
    await audit_log.note(
        connection,
        parts.actor,
        about.id,
        action,
        Subject("organization", str(about.id)),
        parts.clock.now(),
        name=about.name,
        **details,
    )
