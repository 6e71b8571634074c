"""The client of a vendor's API: takes turns, waits, renews tokens, and tries again.

Every answer that is no success becomes an error of `wellhead.domain.errors` or of
`wellhead.sources.http.errors`, named by what should happen next.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import stamina

from wellhead.domain.errors import CredentialsError, RetryableError
from wellhead.domain.ports import RateLimiter, TokenProvider
from wellhead.sources.http import bodies
from wellhead.sources.http.api import Answer, Api, Call
from wellhead.sources.http.exchange import Exchange, Take, origin_of
from wellhead.sources.http.judge import as_json
from wellhead.sources.http.tokens import Renewal
from wellhead.sources.surroundings import Surroundings

TRIES = 5
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 20.0
SHORTEST_WAIT_SECONDS = 1.0
LONGEST_POLITE_SECONDS = 60.0
WORTH_TELLING_SECONDS = 1.0
"""Shorter waits for a turn are part of ordinary work."""
_Got = TypeVar("_Got")


class ApiClient:
    """Use one for each source, and close it."""

    def __init__(
        self,
        api: Api,
        *,
        tokens: TokenProvider | None = None,
        limiter: RateLimiter | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """`limiter` is for where the surroundings lend none."""
        origin_of(api.base_url)
        around = surroundings or Surroundings()
        # the transport alone: no cookies, no log of whole addresses, no proxies
        self._transport = around.transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=api.at_once)
        )
        self.api = api
        self._around = around
        self._renewal = None if tokens is None else Renewal(tokens)
        self._limiter = around.limiter or limiter
        self._slots = asyncio.Semaphore(api.at_once)
        self._exchange = Exchange(api, self._transport, around.timeouts)

    async def get_json(self, url: str, **query: str | int | bool | None) -> Any:
        """Return what is at a path below the base URL."""
        _, found = await self.json(Call(url=url, query=query))
        return found

    async def json(self, call: Call) -> tuple[Answer, Any]:
        """Return the answer and its JSON; of a 304, which has none, None."""

        async def ask() -> tuple[Answer, Any]:
            answer = await self._ask(call, self._whole)
            return answer, None if answer.status == 304 else as_json(self.api, answer)

        return await _persist(ask)

    async def answer(self, call: Call) -> Answer:
        """Return an answer whose body can be anything."""

        async def ask() -> Answer:
            return await self._ask(call, self._whole)

        return await _persist(ask)

    async def take(self, call: Call, take: Take[_Got]) -> _Got:
        """Return what `take` makes of the answer; it need not read the body."""

        async def ask() -> _Got:
            return await self._ask(call, take)

        return await _persist(ask)

    async def download(self, call: Call, *, most_bytes: int) -> Path:
        """Return a file with the body; it is removed when its path is let go of."""

        async def save(response: httpx.Response, what: str) -> Path:
            return await bodies.save(response, most_bytes=most_bytes, what=what)

        async def ask() -> Path:
            return await self._ask(call, save, within=self._around.timeouts.file)

        return await _persist(ask)

    async def token(self) -> str | None:
        """Return what requests are sent with now, None if with nothing."""
        return None if self._renewal is None else await self._renewal.current() or None

    async def close(self) -> None:
        """Close connections; a transport that was lent stays open."""
        if self._around.transport is None:
            await self._transport.aclose()

    async def _whole(self, response: httpx.Response, what: str) -> Answer:
        most = self.api.largest_answer
        answer = Answer(
            status=response.status_code,
            headers=response.headers,
            body=await bodies.read(response, most_bytes=most, what=what),
            request=what,
        )
        complaint = self.api.complaint(answer)
        if complaint is not None:
            raise complaint
        return answer

    async def _ask(
        self, call: Call, take: Take[_Got], *, within: float | None = None
    ) -> _Got:
        """Ask until the vendor is not busy and the token is not an old one."""
        token = await self.token()
        waits, has_renewed = 0, False
        seconds = self._around.timeouts.answer if within is None else within
        while True:
            await self._turn()
            try:
                async with self._slots:
                    return await self._exchange.send(call, token, take, within=seconds)
            except RetryableError as error:
                if error.after is None:
                    raise
                await self._wait(error, waits)
                waits += 1
            except CredentialsError as refused:
                fresh = None if has_renewed else await self._fresh(token, refused)
                if fresh is None:
                    raise
                token, has_renewed = fresh, True

    async def _fresh(self, token: str | None, refused: CredentialsError) -> str | None:
        if token is None or self._renewal is None:
            return None
        try:
            return await self._renewal.instead_of(token)
        except CredentialsError as ended:
            # the vendor's words tell a mistyped token from one that has ended
            raise CredentialsError(
                f"{ended}: {refused}", category=ended.category
            ) from None

    async def _turn(self) -> None:
        """Wait until the limit that all share has room for one more request."""
        seconds = 0.0 if self._limiter is None else await self._limiter.turn()
        if seconds > self._around.longest_wait_seconds:
            raise RetryableError(
                f"{self.api.name}'s rate limit is used up", after=seconds
            )
        await self._sleep(seconds)

    async def _wait(self, error: RetryableError, waits: int) -> None:
        """Wait as the vendor asked; longer if it asks again and again."""
        polite = min(SHORTEST_WAIT_SECONDS * 2**waits, LONGEST_POLITE_SECONDS)
        seconds = max(error.after or 0.0, polite)
        if self._limiter is not None:
            await self._limiter.hold(seconds)
        if seconds > self._around.longest_wait_seconds:
            raise RetryableError(str(error), after=seconds) from error
        await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        if seconds >= WORTH_TELLING_SECONDS:
            async with self._around.waits.wait(seconds):
                await self._around.sleep(seconds)
        elif seconds > 0:
            await self._around.sleep(seconds)


async def _persist(ask: Callable[[], Awaitable[_Got]]) -> _Got:
    """Try again what may go well another time; waits that were asked for are over."""
    async for attempt in stamina.retry_context(
        on=_is_worth_another_try,
        attempts=TRIES,
        timeout=None,
        wait_initial=FIRST_BACKOFF_SECONDS,
        wait_max=LONGEST_BACKOFF_SECONDS,
    ):
        with attempt:
            return await ask()
    raise AssertionError("a retry ends with a result or an error")


def _is_worth_another_try(error: Exception) -> bool:
    return isinstance(error, RetryableError) and error.after is None
