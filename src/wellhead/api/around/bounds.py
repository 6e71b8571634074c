"""The layer that ends what is too large, too slow or broken."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wellhead.api.around.headers import value_of

Unexpected = Callable[[Scope, Exception], Response]
"""Answers for an error that nobody expected."""
LARGEST_BODY_BYTES = 10 * 1024 * 1024
LONGEST_SECONDS = 60
UNTIMED = "/search/agentic"
"""A path with this in it may take as long as it needs."""
_EVENTS = b"text/event-stream"
_LONGEST_NUMBER = 18

log = structlog.get_logger(__name__)


class Bounds:
    """Refuses large bodies, announced or not, and answers for whatever goes wrong.

    A request that takes too long is cancelled, and with it what it does in the
    database. Streams of events end when they want.
    """

    def __init__(self, app: ASGIApp, unexpected: Unexpected) -> None:
        self._app = app
        self._unexpected = unexpected
        self._most_bytes = LARGEST_BODY_BYTES
        self._too_large = f"The request body is larger than {LARGEST_BODY_BYTES} bytes"
        self._most_seconds = LONGEST_SECONDS
        self._too_slow = f"Request timeout after {LONGEST_SECONDS} seconds"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._announces_too_much(scope):
            await _refusal(413, self._too_large)(scope, receive, send)
            return
        seconds = None if UNTIMED in scope["path"] else self._most_seconds
        deadline = asyncio.timeout(seconds)
        has_begun = False

        async def send_and_look(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                if _is_stream_of_events(message):
                    deadline.reschedule(None)
            await send(message)

        try:
            async with deadline:
                await self._app(scope, self._limited(receive), send_and_look)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is answered
            answer = self._answer(scope, error, is_late=deadline.expired())
            if has_begun:  # nothing can be said any more: the server cuts it off
                return
            await answer(scope, receive, send)

    def _announces_too_much(self, scope: Scope) -> bool:
        announced = value_of(scope, b"content-length")
        if announced is None or not announced.isdigit():
            return False
        return len(announced) > _LONGEST_NUMBER or int(announced) > self._most_bytes

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return receive_within_limit

    def _answer(self, scope: Scope, error: Exception, *, is_late: bool) -> Response:
        if is_late and isinstance(error, TimeoutError):
            log.warning("request took too long", seconds=self._most_seconds)
            return _refusal(504, self._too_slow)
        return self._unexpected(scope, error)


def _is_stream_of_events(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(_EVENTS)
        for name, value in message.get("headers", ())
    )


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"detail": message}, status_code=status)
