"""Source connections: create, find, change, delete."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action
from wellhead.domain.collections import Collection
from wellhead.domain.connections import (
    AuthMethod,
    ConnectionDetails,
    ConnectionLine,
    SourceConnection,
)
from wellhead.domain.errors import BadRequestError, ConflictError, NotFoundError
from wellhead.domain.events import EventType
from wellhead.engine.procrastinate import Task
from wellhead.services import audit_log, definitions, runs, schedules
from wellhead.services.asking import Asked, Question, ask, open_link
from wellhead.services.authentication import (
    Authentication,
    OAuthBrowser,
    credentials_of,
    method_of,
    nonempty_credentials,
)
from wellhead.services.checks import check_source
from wellhead.services.grants import Kept, seal
from wellhead.services.parts import Parts
from wellhead.services.schedules import Schedule
from wellhead.services.validation import valid_config, valid_credentials
from wellhead.sources.base import Source
from wellhead.store import (
    collections,
    connection_details,
    connection_lines,
    consents,
    outbox,
)
from wellhead.store import connections as store
from wellhead.store.locks import Lock
from wellhead.store.reading import InTransaction, Reads

LONGEST_NAME = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConnection:
    """What it takes to create a connection; no schedule means the source's default."""

    short_name: str
    readable_collection_id: str
    name: str | None = None
    description: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    authentication: Authentication | None = None
    schedule: Schedule | None = None
    sync_immediately: bool | None = None
    redirect_url: str | None = None
    """Where a browser goes after consent was given in it."""
    session_id: UUID | None = None
    """The Connect session that asks."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a connection is to prove itself with, or the question for it."""

    sealed: bytes | None
    asked: Asked | None = None


class ConnectionChange(TypedDict, total=False):
    """What is to change; what is absent stays. `config` is replaced whole."""

    name: str
    description: str | None
    config: dict[str, Any]
    schedule: Schedule
    credentials: dict[str, Any]


async def create_connection(
    parts: Parts, organization_id: UUID, new: NewConnection
) -> ConnectionDetails:
    """Create a connection that was seen to work, and usually its first run."""
    source = parts.sources.get(new.short_name)
    method = method_of(source, new.authentication)
    _refuse_early_run(method, sync_immediately=new.sync_immediately)
    now = parts.clock.now()
    secrets = credentials_of(source, new.authentication, at=now)
    config = valid_config(source.config_model, new.config)
    cron = schedules.wished_cron(source, new.schedule, at=now)
    connection_id = uuid4()
    if method.is_in_browser:
        proof = await _ask(parts, organization_id, connection_id, new)
    else:
        credentials = valid_credentials(source.credentials_model, secrets)
        await check_source(
            source(config, credentials),
            method,
            allow_private=parts.limits.private_sources,
        )
        # none where none is needed: a lost key then stops no such source
        proof = _Proof(parts.cipher.encrypt(secrets) if secrets else None)
    async with parts.db.begin() as connection:
        collection = await _collection(
            connection, organization_id, new.readable_collection_id, lock=Lock.SHARE
        )
        await definitions.hold(connection, parts, new.short_name)
        created = SourceConnection(
            id=connection_id,
            organization_id=organization_id,
            collection_id=collection.id,
            readable_collection_id=collection.readable_id,
            short_name=new.short_name,
            name=new.name or f"{source.info.name} Connection"[:LONGEST_NAME],
            description=new.description,
            config=new.config,
            auth_method=method,
            is_authenticated=proof.asked is None,
            is_federated=source.is_federated,
            created_at=now,
            modified_at=now,
            **schedules.first_moments(
                source, cron, connection_id=connection_id, created_at=now, at=now
            ),
        )
        await store.add(connection, created)
        if proof.sealed is not None:
            await store.save_credential(connection, created.id, proof.sealed, at=now)
        await tell(connection, parts, created, EventType.CONNECTION_CREATED)
        await audit_log.note_connection(
            connection, parts, created, Action.CONNECTION_CREATED
        )
        if proof.asked is not None:
            await consents.put(connection, proof.asked.consent)
        elif new.sync_immediately is not False and not source.is_federated:
            await runs.enqueue_run(parts, connection, created)
        details = await _details(
            parts, InTransaction(connection), organization_id, created.id
        )
        link = None if proof.asked is None else proof.asked.link
        return replace(details, consent=link)


