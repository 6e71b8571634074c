"""Webhooks as use cases: subscriptions, and what they were told."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Subject
from wellhead.domain.errors import (
    BadRequestError,
    ConflictError,
    InvalidInputError,
    JobError,
    NotFoundError,
)
from wellhead.domain.webhooks import (
    SECRET_BYTES,
    Attempt,
    Message,
    Subscription,
    public_id,
    read_public_id,
    read_secret,
    secret_from,
)
from wellhead.services.endpoints import Caller, EndpointError, NoAnswerInTimeError
from wellhead.services.parts import Parts
from wellhead.store import audit_log, deliveries
from wellhead.store import webhooks as store

PROBE_SECONDS = 5.0
MOST_ATTEMPTS = 50
UNREACHABLE = (
    "Could not connect to endpoint. Please check the URL is correct and the server is "
    "running."
)
TOO_SLOW = "Endpoint did not respond within 5 seconds."


@dataclass(frozen=True, slots=True)
class Detail:
    """A subscription with its last attempts, and its secret if asked for."""

    subscription: Subscription
    attempts: Sequence[Attempt]
    secret: str | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many messages were made due again."""

    id: UUID
    messages: int


async def create_subscription(
    parts: Parts,
    organization_id: UUID,
    *,
    url: str,
    event_types: Sequence[str],
    secret: str | None,
) -> Subscription:
    """Tell this endpoint of these events from now on.

    Raises InvalidInputError for a secret that is none, and BadRequestError when the
    endpoint may not be called or cannot be reached.
    """
    shown = (
        secret_from(secrets.token_bytes(SECRET_BYTES))
        if secret is None
        else read_secret(secret)
    )
    await _check(parts, url)
    now = parts.clock.now()
    new = Subscription(
        id=uuid4(),
        organization_id=organization_id,
        url=url,
        event_types=tuple(event_types),
        created_at=now,
        updated_at=now,
    )
    async with parts.db.begin() as connection:
        await store.add(connection, new, secret=parts.cipher.encrypt({"secret": shown}))
        await _note(
            connection,
            parts,
            new,
            Action.SUBSCRIPTION_CREATED,
            event_types=list(new.event_types),
        )
    return new


async def _check(parts: Parts, url: str) -> None:
    """Ask the endpoint for nothing, to see whether it is there: any status will do."""
    async with Caller(parts.webhooks) as caller:
        try:
            if parts.webhooks.verify_endpoints:
                await caller.call("HEAD", url, within=PROBE_SECONDS)
            else:
                await caller.addresses(url)
        except EndpointError as error:
            if error.refused:
                raise BadRequestError(str(error)) from error
            if not parts.webhooks.verify_endpoints:
                return
            is_slow = isinstance(error, NoAnswerInTimeError)
            raise BadRequestError(TOO_SLOW if is_slow else UNREACHABLE) from error


async def list_subscriptions(parts: Parts, organization_id: UUID) -> list[Subscription]:
    """List them newest first, each with its health."""
    async with parts.db.connect() as connection:
        found = await store.in_organization(connection, organization_id)
        judged = await store.with_health(connection, found)
        return [judged[one.id] for one in found]


async def get_subscription(
    parts: Parts, organization_id: UUID, public: str, *, include_secret: bool
) -> Detail:
    async with parts.db.connect() as connection:
        found = await _find(connection, organization_id, public)
        attempts = await store.attempts(
            connection, subscription_id=found.id, limit=MOST_ATTEMPTS
        )
        secret = None
        if include_secret:
            secret = _decrypt(parts, await store.secret_of(connection, found.id))
        return Detail(await _judge(connection, found), attempts, secret)


def _decrypt(parts: Parts, stored: bytes) -> str:
    try:
        secret: str = parts.cipher.decrypt(stored)["secret"]
    except JobError as error:
        raise ConflictError(
            "The secret cannot be decrypted with the server's present keys"
        ) from error
    return secret


