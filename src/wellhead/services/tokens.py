"""The access tokens of a connection, renewed by one process at a time.

A refresh token that rotates can be used once: two processes that used the same one
would lose the account. So whoever renews locks the credential's row in the ledger and
looks again what is in it; the new refresh token is committed before anybody gets the
access token that came with it.
"""

import asyncio
from dataclasses import replace

import structlog

from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import CredentialsError, ErrorCategory
from wellhead.domain.oauth import Grant, ended
from wellhead.domain.ports import TokenProvider
from wellhead.services import grants
from wellhead.services.grants import Kept
from wellhead.services.parts import Parts
from wellhead.sources.base import Source
from wellhead.sources.oauth import oauth2
from wellhead.store import connections
from wellhead.store.federated import LiveConnection

log = structlog.get_logger(__name__)


Connected = SourceConnection | LiveConnection
"""A connection that is synced, or one that is asked at a search."""


class StoredTokens:
    """A TokenProvider whose grant is in the ledger, sealed."""

    def __init__(self, parts: Parts, about: Connected, kept: Kept) -> None:
        self._parts = parts
        self._about = about
        self._kept = kept
        self._renewal: asyncio.Task[str] | None = None

    async def current(self) -> str:
        grant = _grant_of(self._kept)
        # asked of the clock each time: a machine that slept may have missed the end
        is_due = grant.is_due(self._parts.clock.now())
        if grant.refresh_token is None or not is_due:
            return grant.access_token
        return await self._renewed(None)

    async def refresh(self, rejected: str) -> str:
        return await self._renewed(rejected)

    async def settle(self) -> None:
        """Let a renewal under way come to its end."""
        if self._renewal is not None:
            await asyncio.wait({self._renewal})

    async def _renewed(self, rejected: str | None) -> str:
        """Renew in a task of its own, which goes on when the job is cancelled.

        Else the next refresh token could be lost between its arrival and its commit.
        """
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(rejected))
            self._renewal.add_done_callback(_look_at)
        return await asyncio.shield(self._renewal)

    async def _renew(self, rejected: str | None) -> str:
        parts, about = self._parts, self._about
        async with parts.db.begin() as connection:
            sealed = await connections.ciphertext(connection, about.id, for_update=True)
            kept = grants.unseal(parts.cipher, sealed)
            grant = _grant_of(kept)
            now = parts.clock.now()
            if grant.access_token == rejected or grant.is_due(now):
                grant = await self._ask(kept, grant)
                kept = replace(kept, grant=grant)
                await connections.save_credential(
                    connection, about.id, grants.seal(parts.cipher, kept), at=now
                )
                log.info("access renewed", connection_id=str(about.id))
        self._kept = kept
        return grant.access_token

    async def _ask(self, kept: Kept, grant: Grant) -> Grant:
        source = self._parts.sources.get(self._about.short_name)
        provider = grants.provider_for(source, self._about.config)
        if provider is None or provider.is_oauth1:
            raise ended("the access has ended or was revoked")
        client = grants.client_for(self._parts, source, provider, kept.client)
        try:
            return await oauth2.renew(
                provider, client, grant, now=self._parts.clock.now()
            )
        except oauth2.ClientRefusedError as error:
            if kept.client is None:
                raise  # the operator's to mend, once for all connections: no pause
            raise ended(str(error)) from error


def _grant_of(kept: Kept) -> Grant:
    if kept.grant is None:
        raise ended("nobody has given consent yet")
    return kept.grant


def _look_at(renewal: asyncio.Task[str]) -> None:
    """Take note of its error, also where nobody waits for it any more."""
    if not renewal.cancelled() and renewal.exception() is not None:
        log.info("access not renewed", reason=str(renewal.exception()))


def open_source(parts: Parts, about: Connected, sealed: bytes | None) -> Source:
    """Build a connection's source with its credentials, and its tokens if it has some.

    Raises pydantic.ValidationError, NotFoundError, and what reading a grant raises.
    """
    source = parts.sources.get(about.short_name)
    if not about.auth_method.is_in_browser:
        secrets = parts.cipher.decrypt(sealed) if sealed is not None else {}
        return source.create(about.config, secrets)
    kept = grants.unseal(parts.cipher, sealed)
    provider = grants.provider_for(source, about.config)
    if provider is None:
        raise ended("who gives consent for this source is not known any more")
    client = grants.client_for(parts, source, provider, kept.client)
    credentials = grants.credentials_for(source, _grant_of(kept), client)
    opened = source.create(about.config, credentials)
    opened.tokens = StoredTokens(parts, about, kept)
    return opened


def open_live(parts: Parts, about: LiveConnection) -> Source:
    """Build the source of a connection that is asked at a search, in the same way."""
    return open_source(parts, about, about.ciphertext)


async def settle(tokens: TokenProvider) -> None:
    """Wait for what must not be lost when a source is given up."""
    if isinstance(tokens, StoredTokens):
        await tokens.settle()


def category_of(error: CredentialsError, about: SourceConnection) -> ErrorCategory:
    """Return why it failed: a source knows what was refused, not where it came from."""
    is_key = error.category is ErrorCategory.API_KEY_INVALID
    if is_key and about.auth_method.is_oauth:
        return ErrorCategory.OAUTH_CREDENTIALS_EXPIRED
    return error.category