def _refuse_early_run(method: AuthMethod, *, sync_immediately: bool | None) -> None:
    if sync_immediately and method.is_in_browser:
        raise BadRequestError(
            "OAuth connections cannot use sync_immediately. "
            "Sync starts after OAuth callback."
        )


async def _ask(
    parts: Parts, organization_id: UUID, connection_id: UUID, new: NewConnection
) -> _Proof:
    async with parts.db.connect() as connection:
        await _collection(connection, organization_id, new.readable_collection_id)
    given = new.authentication
    browser = given if isinstance(given, OAuthBrowser) else OAuthBrowser()
    asked = await ask(
        parts,
        Question(
            connection_id=connection_id,
            source=parts.sources.get(new.short_name),
            config=new.config,
            own_client=browser.client,
            redirect_url=new.redirect_url or browser.redirect_url,
            session_id=new.session_id,
        ),
    )
    own = browser.client
    kept = None if own is None else seal(parts.cipher, Kept(client=own))
    return _Proof(kept, asked)


async def _collection(
    connection: AsyncConnection,
    organization_id: UUID,
    readable_id: str,
    *,
    lock: Lock | None = None,
) -> Collection:
    found = await collections.find(connection, organization_id, readable_id, lock=lock)
    if found is None:
        raise NotFoundError("Collection not found")
    return found


async def get_connection(
    parts: Parts, organization_id: UUID, connection_id: UUID
) -> ConnectionDetails:
    """Return it with all that is shown of it, and the link that it waits for."""
    found = await _details(parts, parts.reads, organization_id, connection_id)
    if found.connection.is_authenticated and not found.needs_its_owner:
        return found
    async with parts.db.connect() as connection:
        consent = await consents.find(connection, connection_id)
    link = None if consent is None else open_link(parts, consent)
    return replace(found, consent=link)


async def check_confirmation(
    parts: Parts, organization_id: UUID, connection_id: UUID, confirmed: int
) -> None:
    """Refuse to confirm fewer deletes than are held: they would be held again."""
    found = await _details(parts, parts.reads, organization_id, connection_id)
    held = sum(found.deletes_held.values())
    if confirmed < held:
        raise ConflictError(
            f"{held} deletes are held, so {confirmed} confirms nothing: "
            f"look at them, then run with confirm_deletes={held}"
        )


async def list_connections(
    parts: Parts,
    organization_id: UUID,
    *,
    skip: int,
    limit: int,
    readable_collection_id: str | None,
) -> list[ConnectionLine]:
    """List connections, newest first."""
    return await connection_lines.page(
        parts.reads,
        organization_id,
        skip=skip,
        limit=limit,
        readable_collection_id=readable_collection_id,
    )