async def change_subscription(
    parts: Parts,
    organization_id: UUID,
    public: str,
    values: Mapping[str, Any],
    *,
    recover_since: datetime | None = None,
) -> Subscription:
    """Write `url`, `event_types` or `disabled`.

    Disabling gives up what waits. `recover_since` counts only with `disabled` false.
    """
    if "url" in values:
        async with parts.db.connect() as connection:
            await _find(connection, organization_id, public)
        await _check(parts, values["url"])
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, public, for_update=True)
        changed = _changed(found, values, now)
        if values:
            await store.change(connection, found.id, _columns(changed))
            await _note(
                connection,
                parts,
                changed,
                Action.SUBSCRIPTION_CHANGED,
                fields=sorted(values),
            )
        if changed.disabled:
            await deliveries.give_up(connection, found.id)
        elif recover_since is not None and values.get("disabled") is False:
            await deliveries.recover(
                connection, found.id, since=recover_since, until=None, at=now
            )
        return await _judge(connection, changed)


def _changed(
    found: Subscription, values: Mapping[str, Any], now: datetime
) -> Subscription:
    if not values:
        return found
    changed = replace(found, **values, updated_at=now)
    if "url" in values or values.get("disabled") is False:
        # another beginning: what was before says nothing about it
        return replace(changed, failing_since=None, gave_up_at=None)
    return changed


def _columns(changed: Subscription) -> dict[str, Any]:
    names = ("url", "disabled", "failing_since", "gave_up_at", "updated_at")
    return {name: getattr(changed, name) for name in names} | {
        "event_types": list(changed.event_types)
    }


async def delete_subscription(
    parts: Parts, organization_id: UUID, public: str
) -> Subscription:
    """Delete it with the record of what it was told; the messages themselves stay."""
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, public, for_update=True)
        before = await _judge(connection, found)
        await store.remove(connection, found.id)
        await _note(connection, parts, found, Action.SUBSCRIPTION_DELETED)
    return before


async def recover_messages(
    parts: Parts,
    organization_id: UUID,
    public: str,
    *,
    since: datetime,
    until: datetime | None,
) -> Recovery:
    """Send again what failed or was never sent in that time.

    Raises ConflictError while the subscription is disabled.
    """
    if until is not None and until < since:
        raise InvalidInputError("until is before since", field="body.until")
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, public, for_update=True)
        if found.disabled:
            raise ConflictError(
                "The subscription is disabled: enable it first, or enable it with "
                "recover_since"
            )
        count = await deliveries.recover(
            connection, found.id, since=since, until=until, at=parts.clock.now()
        )
    return Recovery(uuid4(), count)


async def list_messages(  # keyword options of one request
    parts: Parts,
    organization_id: UUID,
    *,
    limit: int,
    before: str | None,
    event_types: Sequence[str] | None,
) -> list[Message]:
    """List messages newest first; `before` is the last id of the page before."""
    async with parts.db.connect() as connection:
        mark = None
        if before is not None:
            found = await _find_message(connection, organization_id, before)
            mark = found.sequence
        return await store.messages(
            connection,
            organization_id,
            limit=limit,
            before=mark,
            event_types=event_types,
        )


async def get_message(
    parts: Parts, organization_id: UUID, public: str, *, include_attempts: bool
) -> tuple[Message, list[Attempt] | None]:
    async with parts.db.connect() as connection:
        found = await _find_message(connection, organization_id, public)
        if not include_attempts:
            return found, None
        return found, await store.attempts(
            connection, message=found, limit=MOST_ATTEMPTS
        )


async def _find_message(
    connection: AsyncConnection, organization_id: UUID, public: str
) -> Message:
    ident = read_public_id("msg", public)
    found = (
        None
        if ident is None
        else await store.find_message(connection, organization_id, ident)
    )
    if found is None:
        raise NotFoundError("Failed to get message: there is no message of this id")
    return found


async def _find(
    connection: AsyncConnection,
    organization_id: UUID,
    public: str,
    *,
    for_update: bool = False,
) -> Subscription:
    ident = read_public_id("ep", public)
    found = (
        None
        if ident is None
        else await store.find(connection, organization_id, ident, for_update=for_update)
    )
    if found is None:
        raise NotFoundError(
            "Failed to get subscription: there is no subscription of this id"
        )
    return found


async def _judge(connection: AsyncConnection, found: Subscription) -> Subscription:
    return (await store.with_health(connection, [found]))[found.id]


async def _note(
    connection: AsyncConnection,
    parts: Parts,
    about: Subscription,
    action: Action,
    **details: Any,
) -> None:
    await audit_log.note(
        connection,
        parts.actor,
        about.organization_id,
        action,
        Subject("subscription", public_id("ep", about.id)),
        parts.clock.now(),
        **details,
    )
