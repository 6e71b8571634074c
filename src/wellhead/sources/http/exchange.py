"""One request and its answer: addressed, authorised, bounded, redirected with care."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import httpx

from wellhead.domain.errors import ConfigError, CursorInvalidError, RetryableError
from wellhead.sources.http import bodies
from wellhead.sources.http.api import Answer, Api, Call
from wellhead.sources.http.errors import GoneError, RefusedError, TooLargeError
from wellhead.sources.http.judge import trouble
from wellhead.sources.surroundings import Timeouts

MOST_REDIRECTS = 5
MOST_ERROR_BYTES = 64 * 1024
MASK = "***"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_Got = TypeVar("_Got")
Take = Callable[[httpx.Response, str], Awaitable[_Got]]
"""Makes something of a good answer; the text says which request it belongs to."""


class Exchange:
    """Talks to one API through one transport."""

    def __init__(
        self, api: Api, transport: httpx.AsyncBaseTransport, timeouts: Timeouts
    ) -> None:
        self._api = api
        self._base = httpx.URL(api.base_url)
        self._transport = transport
        self._timeouts = timeouts

    async def send(
        self, call: Call, token: str | None, take: Take[_Got], *, within: float
    ) -> _Got:
        """Send a request once. Raises what the answer means, without any secret."""
        url = self._url(call)
        what = f"{call.method} {self._shown(url)}"
        try:
            async with asyncio.timeout(within):
                return await self._follow(call, url, token, take)
        except TimeoutError:
            said = f"did not finish its answer to {what} within {within:g} s"
        except httpx.TimeoutException:
            said = f"was silent for too long at {what}"
        except (httpx.TransportError, httpx.DecodingError, OSError) as error:
            reason = masked(str(error), secrets_in(token)) or type(error).__name__
            said = f"could not be asked for {what}: {reason}"
        # not chained: those errors hold the request, and with it the token
        raise RetryableError(f"{self._api.name} {said}") from None

    async def _follow(
        self, call: Call, url: httpx.URL, token: str | None, take: Take[_Got]
    ) -> _Got:
        method, what = call.method, f"{call.method} {self._shown(url)}"
        for _ in range(MOST_REDIRECTS + 1):
            self._refuse_abroad(url, what)
            request = self._request(call, method, url, token)
            async with self._response(request) as response:
                is_elsewhere = response.status_code in _REDIRECTS
                if not (is_elsewhere and call.follows_redirects):
                    secrets = secrets_in(token, request.headers.get("authorization"))
                    await self._judge(call, response, what, secrets)
                    return await take(response, what)
                target = response.headers.get("location", "")
                if response.status_code == 303:
                    method = "GET"
            url = self._redirected(url, target, what)
        raise RefusedError(
            f"{self._api.name} redirected {what} more than {MOST_REDIRECTS} times",
            status=310,
        )

    def _refuse_abroad(self, url: httpx.URL, what: str) -> None:
        if not self._api.leaves_home and _origin(url) != _origin(self._base):
            raise RefusedError(
                f"{self._api.name} leads from {what} to {url.host or 'nowhere'}: only"
                f" {self._base.host} is asked",
                status=310,
            )

    def _request(
        self, call: Call, method: str, url: httpx.URL, token: str | None
    ) -> httpx.Request:
        is_theirs = _origin(url) == _origin(self._base)
        times = self._timeouts
        request = httpx.Request(
            method,
            url,
            # what a vendor's own headers say is nobody else's business
            headers={
                "user-agent": "Wellhead",
                "accept": "application/json",
                "accept-encoding": "gzip",
                **(self._api.headers if is_theirs else {}),
                **(call.headers if is_theirs else {}),
            },
            json=call.body if method == call.method else None,
            extensions={
                "timeout": {
                    "connect": times.connect,
                    "read": times.silence,
                    "write": times.silence,
                    "pool": None,  # whoever waits for a connection is not stuck
                }
            },
        )
        if token is not None and is_theirs:
            self._api.auth(request, token)
        return request

    @asynccontextmanager
    async def _response(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        response = await self._transport.handle_async_request(request)
        try:
            response.request = request
            yield response
        finally:
            await response.aclose()

    async def _judge(
        self,
        call: Call,
        response: httpx.Response,
        what: str,
        secrets: list[str],
    ) -> None:
        """Raise what an answer means that is no success."""
        if response.status_code < 400:
            return
        body = b""
        with suppress(httpx.TransportError, httpx.DecodingError, TooLargeError):
            body = await bodies.read(response, most_bytes=MOST_ERROR_BYTES, what=what)
        # any bytes become text this way, and bytes again
        text = masked(body.decode("latin-1"), secrets)
        error = trouble(
            self._api,
            Answer(
                status=response.status_code,
                headers=response.headers,
                body=text.encode("latin-1"),
                request=what,
            ),
        )
        if call.holds_cursor and isinstance(error, GoneError) and error.for_good:
            raise CursorInvalidError(str(error))
        if error is not None:
            raise error

    def _url(self, call: Call) -> httpx.URL:
        url = httpx.URL(call.url)
        if url.is_relative_url:
            base = self._api.base_url.rstrip("/")
            url = httpx.URL(f"{base}/{call.url.lstrip('/')}")
        given = {name: value for name, value in call.query.items() if value is not None}
        return url.copy_merge_params(given) if given else url

    def _redirected(self, url: httpx.URL, target: str, what: str) -> httpx.URL:
        try:
            found = url.join(target)
        except (httpx.InvalidURL, ValueError):
            found = httpx.URL("")
        is_safe = found.scheme == "https" or found.scheme == url.scheme == "http"
        if not target or not is_safe:
            raise RefusedError(
                f"{self._api.name} redirected {what} to where nobody may follow",
                status=310,
            )
        return found

    def _shown(self, url: httpx.URL) -> str:
        """Return an address as errors may show it: without its query."""
        if _origin(url) == _origin(self._base):
            return url.path
        return f"{url.scheme}://{url.host}{url.path}"


def origin_of(base_url: str) -> tuple[str, str, int | None]:
    """Return what a token may be sent to; raises ConfigError."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"'{base_url}' is no address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"'{base_url}' is no address that begins with https://")
    return _origin(url)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def secrets_in(*given: str | None) -> list[str]:
    """Return these and what is coded in them, the longest first."""
    words = [word for one in given if one for word in (one, *one.split())]
    return sorted({word for word in words if len(word) > 6}, key=len, reverse=True)


def masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
