"""Erasing single entities for good, and letting them come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.collections import Collection
from wellhead.domain.entities import entity_key
from wellhead.domain.errors import ConflictError, NotFoundError
from wellhead.domain.events import EventType
from wellhead.services.parts import Parts
from wellhead.store import (
    audit_log,
    collections,
    connections,
    cursors,
    jobs,
    outbox,
    tombstones,
)
from wellhead.store.locks import Lock
from wellhead.store.tombstones import Erasable, Tombstone

_log = structlog.get_logger(__name__)


_NOT_ERASED = "No erased entity has this id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """An entity as people name it: by its source's id, and what narrows that."""

    entity_id: str
    connection_id: UUID | None = None
    entity_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased; `was_stored` is False where only a failure named it."""

    entity: Erasable
    was_stored: bool
    may_return: bool


async def erase_entity(
    parts: Parts,
    organization_id: UUID,
    readable_id: str,
    which: Which,
    *,
    may_return: bool = False,
) -> Erased:
    """Remove an entity, at once from search and soon from disk; do not sync it again.

    Raises NotFoundError, and ConflictError when several entities have this id.
    """
    async with parts.db.connect() as connection:
        found, owners = await _members(connection, organization_id, readable_id)
        one = await _only(connection, owners, which)
    return await _erase(parts, found, one, may_return=may_return)


async def erase_again(
    parts: Parts, organization_id: UUID, readable_id: str, one: Erasable
) -> Erased:
    """Erase by key, as after the restore of a backup that is older than an erasure."""
    async with parts.db.connect() as connection:
        found, owners = await _members(connection, organization_id, readable_id)
    if one.connection_id not in owners:
        raise NotFoundError("SourceConnection not found")
    return await _erase(parts, found, one, may_return=False)


async def _erase(
    parts: Parts, found: Collection, one: Erasable, *, may_return: bool
) -> Erased:
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        if not await _hold(connection, found.organization_id, one.connection_id):
            raise NotFoundError("SourceConnection not found")
        if not may_return:
            await tombstones.bury(connection, one, now)
        was_stored = await tombstones.remove(connection, found.id, one)
        await outbox.write_event(
            connection,
            found.organization_id,
            EventType.ENTITY_ERASED,
            {
                "collection_id": str(found.id),
                "collection_readable_id": found.readable_id,
                "source_connection_id": str(one.connection_id),
                "entity_key": one.entity_key.hex(),
                "may_return": may_return,
            },
            now,
        )
        await _note(
            connection,
            parts,
            found,
            one,
            Action.ENTITY_ERASED,
            may_return=may_return,
        )
    _log.info(
        "entity erased",
        collection=found.readable_id,
        connection_id=str(one.connection_id),
        entity_key=one.entity_key.hex(),
        may_return=may_return,
    )
    return Erased(entity=one, was_stored=was_stored, may_return=may_return)


async def allow_entity(
    parts: Parts, organization_id: UUID, readable_id: str, which: Which
) -> Erasable:
    """Let an erased entity be synced again, by the next job, which is a full one.

    Raises NotFoundError when nothing of this id was erased, and ConflictError when
    several things of this id were.
    """
    async with parts.db.connect() as connection:
        found, owners = await _members(connection, organization_id, readable_id)
        one = await _only_buried(connection, _narrowed(owners, which), which)
    async with parts.db.begin() as connection:
        is_held = await _hold(connection, organization_id, one.connection_id)
        if not is_held or not await tombstones.dig_up(connection, one):
            raise NotFoundError(_NOT_ERASED)
        await cursors.require_full(connection, one.connection_id)
        await _note(connection, parts, found, one, Action.ENTITY_ALLOWED)
    _log.info("erased entity allowed", entity_key=one.entity_key.hex())
    return one


async def _only_buried(
    connection: AsyncConnection, owners: list[UUID], which: Which
) -> Erasable:
    found = []
    for owner, kind in await tombstones.types_of(connection, owners):
        key = entity_key(kind, which.entity_id)
        if which.entity_type in (None, kind) and await tombstones.among(
            connection, owner, [key]
        ):
            found.append(Erasable(connection_id=owner, entity_key=key, type=kind))
    if not found:
        raise NotFoundError(_NOT_ERASED)
    return _sole(found)


async def list_erased(
    parts: Parts, organization_id: UUID, readable_id: str, *, skip: int, limit: int
) -> Sequence[Tombstone]:
    """List what is not synced again, oldest first."""
    async with parts.db.connect() as connection:
        found, _ = await _members(connection, organization_id, readable_id)
        return await tombstones.page(connection, found.id, skip=skip, limit=limit)


async def _members(
    connection: AsyncConnection, organization_id: UUID, readable_id: str
) -> tuple[Collection, list[UUID]]:
    found = await collections.find(connection, organization_id, readable_id)
    if found is None:
        raise NotFoundError("Collection not found")
    members = await connections.in_collections(connection, [found.id])
    return found, [one.id for one in members]


def _narrowed(owners: list[UUID], which: Which) -> list[UUID]:
    return [one for one in owners if which.connection_id in (None, one)]


async def _only(
    connection: AsyncConnection, owners: list[UUID], which: Which
) -> Erasable:
    found = [
        one
        for one in await tombstones.find_erasable(
            connection, _narrowed(owners, which), which.entity_id
        )
        if which.entity_type in (None, one.type)
    ]
    if not found:
        raise NotFoundError(
            "Entity not found. Give the id that its source uses, which searches return "
            "as original_entity_id"
        )
    return _sole(found)


def _sole(found: list[Erasable]) -> Erasable:
    if len(found) > 1:
        choices = ", ".join(f"{one.type} of {one.connection_id}" for one in found[:5])
        raise ConflictError(
            f"{len(found)} entities have this id ({choices}): name the "
            "source_connection_id or the entity_type as well"
        )
    return found[0]


async def _hold(
    connection: AsyncConnection, organization_id: UUID, connection_id: UUID
) -> bool:
    """Lock a connection, then its open job: no batch is half-way through a step."""
    owner = await connections.find(
        connection, organization_id, connection_id, lock=Lock.CHANGE
    )
    if owner is None:
        return False
    await jobs.open_job(connection, connection_id, for_update=True)
    return True


async def _note(  # what, of what, by whom
    connection: AsyncConnection,
    parts: Parts,
    found: Collection,
    one: Erasable,
    action: Action,
    **details: Any,
) -> None:
    """Name the entity by its key alone: what was erased stays nowhere."""
    await audit_log.note(
        connection,
        parts.actor,
        found.organization_id,
        action,
        Subject("entity", one.entity_key.hex()),
        parts.clock.now(),
        source_connection_id=str(one.connection_id),
        collection=found.readable_id,
        **details,
    )
