"""Which web pages may ask from a browser."""

import re

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wellhead.api.around.headers import value_of

KNOWN_ORIGINS = (
    "http://localhost:5173",
    "http://localhost:5174",
    "http://localhost:8080",
)
OPEN_TO_ALL = "/connect/"
"""What a widget inside anybody's page asks, with a token of its own."""
NOT_OPEN = "/connect/sessions"
"""Where such tokens are made, with an API key: never in a browser."""
EXPOSED = (
    "Link",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
    "X-API-Deprecation",
    "X-Feature-Removed",
    "X-Search-Fallback",
    "X-Total-Count",
)


class Origins:
    """Lets known pages ask, under `/connect/` all; refuses others' preflights."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._known = _Cors(app, KNOWN_ORIGINS)
        self._all = _Cors(app, ["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or value_of(scope, b"origin") is None:
            await self._app(scope, receive, send)  # no page asks
            return
        path = re.sub("/{2,}", "/", scope["path"])  # as the routes will read it
        is_open = path.startswith(OPEN_TO_ALL) and path.rstrip("/") != NOT_OPEN
        await (self._all if is_open else self._known)(scope, receive, send)


class _Cors(CORSMiddleware):
    """Refuses with 403 instead of 400, also an OPTIONS that asks for no method."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...] | list[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"],
            allow_headers=["*"],
            allow_credentials=True,
            expose_headers=EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope)["origin"]
        if scope["method"] == "OPTIONS" and not self.is_allowed_origin(origin):
            refused = PlainTextResponse("Disallowed CORS origin", status_code=403)
            await refused(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == 400:
            response.status_code = 403
        return response
