"""OAuth 1.0a: request tokens, verifiers, and requests signed with HMAC-SHA1."""

from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs

import httpx
from oauthlib.oauth1 import Client
from pydantic import Field
from pydantic.config import JsonDict

from wellhead.domain.errors import RetryableError
from wellhead.domain.oauth import Grant, OAuthClient, ended
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.sources.base import Config
from wellhead.sources.oauth.oauth2 import ClientRefusedError, with_query
from wellhead.sources.oauth.replies import ask

_SECRET: JsonDict = {"is_secret": True}
_FORM = "application/x-www-form-urlencoded"


class OAuth1Credentials(Config):
    """What a source that was connected with OAuth 1 gets."""

    consumer_key: str
    consumer_secret: str = Field(json_schema_extra=_SECRET)
    oauth_token: str = Field(json_schema_extra=_SECRET)
    oauth_token_secret: str = Field(json_schema_extra=_SECRET)

    def auth(self) -> httpx.Auth:
        """Return what signs each request of an httpx client."""
        return OAuth1Auth(
            Client(
                self.consumer_key,
                self.consumer_secret,
                self.oauth_token,
                self.oauth_token_secret,
            )
        )


class OAuth1Auth(httpx.Auth):
    """Signs requests as they are sent; a form is part of what is signed."""

    requires_request_body = True

    def __init__(self, client: Any) -> None:
        self._client = client

    def auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        kind = request.headers.get("content-type", "")
        is_form = kind.startswith(_FORM) and request.content
        _, headers, _ = self._client.sign(
            str(request.url),
            request.method,
            body=request.content.decode() if is_form else None,
            headers={"Content-Type": _FORM} if is_form else {},
        )
        request.headers["Authorization"] = headers["Authorization"]
        yield request


async def request_token(
    provider: OAuthProvider, client: OAuthClient, *, back_to: str
) -> tuple[str, str]:
    """Begin: return a request token and its secret."""
    signer = Client(client.id, client.secret, callback_uri=back_to)
    answer = await _post(provider.request_token_url or "", signer)
    return answer["oauth_token"], answer["oauth_token_secret"]


def authorization_url(provider: OAuthProvider, token: str) -> str:
    """Return where the owner is asked."""
    return with_query(provider.authorize_url, {"oauth_token": token, **provider.extra})


async def exchange(
    provider: OAuthProvider, client: OAuthClient, given: dict[str, str]
) -> Grant:
    """Give `token`, its `secret` and the `verifier` that came back; get a grant."""
    signer = Client(
        client.id,
        client.secret,
        given["token"],
        given["secret"],
        verifier=given["verifier"],
    )
    answer = await _post(provider.token_url, signer)
    told = {"oauth_token", "oauth_token_secret"}
    return Grant(
        access_token=answer["oauth_token"],
        token_secret=answer["oauth_token_secret"],
        more={name: value for name, value in answer.items() if name not in told},
    )


async def _post(url: str, signer: Any) -> dict[str, str]:
    _, headers, _ = signer.sign(url, "POST")
    response = await ask(httpx.Request("POST", url, headers=headers))
    host = response.request.url.host
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise ClientRefusedError(
            f"{host} refused: the consumer key or its secret is not what it knows, or "
            "the time on this machine is wrong"
        )
    if not response.is_success:
        raise ended(f"{host} refused: {response.status_code}")
    answer = {name: one[0] for name, one in parse_qs(response.text).items()}
    if not {"oauth_token", "oauth_token_secret"} <= answer.keys():
        raise RetryableError(f"{host} answered without a token")
    return answer
