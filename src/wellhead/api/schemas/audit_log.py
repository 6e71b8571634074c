"""Lines of the audit log as they are shown."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from wellhead.api.schemas.times import Instant
from wellhead.domain.audit import Actor as Acting
from wellhead.domain.audit import AuditEntry as Kept


class Actor(BaseModel):
    kind: str
    """`api_key`, `connect_session`, `local` (a command on the server) or `system`."""
    name: str
    key_id: UUID | None = None

    @classmethod
    def of(cls, acting: Acting) -> "Actor":
        return cls(kind=acting.kind.value, name=acting.name, key_id=acting.key_id)


class Subject(BaseModel):
    kind: str
    id: str


class AuditEntry(BaseModel):
    id: int
    at: Instant
    actor: Actor
    request_id: str | None = None
    """As in the X-Request-ID of the answer, and in the logs."""
    action: str
    subject: Subject
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: Kept) -> "AuditEntry":
        return cls(
            id=entry.id,
            at=entry.at,
            actor=Actor.of(entry.actor),
            request_id=entry.actor.request_id,
            action=entry.action,
            subject=Subject(kind=entry.subject.kind, id=entry.subject.id),
            details=entry.details,
        )
