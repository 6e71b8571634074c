"""What is checked and added around every route: sizes, origins, headers."""

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_ORIGINS = (
    "http://localhost:5173",
    "http://localhost:5174",
    "http://localhost:8080",
)
_UNLIMITED = "9999"


class RateLimitHeaders:
    """Tells authenticated callers how much they may still ask: limits are off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and "organization_id" in state:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Limit"] = _UNLIMITED
                headers["RateLimit-Remaining"] = _UNLIMITED
                headers["RateLimit-Reset"] = str(int(time.time()))
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses bodies that are too large, announced or not."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._refusal = f"The request body is larger than {most_bytes} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._most_bytes:
            refused = JSONResponse({"detail": self._refusal}, status_code=413)
            await refused(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise HTTPException(413, self._refusal)
            return message

        await self._app(scope, receive_within_limit, send)


class OriginGuard(CORSMiddleware):
    """Lets known web pages ask, and refuses the others with 403 instead of 400."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == 400:
            response.status_code = 403
        return response
