"""Routes that answer with and without a slash at the end."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter


class SlashRouter(APIRouter):
    """Adds each route twice; clients use both forms and some follow no redirect."""

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], **options: Any
    ) -> None:
        super().add_api_route(path, endpoint, **options)
        hidden = {**options, "include_in_schema": False}
        super().add_api_route(f"{path}/", endpoint, **hidden)
