"""Routes that answer with and without a slash at the end, and lists page by page."""

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

AfterKey = Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")]
"""The last entity key of the page before."""


class SlashRouter(APIRouter):
    """Adds each route twice; clients use both forms and some follow no redirect.

    Its routes are tried only for paths that begin as they do: trying all of the
    application's one by one would cost more than most answers.
    """

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        super().__init__(prefix=prefix, **options)
        self._begins = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(prefix)))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._begins.match(path) is None:
            return Match.NONE, {}
        return super().matches(scope)

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], **options: Any
    ) -> None:
        super().add_api_route(path, endpoint, **options)
        hidden = {**options, "include_in_schema": False}
        super().add_api_route(f"{path}/", endpoint, **hidden)


class OneSlash:
    """Reads `//collections` as `/collections`: base URLs may end in a slash, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "//" in scope["path"]:
            scope = {**scope, "path": re.sub("/{2,}", "/", scope["path"])}
        await self._app(scope, receive, send)


def link_next(request: Request, response: Response, **where: str) -> None:
    """Name the next page, keeping the other parameters."""
    given = request.query_params.multi_items()
    asked = [(name, value) for name, value in given if name not in where]
    query = urlencode([*asked, *where.items()])
    response.headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
