"""Routes that answer with and without a slash at the end, and lists page by page."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

AfterKey = Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")]
"""The last entity key of the page before."""


class SlashRouter(APIRouter):
    """Adds each route twice; clients use both forms and some follow no redirect."""

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], **options: Any
    ) -> None:
        super().add_api_route(path, endpoint, **options)
        hidden = {**options, "include_in_schema": False}
        super().add_api_route(f"{path}/", endpoint, **hidden)


def link_next(request: Request, response: Response, **where: str) -> None:
    """Name the next page, keeping the other parameters."""
    url = request.url.include_query_params(**where)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
