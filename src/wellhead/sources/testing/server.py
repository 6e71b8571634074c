"""A real HTTP server on loopback that speaks for a vendor, and can misbehave.

It has no task of its own, so that whatever still runs after a test is the source's.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import h11
import httpx

from wellhead.sources.testing.faults import Fault, Reply

HOST = "127.0.0.1"
DRIP_SECONDS = 0.05

Respond = Callable[[httpx.Request], Reply]


class VendorServer:
    """Serves while it is open; `transport` leads a source here."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self.transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport()
        self.port = 0

    async def __aenter__(self) -> "VendorServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Conversation(self._respond, self._open), HOST, 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.transport = _Detour(self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.transport.aclose()
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            transport.abort()
        await asyncio.sleep(0)  # so that they hear of it


class _Detour(httpx.AsyncBaseTransport):
    """Connects to the local server; the request keeps the vendor's name."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        local = request.url.copy_with(scheme="http", host=HOST, port=self._port)
        return await self._network.handle_async_request(
            httpx.Request(
                request.method,
                local,
                headers=request.headers,  # with the host that was asked
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        await self._network.aclose()


_Wire = asyncio.Protocol  # of a network, not of types


class _Conversation(_Wire):
    """One connection, and the requests that come on it one after the other."""

    def __init__(self, respond: Respond, open_: set[asyncio.Transport]) -> None:
        self._respond = respond
        self._open = open_
        self._state = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # any
        if self._transport is not None:
            self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._state.receive_data(data)
        with suppress(h11.RemoteProtocolError):
            while (event := self._state.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request):
                    self._head, self._body = event, b""
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                    return
                else:
                    return

    def _answer(self) -> None:
        reply = self._respond(self._asked())
        if reply.fault is Fault.SILENCE:
            return
        if reply.fault is Fault.HANG_UP:
            self._hang_up()
            return
        response, body = reply.response, reply.response.content
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in (b"content-length", b"transfer-encoding")
        ]
        headers.append((b"content-length", str(len(body)).encode()))
        self._send(h11.Response(status_code=response.status_code, headers=headers))
        if reply.fault is None:
            self._send(h11.Data(data=body))
            self._finish()
        elif reply.fault is Fault.DRIP:
            self._drip(body)
        else:
            self._send(h11.Data(data=body[: len(body) // 2]))
            if reply.fault is Fault.CUT_OFF:
                self._hang_up()

    def _asked(self) -> httpx.Request:
        if self._head is None:
            raise RuntimeError("nothing was asked")
        headers = httpx.Headers(list(self._head.headers))
        target = self._head.target.decode("ascii")
        return httpx.Request(
            self._head.method.decode("ascii"),
            f"https://{headers['host']}{target}",
            headers=headers,
            content=self._body,
        )

    def _finish(self) -> None:
        self._send(h11.EndOfMessage())
        if self._state.our_state is h11.MUST_CLOSE:
            self._hang_up()
        else:
            self._state.start_next_cycle()

    def _drip(self, body: bytes) -> None:
        """Send a byte, and the others later."""
        if self._transport is None or self._transport.is_closing():
            return
        if not body:
            self._finish()
            return
        self._send(h11.Data(data=body[:1]))
        asyncio.get_running_loop().call_later(DRIP_SECONDS, self._drip, body[1:])

    def _send(self, event: h11.Event) -> None:
        if self._transport is not None:
            self._transport.write(self._state.send(event) or b"")

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