async def change_connection(
    parts: Parts, organization_id: UUID, connection_id: UUID, change: ConnectionChange
) -> ConnectionDetails:
    """Write what differs; credentials or a config, new or not, also end a pause."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _find(
            connection, organization_id, connection_id, lock=Lock.CHANGE
        )
        values = _changed_columns(parts, found, change, at=now)
        if not values and "credentials" not in change:
            return await _details(
                parts, InTransaction(connection), organization_id, connection_id
            )
        # the same credentials are written again: nobody is told which were right
        if "credentials" in change:
            await store.save_credential(
                connection,
                found.id,
                parts.cipher.encrypt(change["credentials"]),
                at=now,
            )
        await store.change(connection, found.id, {**values, "modified_at": now})
        changed = await _find(connection, organization_id, connection_id)
        await audit_log.note_connection(
            connection,
            parts,
            changed,
            Action.CONNECTION_CHANGED,
            fields=sorted(change),
        )
        return await _details(
            parts, InTransaction(connection), organization_id, connection_id
        )


def _changed_columns(
    parts: Parts, found: SourceConnection, change: ConnectionChange, *, at: datetime
) -> dict[str, Any]:
    source = parts.sources.get(found.short_name)
    values: dict[str, Any] = {
        name: value for name, value in change.items() if name in ("name", "description")
    }
    if "credentials" in change:
        if found.auth_method is not AuthMethod.DIRECT:
            raise BadRequestError(
                "Credentials can only be changed where authentication is direct"
            )
        credentials = nonempty_credentials(source, change["credentials"])
        valid_credentials(source.credentials_model, credentials)
        values["paused_reason"] = None
    if "config" in change:
        valid_config(source.config_model, change["config"])
        values |= {"config": change["config"], "paused_reason": None}
        if change["config"] != found.config:
            # a cursor tells nothing of what a new config newly includes
            values["needs_full"] = True
    if "schedule" in change:
        cron = _changed_cron(source, change["schedule"], at=at)
        is_on = found.next_run_at is not None
        if (cron, cron is not None) != (found.schedule_cron, is_on):
            values |= schedules.first_moments(
                source, cron, connection_id=found.id, created_at=found.created_at, at=at
            )
    return {name: new for name, new in values.items() if new != getattr(found, name)}


def _changed_cron(source: type[Source], wish: Schedule, *, at: datetime) -> str | None:
    return schedules.wished_cron(
        source,
        wish,
        at=at,
        hint="Minimum schedule interval is 1 hour (e.g., '0 * * * *' for hourly).",
    )


async def delete_connection(
    parts: Parts, organization_id: UUID, connection_id: UUID
) -> ConnectionDetails:
    """Make it absent at once; workers then remove what it holds."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _find(
            connection, organization_id, connection_id, lock=Lock.CHANGE
        )
        before = await _details(
            parts, InTransaction(connection), organization_id, connection_id
        )
        await store.mark_deleting(connection, found.id, at=now)
        await runs.close_open_job(parts, connection, found.id)
        await parts.engine.defer(connection, Task.PURGE_CONNECTION, found.id)
        await tell(connection, parts, found, EventType.CONNECTION_DELETED)
        await audit_log.note_connection(
            connection, parts, found, Action.CONNECTION_DELETED
        )
    return before


async def _find(
    connection: AsyncConnection,
    organization_id: UUID,
    connection_id: UUID,
    *,
    lock: Lock | None = None,
) -> SourceConnection:
    found = await store.find(connection, organization_id, connection_id, lock=lock)
    if found is None:
        raise NotFoundError("SourceConnection not found")
    return found


async def _details(
    parts: Parts, reads: Reads, organization_id: UUID, connection_id: UUID
) -> ConnectionDetails:
    found = await connection_details.find(reads, organization_id, connection_id)
    if found is None:
        raise NotFoundError("SourceConnection not found")
    cron = found.connection.schedule_cron
    next_run = schedules.shown_next_run(cron, after=parts.clock.now())
    return found if next_run is None else replace(found, next_run=next_run)


async def tell(
    connection: AsyncConnection,
    parts: Parts,
    about: SourceConnection,
    what: EventType,
) -> None:
    """Write an event about a connection."""
    is_alive = what is not EventType.CONNECTION_DELETED
    await outbox.write_event(
        connection,
        about.organization_id,
        what,
        {
            "source_connection_id": str(about.id),
            "collection_readable_id": about.readable_collection_id,
            "source_type": about.short_name,
            "is_authenticated": about.is_authenticated and is_alive,
        },
        parts.clock.now(),
    )
