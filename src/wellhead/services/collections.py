"""Collections: create, find, change, delete."""

import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.collections import (
    Collection,
    CollectionLine,
    collection_status,
)
from wellhead.domain.errors import BadRequestError, NotFoundError
from wellhead.domain.events import EventType
from wellhead.engine.procrastinate import Task
from wellhead.services import runs
from wellhead.services.parts import Parts
from wellhead.store import (
    audit_log,
    collection_lines,
    connection_lines,
    connections,
    outbox,
)
from wellhead.store import collections as store
from wellhead.store.locks import Lock
from wellhead.store.reading import InTransaction

_ALPHABET = string.ascii_lowercase + string.digits
_SUFFIX_CHARACTERS = 6


def readable_id_of(name: str) -> str:
    """Make a public id from a name: its plain letters and digits, then six at random.

    Six random characters tell apart collections of the same name.
    """
    kept = re.sub(r"[^a-z0-9\s]", "", name.lower())
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX_CHARACTERS))
    return "-".join([*kept.split(), suffix])


async def create_collection(
    parts: Parts,
    organization_id: UUID,
    *,
    name: str,
    readable_id: str | None,
    sync_config: dict[str, Any] | None,
) -> Collection:
    """Create an empty collection for the embedder of this installation."""
    now = parts.clock.now()
    new = Collection(
        id=uuid4(),
        organization_id=organization_id,
        name=name,
        readable_id=readable_id or readable_id_of(name),
        vector_size=parts.embedder.dimension,
        embedding_model_name=parts.embedder.name,
        created_at=now,
        modified_at=now,
        sync_config=sync_config,
    )
    async with parts.db.begin() as connection:
        try:
            async with connection.begin_nested():
                await store.add(connection, new)
        except IntegrityError as error:
            raise BadRequestError(
                f"Collection with readable_id '{new.readable_id}' already exists"
            ) from error
        await _tell(connection, parts, new, EventType.COLLECTION_CREATED)
        await _note(connection, parts, new, Action.COLLECTION_CREATED)
    return new


async def get_collection(
    parts: Parts, organization_id: UUID, readable_id: str
) -> Collection:
    """Return it with its status; NotFoundError if it is not theirs."""
    async with parts.db.connect() as connection:
        found = await _find(connection, organization_id, readable_id)
        return await _with_status(connection, found)


async def find_collection_id(
    parts: Parts, organization_id: UUID, readable_id: str
) -> UUID:
    """Return its id, for search; the message is the one that searches give."""
    found = await collection_lines.find_id(parts.reads, organization_id, readable_id)
    if found is None:
        raise NotFoundError(f"Collection '{readable_id}' not found")
    return found


async def list_collections(
    parts: Parts,
    organization_id: UUID,
    *,
    skip: int,
    limit: int,
    search: str | None,
) -> list[CollectionLine]:
    """List collections, newest first, each with its status and its sources."""
    return await collection_lines.page(
        parts.reads, organization_id, skip=skip, limit=limit, search=search
    )


async def count_collections(
    parts: Parts, organization_id: UUID, *, search: str | None
) -> int:
    return await collection_lines.count(parts.reads, organization_id, search=search)


async def change_collection(
    parts: Parts, organization_id: UUID, readable_id: str, values: Mapping[str, Any]
) -> Collection:
    """Write `name` or `sync_config`; what is so already changes nothing."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, readable_id, lock=Lock.CHANGE)
        values = {
            name: new for name, new in values.items() if new != getattr(found, name)
        }
        if values:
            await store.change(connection, found.id, values, at=now)
            found = replace(found, **values, modified_at=now)
            await _tell(connection, parts, found, EventType.COLLECTION_UPDATED)
            await _note(
                connection,
                parts,
                found,
                Action.COLLECTION_CHANGED,
                fields=sorted(values),
            )
        return await _with_status(connection, found)


async def delete_collection(
    parts: Parts, organization_id: UUID, readable_id: str
) -> Collection:
    """Make it and its connections absent at once; what they hold goes later."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, readable_id, lock=Lock.CHANGE)
        before = await _with_status(connection, found)
        await store.mark_deleting(connection, found, at=now)
        for one in await connections.in_collections(
            connection, [found.id], lock=Lock.CHANGE
        ):
            await connections.mark_deleting(connection, one.id, at=now)
            await runs.close_open_job(parts, connection, one.id)
            await parts.engine.defer(connection, Task.PURGE_CONNECTION, one.id)
        await parts.engine.defer(connection, Task.DROP_COLLECTION, found.id)
        await _tell(connection, parts, before, EventType.COLLECTION_DELETED)
        await _note(connection, parts, before, Action.COLLECTION_DELETED)
    return before


async def _find(
    connection: AsyncConnection,
    organization_id: UUID,
    readable_id: str,
    *,
    lock: Lock | None = None,
) -> Collection:
    found = await store.find(connection, organization_id, readable_id, lock=lock)
    if found is None:
        raise NotFoundError("Collection not found")
    return found


async def _with_status(connection: AsyncConnection, found: Collection) -> Collection:
    members = await connection_lines.members(InTransaction(connection), found.id)
    return replace(found, status=collection_status(members))


async def _tell(
    connection: AsyncConnection, parts: Parts, about: Collection, what: EventType
) -> None:
    await outbox.write_event(
        connection,
        about.organization_id,
        what,
        {
            "collection_id": str(about.id),
            "collection_name": about.name,
            "collection_readable_id": about.readable_id,
        },
        parts.clock.now(),
    )


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    about: Collection,
    action: Action,
    **details: Any,
) -> None:
    await audit_log.note(
        connection,
        parts.actor,
        about.organization_id,
        action,
        Subject("collection", about.readable_id),
        parts.clock.now(),
        collection_id=str(about.id),
        name=about.name,
        **details,
    )
