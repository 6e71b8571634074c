"""OAuth 2: the authorization URL with PKCE, and what is asked where tokens are."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx

from wellhead.domain.errors import JobError, RetryableError
from wellhead.domain.oauth import Grant, OAuthClient, ended, renew_at
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.sources.oauth.replies import ask, named

_CLIENT_REFUSED = frozenset({"invalid_client", "unauthorized_client", "bad_client_id"})
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_LONGEST_LIFE = timedelta(days=365 * 100).total_seconds()


class ClientRefusedError(JobError):
    """The provider does not know the client, or its secret is another one."""


def authorization_url(
    provider: OAuthProvider,
    client: OAuthClient,
    *,
    back_to: str,
    state: str,
    proof: str,
) -> str:
    """Return where the owner is asked.

    `proof` is the PKCE verifier: only who knows it can use the code that comes back.
    """
    asked = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": back_to,
        "state": state,
        **provider.extra,
    }
    scopes = provider.scopes if client.scopes is None else client.scopes
    if scopes:
        asked[provider.scope_parameter] = provider.scope_separator.join(scopes)
    if provider.uses_pkce:
        asked |= {"code_challenge": _challenge(proof), "code_challenge_method": "S256"}
    return with_query(provider.authorize_url, asked)


def with_query(url: str, more: Mapping[str, str]) -> str:
    """Return the URL with these parameters after those that it has."""
    parts = urlsplit(url)
    query = "&".join(one for one in (parts.query, urlencode(more)) if one)
    return urlunsplit(parts._replace(query=query))


def _challenge(proof: str) -> str:
    digest = hashlib.sha256(proof.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def exchange(
    provider: OAuthProvider,
    client: OAuthClient,
    form: Mapping[str, str],
    *,
    now: datetime,
) -> Grant:
    """Give the code that came back, and get a grant.

    `form` has `code`, `redirect_uri` and, where PKCE is used, `code_verifier`.
    """
    asked = {"grant_type": "authorization_code", **form}
    return await _granted(provider, client, asked, now=now)


async def renew(
    provider: OAuthProvider, client: OAuthClient, grant: Grant, *, now: datetime
) -> Grant:
    """Get the next access token, and the next refresh token where those rotate.

    Raises CredentialsError when the owner has to give consent again.
    """
    if grant.refresh_token is None:
        raise ended("the access has ended, and the provider gave no refresh token")
    asked = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    new = await _granted(provider, client, asked, now=now)
    return replace(
        new,
        refresh_token=new.refresh_token or grant.refresh_token,
        more={**grant.more, **new.more},
    )


async def for_client(
    provider: OAuthProvider, client: OAuthClient, *, now: datetime
) -> Grant:
    """Get what the client may read by itself, without an owner (client credentials)."""
    asked = {"grant_type": "client_credentials", **provider.extra}
    if provider.scopes:
        asked["scope"] = provider.scope_separator.join(provider.scopes)
    return await _granted(provider, client, asked, now=now)


async def _granted(
    provider: OAuthProvider,
    client: OAuthClient,
    asked: Mapping[str, str],
    *,
    now: datetime,
) -> Grant:
    headers = {"Accept": "application/json"}
    if provider.client_auth == "basic":
        # as it is: the standard wants it encoded, but providers do not decode it
        pair = f"{client.id}:{client.secret}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        asked = {**asked, "client_id": client.id, "client_secret": client.secret}
    body = {"json" if provider.body_format == "json" else "data": dict(asked)}
    response = await ask(
        httpx.Request("POST", provider.token_url, headers=headers, **body)  # type: ignore[arg-type]
    )
    return _grant_in(provider, response, now=now)


def _grant_in(
    provider: OAuthProvider, response: httpx.Response, *, now: datetime
) -> Grant:
    answer = _fields(response)
    problem = answer.get("error")
    if problem is not None or not response.is_success:
        raise _refusal(response, named(problem))
    holder = answer.get(provider.answer_within) if provider.answer_within else answer
    if not isinstance(holder, dict) or not isinstance(holder.get("access_token"), str):
        raise RetryableError(f"{_host(response)} answered without an access token")
    refresh = holder.get("refresh_token")
    life = _seconds(holder.get("expires_in"))
    return Grant(
        access_token=holder["access_token"],
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        renew_at=None if life is None else renew_at(now, timedelta(seconds=life)),
        more=_more(answer),
    )


def _fields(response: httpx.Response) -> dict[str, Any]:
    """Return the answer's fields; some providers write them like a form."""
    try:
        found = response.json()
    except ValueError:
        if len(response.content) > 2**16:
            return {}
        return {name: one[0] for name, one in parse_qs(response.text).items()}
    return found if isinstance(found, dict) else {}


def _more(answer: Mapping[str, Any]) -> dict[str, str]:
    told = {"access_token", "refresh_token", "id_token", "token_type", "expires_in"}
    return {
        name: value
        for name, value in answer.items()
        if isinstance(value, str) and name not in told and len(value) <= 1000
    }


def _seconds(value: Any) -> float | None:
    """Return how long a token lives; None if that was not said."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds <= _LONGEST_LIFE else None


def _refusal(response: httpx.Response, problem: str) -> Exception:
    """Return the error by what has to happen next; secrets are never repeated."""
    told = f"{_host(response)} refused: {problem or response.status_code}"
    if problem in _PASSING:
        return RetryableError(told)
    if problem in _CLIENT_REFUSED:
        return ClientRefusedError(
            f"{told}. The OAuth client's id or secret is not what the provider knows"
        )
    if problem or response.status_code in (400, 401, 403):
        return ended(f"{told}. The access has ended or was revoked")
    return JobError(told)


def _host(response: httpx.Response) -> str:
    return response.request.url.host
