"""A browser as tests need it: keeps cookies, follows forms, runs no script."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
from tests.api.conftest import client_of

TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


@dataclass
class Browser:
    """Someone at the console."""

    client: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(f"/console{path}", **more)

    async def token(self, path: str = "/sign-in") -> str:
        found = TOKEN.search((await self.get(path)).text)
        assert found is not None, f"{path} has no form"
        return found[1]

    async def post(self, path: str, *, page: str = "", **fields: Any) -> httpx.Response:
        """Send a form as the page of that path would."""
        token = await self.token(page or path)
        data = {"form_token": token, **fields}
        return await self.client.post(f"/console{path}", data=data)

    async def sign_in(self, key: str) -> httpx.Response:
        return await self.post("/sign-in", key=key)

    async def follow(self, response: httpx.Response) -> httpx.Response:
        assert response.status_code == 303, response.text
        return await self.client.get(response.headers["location"])


@asynccontextmanager
async def browser_of(app: Any, key: str | None = None) -> AsyncIterator[Browser]:
    async with client_of(app, accept="text/html") as client:
        browser = Browser(client)
        if key is not None:
            signed_in = await browser.sign_in(key)
            assert signed_in.status_code == 303, signed_in.text
        yield browser


def text_of(response: httpx.Response) -> str:
    """Return what people read, in one line."""
    plain = re.sub(r"<(style|script).*?</\1>", " ", response.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", plain)).split())
