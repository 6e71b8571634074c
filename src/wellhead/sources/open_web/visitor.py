"""A guest of web servers: says who it is, and asks each no faster than it likes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TypeVar

import httpx

from wellhead.domain.ports import RateLimiter
from wellhead.sources.http import Answer, Api, ApiClient, Call, RefusedError
from wellhead.sources.http import bodies as body_reading
from wellhead.sources.http.exchange import Take
from wellhead.sources.http.limits import LocalLimiter
from wellhead.sources.open_web.addresses import normal, origin
from wellhead.sources.open_web.transport import OpenTransport
from wellhead.sources.rate_limits import RateLimit, RateLimitLevel
from wellhead.sources.surroundings import Surroundings

ROBOT = "Wellhead"
"""How robots.txt names us."""
USER_AGENT = f"{ROBOT}/{version('wellhead')} (+https://github.com/wellhead/wellhead)"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
POLITE = RateLimit(requests=300, seconds=60, level=RateLimitLevel.CONNECTION)
"""What a guest asks of all servers together: sources that visit declare it."""
_Got = TypeVar("_Got")


@dataclass(slots=True)
class Pace:
    """Turns under the limit of all, and of one server no faster than it asked for."""

    limiter: RateLimiter
    seconds: float = 0.0
    _next_at: float = field(default=0.0, init=False)

    async def turn(self) -> float:
        now = asyncio.get_running_loop().time()
        wait = max(await self.limiter.turn(), self._next_at - now)
        self._next_at = now + wait + self.seconds
        return wait

    async def hold(self, seconds: float) -> None:
        await self.limiter.hold(seconds)


class Visitor:
    """Use one for each source, and close it. Errors are those of `ApiClient`."""

    def __init__(self, around: Surroundings) -> None:
        self._own = OpenTransport(allow_private=around.allow_private)
        self._around = replace(around, transport=around.transport or self._own)
        self._limiter = around.limiter or LocalLimiter(POLITE)
        self._paces: dict[str, Pace] = {}
        self._clients: dict[str, ApiClient] = {}

    def slow_down(self, url: str, seconds: float) -> None:
        """Leave so many seconds between requests to the server of this address."""
        self._client(url)
        self._paces[origin(url)].seconds = seconds

    def client(self, url: str) -> ApiClient:
        """Return what asks the server of this address."""
        return self._client(url)

    async def take(
        self, url: str, take: Take[_Got], headers: Mapping[str, str] | None = None
    ) -> _Got:
        """Ask once; a redirect is an answer like any other."""
        call = Call(url=url, headers=headers or {}, follows_redirects=False)
        return await self._client(url).take(call, take)

    async def follow(
        self, url: str, *, most_bytes: int, headers: Mapping[str, str] | None = None
    ) -> tuple[str, Answer]:
        """Return the answer, and the address that gave it after redirects.

        `headers` go to the first address and to those of the same server.
        """

        async def read(response: httpx.Response, what: str) -> Answer:
            return Answer(
                status=response.status_code,
                headers=response.headers,
                body=await body_reading.read(
                    response, most_bytes=most_bytes, what=what
                ),
                request=what,
            )

        at = url
        for _ in range(MOST_REDIRECTS + 1):
            given = headers if origin(at) == origin(url) else None
            answer = await self.take(at, read, given)
            if answer.status not in REDIRECTS:
                return at, answer
            target = normal(answer.headers.get("location", ""), at)
            if target is None or (
                at.startswith("https:") > target.startswith("https:")
            ):
                raise RefusedError(
                    f"'{at}' redirects to where nobody may follow", status=310
                )
            at = target
        raise RefusedError(
            f"'{url}' redirects more than {MOST_REDIRECTS} times", status=310
        )

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        await self._own.aclose()

    def _client(self, url: str) -> ApiClient:
        base = origin(url)
        if base not in self._clients:
            pace = self._paces.setdefault(base, Pace(self._limiter))
            api = Api(
                name=base.partition("//")[2],
                base_url=base,
                headers={
                    "user-agent": USER_AGENT,
                    "accept": "text/html, application/xhtml+xml, */*;q=0.8",
                },
                at_once=2,  # one that reads pages, one that opens files
            )
            self._clients[base] = ApiClient(
                api, surroundings=replace(self._around, limiter=pace)
            )
        return self._clients[base]


def visited(headers: httpx.Headers) -> dict[str, str]:
    """Return headers that ask for this only if it is another one by now."""
    asked = {
        "if-none-match": headers.get("etag", ""),
        "if-modified-since": headers.get("last-modified", ""),
    }
    return {name: value for name, value in asked.items() if value}
