"""Sources that read the API behind the tests' authorization server."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
from tests.authorization_server import AuthorizationServer

from wellhead.domain.connections import AuthMethod
from wellhead.domain.entities import Entity
from wellhead.domain.errors import CredentialsError, RetryableError
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.sources.base import Config, FederatedSource, Source, SourceInfo
from wellhead.sources.oauth.oauth1 import OAuth1Credentials

OAUTH = (AuthMethod.OAUTH_BROWSER, AuthMethod.OAUTH_TOKEN, AuthMethod.OAUTH_BYOC)


class Token(Config):
    access_token: str


class Tenant(Config):
    subdomain: str = ""


def info(short_name: str, provider: OAuthProvider) -> SourceInfo:
    return SourceInfo(
        short_name=short_name,
        name="Notes",
        description="Notes behind an authorization server.",
        entity_types=("Note",),
        auth_methods=OAUTH,
        oauth_type=provider.oauth_type,
        oauth=provider,
    )


async def listed(answer: httpx.Response) -> AsyncIterator[Item]:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise CredentialsError("the notes' API answered 401")
    if not answer.is_success:
        raise RetryableError(f"the notes' API answered {answer.status_code}")
    yield ScopeStart()
    for note in answer.json():
        ident = note["id"]
        yield Upsert(
            Entity(type="Note", source_id=ident, name=ident, text=note["text"])
        )
    yield ScopeEnd()


async def notes_of(url: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient() as http:
        return await http.get(f"{url}/notes", headers=headers)


def notes_source(
    server: AuthorizationServer, short_name: str = "tracker", **facts: Any
) -> type[Source]:
    """Return a source that sends its current token, and another one after a 401."""
    url = server.url

    class NotesSource(Source):
        info: ClassVar[SourceInfo] = info(short_name, server.provider(**facts))
        config_model = Tenant
        credentials_model = Token

        async def check(self) -> None:
            async for _ in self.read(None):
                pass

        async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            token = await self.tokens.current()
            answer = await notes_of(url, token)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                answer = await notes_of(url, await self.tokens.refresh(token))
            async for item in listed(answer):
                yield item

    return NotesSource


def live_source(server: AuthorizationServer) -> type[Source]:
    """Return a source that is asked at every search, with its current token."""
    url = server.url

    class LiveSource(FederatedSource):
        info: ClassVar[SourceInfo] = info("live", server.provider())
        credentials_model = Token

        async def check(self) -> None: ...

        async def search(self, query: str, limit: int) -> list[Entity]:
            token = await self.tokens.current()
            answer = await notes_of(url, token)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                answer = await notes_of(url, await self.tokens.refresh(token))
            return [
                item.entity async for item in listed(answer) if isinstance(item, Upsert)
            ]

    return LiveSource


def signed_source(server: AuthorizationServer) -> type[Source]:
    """Return a source that signs with OAuth 1."""
    url = server.url

    class SignedSource(Source):
        info: ClassVar[SourceInfo] = info("signed", server.provider1())
        credentials_model = OAuth1Credentials
        credentials: OAuth1Credentials

        async def check(self) -> None:
            async for _ in self.read(None):
                pass

        async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            async with httpx.AsyncClient(auth=self.credentials.auth()) as http:
                answer = await http.get(f"{url}/oauth1/notes")
            async for item in listed(answer):
                yield item

    return SignedSource
