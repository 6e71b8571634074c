"""Consents: what an owner is asked in a browser, and how far it has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

LINK_LIFE = timedelta(minutes=5)
"""How long the link can be followed, once."""
ANSWER_LIFE = timedelta(minutes=10)
"""How long the owner then has at the provider: people look for second factors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The latest question of a connection; what comes back to us is kept as hashes."""

    connection_id: UUID
    link_hash: bytes
    state_hash: bytes
    """Of the state, in OAuth 1 of the request token: by it an answer is recognised."""
    claim_hash: bytes
    sealed: bytes
    expires_at: datetime
    redirect_url: str | None = None
    session_id: UUID | None = None
    """The Connect session that asked."""
    followed_at: datetime | None = None
    returned_at: datetime | None = None
    granted_at: datetime | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentLink:
    """What whoever asked has to know to go on."""

    auth_url: str
    expires_at: datetime
    redirect_url: str | None = None
    claim_token: str | None = None
    """Shown once, to whoever asked."""
