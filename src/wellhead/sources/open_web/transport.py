"""The way to servers on the internet, which leads to none that is not on it.

The address that was checked is the one connected to, so a name that changes its meaning
in between gains nothing, and neither does a redirect.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx

from wellhead.domain.addresses import is_public
from wellhead.domain.errors import EntityError

SETTING = "WELLHEAD_SOURCES_ALLOW_PRIVATE"
MOST_ADDRESSES = 3
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


class PrivateAddressError(EntityError):
    """The address may not be asked: it is not on the internet."""


class OpenTransport(httpx.AsyncBaseTransport):
    """Each host has connections of its own: one certificate never stands for two."""

    def __init__(self, *, allow_private: bool, lookup: Lookup | None = None) -> None:
        self._allow_private = allow_private
        self._lookup = lookup or _look_up
        self._by_host: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        if host not in self._by_host:
            # the transport alone: no cookies, no proxies
            self._by_host[host] = httpx.AsyncHTTPTransport()
        transport = self._by_host[host]
        if self._allow_private:
            return await transport.handle_async_request(request)
        *first, last = await self._addresses(host, request.url)
        for address in first:
            try:
                return await _send(transport, request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _send(transport, request, last)

    async def aclose(self) -> None:
        while self._by_host:
            _, transport = self._by_host.popitem()
            await transport.aclose()

    async def _addresses(self, host: str, url: httpx.URL) -> Sequence[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"the name '{host}' is not known") from error
        if not found or not all(map(is_public, found)):
            raise PrivateAddressError(
                f"'{host}' is not on the internet; to read what is on your own "
                f"network, set {SETTING}=true on the server"
            )
        return found[:MOST_ADDRESSES]


async def _send(
    transport: httpx.AsyncHTTPTransport, request: httpx.Request, address: str
) -> httpx.Response:
    """Connect to this address; host header and certificate stay the name's."""
    pinned = httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={
            **request.extensions,
            "sni_hostname": request.url.raw_host.decode("ascii"),
        },
    )
    return await transport.handle_async_request(pinned)


async def _look_up(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    # a name in brackets is an address already
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
