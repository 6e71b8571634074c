"""The outermost layer: each request gets an id, headers, and one line in the log."""

import re
import time
from random import getrandbits
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from wellhead.api.around.headers import value_of
from wellhead.api.around.rates import RATE, headers_of

REQUEST_ID = "request_id"
"""Where the state of a request holds its id."""
_USABLE = re.compile(rb"[!-~]{1,128}")
_LONGEST_PATH = 200
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_NO_STORING = (b"cache-control", b"no-store")

log = structlog.get_logger("wellhead.api.requests")


class Requests:
    """Names each request, and says at its end what was asked and answered.

    Never what a body, a header or a query held: they may hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        request_id = state[REQUEST_ID] = _given_id(scope) or _new_id()
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message, state, request_id)
            await send(message)

        started = time.perf_counter()
        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            _tell(scope, status, time.perf_counter() - started)
            reset_contextvars(**bound)


def _new_id() -> str:
    # it keeps no secret, and asking the system for chance costs more than all of it
    return f"{getrandbits(128):032x}"


def request_id_of(scope: Scope) -> str:
    """Return the id that this layer gave the request."""
    return str(scope["state"][REQUEST_ID])


def route_of(scope: Scope) -> str | None:
    """Return the path as the route spells it, without what it was asked for."""
    route = getattr(scope.get("route"), "path", None)
    return None if route is None else str(route)


def _path_of(scope: Scope) -> str:
    """Return the path as it was sent, in which nothing can command a terminal."""
    sent: bytes = scope.get("raw_path") or b""
    return sent[:_LONGEST_PATH].decode("ascii", "backslashreplace")


def _given_id(scope: Scope) -> str | None:
    """Return what the caller calls this request, if that is fit for logs."""
    value = value_of(scope, b"x-request-id")
    if value is None or _USABLE.fullmatch(value) is None:
        return None
    return value.decode("ascii")


def _with_headers(
    message: Message, state: dict[str, Any], request_id: str
) -> list[tuple[bytes, bytes]]:
    headers = [
        *message.get("headers", ()),
        (b"x-request-id", request_id.encode("ascii")),
        _NO_SNIFFING,
    ]
    if "organization_id" in state:  # what only the holder of a key may see
        headers += headers_of(state.get(RATE))
        if not any(name == b"cache-control" for name, _ in headers):
            headers.append(_NO_STORING)
    return headers


def _tell(scope: Scope, status: int | None, seconds: float) -> None:
    """Write the line; `status` is missing where the process ended before the answer."""
    route = route_of(scope)
    where = {"path": _path_of(scope)} if route is None else {}
    organization_id = scope["state"].get("organization_id")
    is_probe = route is not None and route.startswith("/health")
    (log.debug if is_probe else log.info)(
        "request",
        method=scope["method"],
        route=route,
        **where,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        organization_id=None if organization_id is None else str(organization_id),
    )
