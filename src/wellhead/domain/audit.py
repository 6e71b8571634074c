"""Who changed what: the words of the audit log."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class ActorKind(StrEnum):
    """By which door somebody came."""

    API_KEY = "api_key"
    CONNECT_SESSION = "connect_session"
    """An end user in a web page, for whom somebody with a key opened a session."""
    LOCAL = "local"
    """A command on this machine, or anyone at all where keys are not asked for."""
    SYSTEM = "system"
    """The program itself: schedules, workers, upkeep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts."""

    kind: ActorKind
    name: str
    """For people; of a key its name and its first characters."""
    key_id: UUID | None = None
    """Of a session the key that made it."""
    request_id: str | None = None
    """To find the request in other logs."""


SYSTEM = Actor(kind=ActorKind.SYSTEM, name="Wellhead")
COMMAND_LINE = Actor(kind=ActorKind.LOCAL, name="command line")
ANYONE = Actor(kind=ActorKind.LOCAL, name="anyone (keys are not asked for)")


class Action(StrEnum):
    """What was done, as `<kind of subject>.<what>`."""

    COLLECTION_CREATED = "collection.created"
    COLLECTION_CHANGED = "collection.changed"
    COLLECTION_DELETED = "collection.deleted"
    CONNECTION_CREATED = "source_connection.created"
    CONNECTION_CHANGED = "source_connection.changed"
    CONNECTION_DELETED = "source_connection.deleted"
    CONNECTION_AUTHENTICATED = "source_connection.authenticated"
    CONSENT_ASKED = "source_connection.consent_asked"
    RUN_STARTED = "sync_job.started"
    RUN_CANCELLED = "sync_job.cancelled"
    FAILURES_RETRIED = "failures.retried"
    ENTITY_ERASED = "entity.erased"
    ENTITY_ALLOWED = "entity.allowed"
    KEY_CREATED = "api_key.created"
    KEY_ROTATED = "api_key.rotated"
    KEY_REVOKED = "api_key.revoked"
    SESSION_CREATED = "connect_session.created"
    CONSOLE_SIGNED_IN = "console.signed_in"
    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_CHANGED = "organization.changed"
    SOURCE_ADDED = "source.added"
    SOURCE_REPLACED = "source.replaced"
    SOURCE_REMOVED = "source.removed"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    SUBSCRIPTION_DELETED = "subscription.deleted"


@dataclass(frozen=True, slots=True)
class Subject:
    """What something was done to."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log; nothing in it is secret."""

    id: int
    organization_id: UUID
    at: datetime
    actor: Actor
    action: str
    """One of `Action`, or what a later program wrote."""
    subject: Subject
    details: dict[str, Any] = field(default_factory=dict)
