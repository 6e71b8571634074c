"""Sources that people add while the program runs: kept in the ledger, used by all.

They belong to the whole installation, as a package does that somebody installs. Every
process keeps the classes it made of them, and looks in the ledger for others: workers
before each job, the API every few seconds.

A job reads to its end by the class that it began with. Its cursor names the definition
it was read by, so the next job of a replaced one lists everything anew.
"""

import asyncio
import dataclasses
import hashlib
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.catalogue import KeptDefinition
from wellhead.domain.errors import ConflictError, ForbiddenError, NotFoundError
from wellhead.services.parts import Parts
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.marks import DefinitionError
from wellhead.sources.declared.source import source_of
from wellhead.store import audit_log, organizations
from wellhead.store import definitions as store

LOOK_SECONDS = 2.0

_log = structlog.get_logger(__name__)


async def look(parts: Parts) -> None:
    """Make the classes of definitions that other processes wrote since."""
    known = parts.sources.declared
    async with parts.db.connect() as connection:
        digests = await store.digests(connection)
        changed = [
            name
            for name, digest in digests.items()
            if digest not in parts.sources.ignored
            and (name not in known or known[name].text_digest != digest)
        ]
        found = await store.read(connection, changed) if changed else []
    for name in set(known) - set(digests):
        del known[name]
    for one in found:
        _take(parts, one)


async def follow(parts: Parts) -> None:
    """Look every few seconds, until it is cancelled."""
    while True:
        try:
            await look(parts)
        except (SQLAlchemyError, OSError) as error:
            _log.info("waiting for the database", reason=str(error))
        await asyncio.sleep(LOOK_SECONDS)


async def add(
    parts: Parts, organization_id: UUID, text: str, *, replace: bool
) -> KeptDefinition:
    """Add a definition, or put it in the place of the one of its name.

    Raises DefinitionError, and ConflictError if there is one already.
    """
    name = source_of(load(text)).info.short_name
    if name in parts.sources.by_name:
        raise ConflictError(f"The short name '{name}' is that of a built-in source")
    now = parts.clock.now()
    new = KeptDefinition(
        short_name=name,
        definition=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        created_at=now,
        modified_at=now,
    )
    async with parts.db.begin() as connection:
        former = await store.hold(connection, name, to_change=True)
        if former is None and not await store.add(connection, new):
            # somebody added it at the same time
            former = await store.hold(connection, name, to_change=True)
        if former is None:
            await _note(connection, parts, organization_id, Action.SOURCE_ADDED, new)
        elif former.definition == text:
            new = former
        elif replace:
            new = dataclasses.replace(new, created_at=former.created_at)
            await store.replace(connection, new)
            await _note(connection, parts, organization_id, Action.SOURCE_REPLACED, new)
        else:
            raise ConflictError(await _there_already(connection, name))
    await look(parts)
    return new


async def get(parts: Parts, short_name: str) -> KeptDefinition:
    """Return what was added under a name; raises NotFoundError."""
    async with parts.db.connect() as connection:
        found = await store.read(connection, [short_name])
    if not found:
        raise NotFoundError(_not_added(parts, short_name))
    return found[0]


async def remove(parts: Parts, organization_id: UUID, short_name: str) -> None:
    """Remove a definition that no connection uses."""
    async with parts.db.begin() as connection:
        found = await store.hold(connection, short_name, to_change=True)
        if found is None:
            raise NotFoundError(_not_added(parts, short_name))
        count = await store.connections_of(connection, short_name)
        if count:
            raise ConflictError(
                f"{_connections(count)} the source '{short_name}': delete what uses it"
                " first, or replace the definition"
            )
        await store.remove(connection, short_name)
        await _note(connection, parts, organization_id, Action.SOURCE_REMOVED, found)
    await look(parts)


async def refuse_several(parts: Parts) -> None:
    """Raise ForbiddenError where a key speaks for one organization of several.

    What it added would be everybody's.
    """
    async with parts.db.connect() as connection:
        count = len(await organizations.every(connection))
    if count > 1:
        raise ForbiddenError(
            "There are several organizations, and a source is added for all of them: "
            "run `wellhead sources add --local` (or `remove --local`) on the server"
        )


async def hold(connection: AsyncConnection, parts: Parts, short_name: str) -> None:
    """See to it that a source stays while a connection to it is made.

    Raises NotFoundError if it was removed meanwhile.
    """
    if short_name in parts.sources.by_name:
        return
    if await store.hold(connection, short_name) is None:
        raise NotFoundError(f"Source '{short_name}' not found")


def _take(parts: Parts, kept: KeptDefinition) -> None:
    """Make its class; what a former program took and this one does not is left out."""
    try:
        made = source_of(load(kept.definition))
    except DefinitionError as error:
        _log.warning(
            "definition ignored", short_name=kept.short_name, reason=error.message
        )
        parts.sources.ignored.add(kept.digest)
        return
    made.text_digest = kept.digest
    parts.sources.declared[kept.short_name] = made


async def _there_already(connection: AsyncConnection, name: str) -> str:
    count = await store.connections_of(connection, name)
    return (
        f"There is a source '{name}' already, with another definition"
        f" ({_connections(count)} it): say `replace` to put this one in its place"
        " (`wellhead sources add --replace`)"
    )


def _connections(count: int) -> str:
    return "1 connection uses" if count == 1 else f"{count} connections use"


def _not_added(parts: Parts, short_name: str) -> str:
    if short_name in parts.sources.by_name:
        return f"The source '{short_name}' is a built-in one, and was not added"
    return f"Source '{short_name}' not found"


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    organization_id: UUID,
    action: Action,
    about: KeptDefinition,
) -> None:
    subject = Subject("source", about.short_name)
    at = parts.clock.now()
    await audit_log.note(connection, parts.actor, organization_id, action, subject, at)
