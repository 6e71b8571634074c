"""OAuth as the whole program speaks of it: clients, grants, and what operators set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from wellhead.domain.errors import CredentialsError, ErrorCategory

_MARGIN = timedelta(minutes=1)
_MARGIN_SHARE = 10


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who asks a provider: an application that its developer registered there."""

    id: str
    secret: str = field(repr=False)
    scopes: tuple[str, ...] | None = None
    """What it was registered for, if that is not what Wellhead would ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a provider gave: the right to read one account."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_secret: str | None = field(default=None, repr=False)
    """Only OAuth 1 has one: its tokens are never sent without being signed with it."""
    renew_at: datetime | None = None
    """From when on it is renewed before it is used; None if it never ends."""
    more: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What else the provider told with it, such as where its API lives."""

    def is_due(self, now: datetime) -> bool:
        return self.renew_at is not None and self.renew_at <= now


def renew_at(now: datetime, life: timedelta) -> datetime:
    """Return when a token of this life is to be renewed: a little before it ends."""
    return now + life - min(_MARGIN, life / _MARGIN_SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthPolicy:
    """What the operator set."""

    clients: Mapping[str, OAuthClient] = field(default_factory=dict)
    """By the short name of a source, or by the name of a provider."""
    clients_file: str = "oauth_clients.toml"
    """Where more of them can be written down, to be named in refusals."""
    public_url: str | None = None
    """Where browsers reach this server; None: where the request was sent to."""
    redirect_origins: tuple[str, ...] = ()
    """Where browsers may be sent in the end; empty: wherever the caller says."""


class GivenToken:
    """One access token and no way to another."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def current(self) -> str:
        return self._token

    async def refresh(self, rejected: str) -> str:  # noqa: ARG002  # there is no other
        raise ended("the access token has expired or was revoked")


def ended(why: str) -> CredentialsError:
    """Return the error after which the owner has to give consent again."""
    return CredentialsError(why, category=ErrorCategory.OAUTH_CREDENTIALS_EXPIRED)
