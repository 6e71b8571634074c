"""Paths in every form that clients send, and lists page by page."""

import re
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

AfterKey = Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")]
"""The last entity key of the page before."""


class PrefixRouter(APIRouter):
    """Is tried only for paths that begin as its routes do.

    Trying all routes of the application one by one would cost more than most answers.
    """

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        super().__init__(prefix=prefix, **options)
        self._begins = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(prefix)))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._begins.match(path) is None:
            return Match.NONE, {}
        return super().matches(scope)


class OneForm:
    """Reads `//collections/` as `/collections`: clients send both.

    No redirect: some clients follow none. What is mounted at `but` reads its own paths.
    """

    def __init__(self, app: ASGIApp, *, but: str) -> None:
        self._app, self._but = app, f"{but}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if "//" in path:
                path = re.sub("/{2,}", "/", path)
            root = scope.get("root_path", "")
            if path.endswith("/") and not path.startswith(root + self._but):
                path = path.removesuffix("/") or "/"
            scope["path"] = path  # in place: the log reads the route from this scope
        await self._app(scope, receive, send)


def link_next(request: Request, response: Response, **where: str) -> None:
    """Name the next page, keeping the other parameters."""
    given = request.query_params.multi_items()
    asked = [(name, value) for name, value in given if name not in where]
    query = urlencode([*asked, *where.items()])
    response.headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
