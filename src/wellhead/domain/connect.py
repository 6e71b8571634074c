"""A Connect session: what an end user may do in a web page, and for how long."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wellhead.domain.errors import ForbiddenError


class SessionMode(StrEnum):
    """What a session is for; values as on the wire."""

    ALL = "all"
    CONNECT = "connect"
    MANAGE = "manage"
    REAUTH = "reauth"


class SessionRight(StrEnum):
    """What some modes allow and others do not, as refusals call it."""

    CREATE = "creating source connections"
    VIEW = "viewing source connections"
    DELETE = "deleting source connections"
    REAUTHENTICATE = "re-authenticating source connections"
    VERIFY = "verifying source connections"
    """The end of both creating and re-authenticating in a browser."""


RIGHTS: dict[SessionMode, frozenset[SessionRight]] = {
    SessionMode.ALL: frozenset(SessionRight),
    SessionMode.CONNECT: frozenset({SessionRight.CREATE, SessionRight.VERIFY}),
    SessionMode.MANAGE: frozenset({SessionRight.VIEW, SessionRight.DELETE}),
    SessionMode.REAUTH: frozenset(
        {SessionRight.VIEW, SessionRight.REAUTHENTICATE, SessionRight.VERIFY}
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSession:
    """What the holder of its token may do; nothing of it is secret."""

    id: UUID
    organization_id: UUID
    collection_id: UUID
    readable_collection_id: str
    mode: SessionMode
    expires_at: datetime
    allowed_integrations: tuple[str, ...] | None = None
    """Short names of sources. None means every source that needs no trust."""
    end_user_id: str | None = None
    """Whom it is for, in the words of who made it."""
    key_id: UUID | None = None
    """The API key that made it, and with which it ends."""

    def require(self, right: SessionRight) -> None:
        if right not in RIGHTS[self.mode]:
            raise ForbiddenError(f"Session mode does not allow {right.value}")

    def names(self, short_name: str) -> bool:
        """Tell whether the source was allowed by its name."""
        return short_name in (self.allowed_integrations or ())

    def covers(self, short_name: str) -> bool:
        """Tell whether the session is about connections of this source."""
        return self.allowed_integrations is None or self.names(short_name)

    def require_source(self, short_name: str) -> None:
        if not self.covers(short_name):
            raise ForbiddenError(
                "Session does not have access to this integration type"
            )
