"""Calls to subscribers' servers: public addresses only, bounded in time and size."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import httpx

from wellhead.domain.addresses import is_public, wrong_with
from wellhead.domain.errors import WellheadError
from wellhead.domain.webhooks import WebhookPolicy

MOST_RESPONSE_BYTES = 1024
CONNECT_SECONDS = 10.0
"""For one address; a name may have several."""
BODY_SECONDS = 2.0
"""How long to wait for the text of an answer whose status is known."""
_LOOKUP_THREADS = 16
_MOST_ADDRESSES = 3

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


class EndpointError(WellheadError):
    """The endpoint may not be called, or did not answer; `refused` tells which."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class NoAnswerInTimeError(EndpointError):
    """The deadline passed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and the beginning of the body."""

    status: int
    text: str


class Caller:
    """Calls endpoints. Redirects, cookies and proxies of the environment are ignored.

    The address that was checked is the one connected to, so a name that changes its
    meaning in between gains nothing. No connection is used twice.
    """

    def __init__(self, policy: WebhookPolicy, *, lookup: Lookup | None = None) -> None:
        self._policy = policy
        # names that resolve slowly must not take the threads of anybody else
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, "webhook-names")
        self._lookup = lookup or self._resolve
        # it knows no proxies; of the environment it takes certificates only
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(
        self,
        method: str,
        url: str,
        *,
        within: float,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Return what the endpoint answers within so many seconds in all.

        Raises EndpointError.
        """
        more = {"user-agent": "Wellhead-Webhooks", "accept-encoding": "identity"}
        try:
            request = httpx.Request(
                method, url, headers={**more, **(headers or {})}, content=content
            )
            async with asyncio.timeout(within):
                addresses = await self.addresses(url)
                response = await self._connect(request, addresses)
                return Answer(response.status_code, await _beginning(response))
        except TimeoutError as error:
            raise NoAnswerInTimeError(f"No answer within {within:g} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise EndpointError(f"No answer: {said}") from error

    async def addresses(self, url: str) -> Sequence[str]:
        """Look up where this is, and whether that may be called.

        Raises EndpointError, `refused` if it may not.
        """
        wrong = wrong_with(url, any_port=self._policy.allow_private)
        if wrong is not None:
            raise EndpointError(f"This URL cannot be called: {wrong}", refused=True)
        parsed = httpx.URL(url)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        try:
            found = await self._lookup(parsed.raw_host.decode("ascii"), port)
        except (OSError, ValueError) as error:
            raise EndpointError("No answer: the host's name is not known") from error
        if not self._policy.allow_private and not all(map(is_public, found)):
            raise EndpointError(
                "This URL leads to an address that is not on the internet. To allow "
                "that, set WELLHEAD_WEBHOOKS_ALLOW_PRIVATE=true on the server",
                refused=True,
            )
        return found

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))

        return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)

    async def _connect(
        self, request: httpx.Request, addresses: Sequence[str]
    ) -> httpx.Response:
        *first, last = addresses[:_MOST_ADDRESSES]
        for address in first:
            try:
                return await self._send(request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, last)

    async def _send(self, request: httpx.Request, address: str) -> httpx.Response:
        """Connect to this address; host header and certificate stay the name's."""
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            content=request.content,
            extensions={
                "sni_hostname": request.url.raw_host.decode("ascii"),
                "timeout": {"connect": CONNECT_SECONDS},
            },
        )
        return await self._transport.handle_async_request(pinned)


async def _beginning(response: httpx.Response) -> str:
    """Read a little of the body; the status stands whatever becomes of it."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for block in response.aiter_raw():
                body += block
                if len(body) >= MOST_RESPONSE_BYTES:
                    break
    except (TimeoutError, httpx.HTTPError):
        pass
    finally:
        await response.aclose()
    text = bytes(body[:MOST_RESPONSE_BYTES]).decode(errors="replace")
    return text.replace("\x00", "\ufffd")
