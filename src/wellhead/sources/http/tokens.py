"""Tokens: those that never change, and renewing those that do, once for all."""

import asyncio

from wellhead.domain.ports import TokenProvider


class StaticToken:
    """A token that its owner typed in."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __repr__(self) -> str:
        return "StaticToken(***)"

    async def current(self) -> str:
        return self._token

    async def refresh(self, rejected: str) -> str:  # noqa: ARG002  # there is no other
        return self._token


class Renewal:
    """Asks for a new token once, however many requests were refused at a time."""

    def __init__(self, tokens: TokenProvider) -> None:
        self._tokens = tokens
        self._lock = asyncio.Lock()

    async def current(self) -> str:
        return await self._tokens.current()

    async def instead_of(self, rejected: str) -> str | None:
        """Return another token than this one, None if there is none."""
        async with self._lock:
            known = await self._tokens.current()
            if known != rejected:
                return known  # somebody else was here before
            fresh = await self._tokens.refresh(rejected)
            return fresh if fresh != rejected else None
