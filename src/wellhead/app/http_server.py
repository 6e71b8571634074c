"""The HTTP server: uvicorn, which sleeps while nobody asks anything."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

TICK_SECONDS = 1.0
REQUEST_SECONDS = 5
"""How long requests under way have at the end."""


class HttpServer(uvicorn.Server):
    """Serves an application; `closing` is called when it begins to end."""

    def __init__(self, app: ASGIApp, *, closing: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=REQUEST_SECONDS,
            )
        )
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._leaving.set)

    async def main_loop(self) -> None:
        """Renew the Date header each second, where uvicorn wakes up ten times."""
        while not await self.on_tick(counter=0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing()  # uvicorn waits for requests, not for streams
        await super().shutdown(sockets)
