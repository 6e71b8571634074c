"""Connect sessions as the public contract shows them."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from wellhead.api.schemas.source_connections import SourceConnectionCreate
from wellhead.api.schemas.times import Instant
from wellhead.domain.connect import ConnectSession, SessionMode
from wellhead.services.connect_sessions import NewSession, OpenedSession

MOST_INTEGRATIONS = 100
"""A token holds them all, and has to fit into a header."""
_IN_THE_SESSION = (
    "Only these sources, by their short names; an empty list allows none. Null allows "
    "all but those that read with the rights of the server: name these."
)
_WHAT_FOR = (
    "What may be done: `connect` creates connections, `manage` lists and deletes them, "
    "`reauth` lists and authenticates them again, `all` does all of it."
)
_WHOM_FOR = "Whom it is for, in your own words; the audit log repeats it."

ShortName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ConnectSessionCreate(BaseModel):
    readable_collection_id: str
    mode: SessionMode = Field(default=SessionMode.ALL, description=_WHAT_FOR)
    allowed_integrations: list[ShortName] | None = Field(
        default=None,
        max_length=MOST_INTEGRATIONS,
        description=_IN_THE_SESSION,
        examples=[["stub"]],
    )
    end_user_id: str | None = Field(
        default=None, max_length=255, description=_WHOM_FOR, examples=["user-17"]
    )

    def meant(self) -> NewSession:
        allowed = self.allowed_integrations
        return NewSession(
            readable_collection_id=self.readable_collection_id,
            mode=self.mode,
            allowed_integrations=None if allowed is None else tuple(allowed),
            end_user_id=self.end_user_id,
        )


class ConnectSessionResponse(BaseModel):
    session_id: UUID
    session_token: str = Field(
        description="To send as `Authorization: Bearer`; it is shown once.",
        examples=["wcs_gAAAAABp…"],
    )
    expires_at: Instant

    @classmethod
    def of(cls, opened: OpenedSession) -> "ConnectSessionResponse":
        return cls(
            session_id=opened.session.id,
            session_token=opened.token,
            expires_at=opened.session.expires_at,
        )


class ConnectSessionContext(BaseModel):
    session_id: UUID
    organization_id: UUID
    collection_id: str = Field(
        description="The collection, by its readable id.", examples=["my-notes"]
    )
    allowed_integrations: list[str] | None = Field(
        description=_IN_THE_SESSION, examples=[["stub"]]
    )
    mode: SessionMode = Field(description=_WHAT_FOR)
    end_user_id: str | None = Field(description=_WHOM_FOR, examples=["user-17"])
    expires_at: Instant

    @classmethod
    def of(cls, session: ConnectSession) -> "ConnectSessionContext":
        allowed = session.allowed_integrations
        return cls(
            session_id=session.id,
            organization_id=session.organization_id,
            collection_id=session.readable_collection_id,
            allowed_integrations=None if allowed is None else list(allowed),
            mode=session.mode,
            end_user_id=session.end_user_id,
            expires_at=session.expires_at,
        )


class ConnectedSourceCreate(SourceConnectionCreate):
    """A source connection in the collection of the session."""

    readable_collection_id: str = Field(
        default="",
        description="Taken from clients that send it; the session says which one.",
    )
