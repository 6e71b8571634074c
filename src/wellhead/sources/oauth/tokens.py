"""Access tokens that no ledger keeps: a client's own."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import time

from wellhead.domain.errors import CredentialsError
from wellhead.domain.oauth import Grant, OAuthClient
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.sources.oauth import oauth2


class ClientTokens:
    """Tokens by client credentials: asked for when needed, and again before they end.

    For sources whose owner types in a client's id and secret. Every process asks for
    itself, since providers let several of these be valid at a time.
    """

    def __init__(
        self,
        provider: OAuthProvider,
        client: OAuthClient,
        *,
        seconds: Callable[[], float] = time,
    ) -> None:
        self._provider = provider
        self._client = client
        self._seconds = seconds  # the wall's: a machine that slept has missed some
        self._grant: Grant | None = None
        self._one_asks = asyncio.Lock()

    async def current(self) -> str:
        async with self._one_asks:
            if self._grant is None or self._grant.is_due(self._now()):
                return await self._next()
            return self._grant.access_token

    async def refresh(self, rejected: str) -> str:
        async with self._one_asks:
            if self._grant is not None and self._grant.access_token != rejected:
                return self._grant.access_token
            return await self._next()

    async def _next(self) -> str:
        try:
            grant = await oauth2.for_client(
                self._provider, self._client, now=self._now()
            )
        except oauth2.ClientRefusedError as error:
            raise CredentialsError(str(error)) from error  # typed in by the owner
        self._grant = grant
        return grant.access_token

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds(), UTC)
