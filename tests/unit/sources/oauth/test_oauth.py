"""OAuth against a real authorization server: codes, renewals, clients, signatures."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.authorization_server import CLIENT, AuthorizationServer, serve

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    ErrorCategory,
    RetryableError,
)
from wellhead.domain.oauth import Grant, OAuthClient
from wellhead.sources.oauth import oauth1, oauth2
from wellhead.sources.oauth.oauth1 import OAuth1Credentials
from wellhead.sources.oauth.table import PROVIDERS
from wellhead.sources.oauth.tokens import ClientTokens

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BACK = "http://wellhead/source-connections/callback"
PROOF = "p" * 43
WRONG = OAuthClient(CLIENT.id, "another secret")


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with serve() as one:
        yield one


async def ask_ann(url: str) -> dict[str, str]:
    """Open the page as a browser would; return what it carries back."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    assert back._replace(query="").geturl() == BACK
    return {name: one[0] for name, one in parse_qs(back.query).items()}


async def granted(server: AuthorizationServer, **facts: str) -> Grant:
    provider = server.provider(**facts)
    url = oauth2.authorization_url(
        provider, CLIENT, back_to=BACK, state="s", proof=PROOF
    )
    back = await ask_ann(url)
    form = {"code": back["code"], "redirect_uri": BACK, "code_verifier": PROOF}
    return await oauth2.exchange(provider, CLIENT, form, now=NOW)


async def read(server: AuthorizationServer, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{server.url}/notes", headers=headers)).status_code


def test_the_page_is_asked_for_what_the_provider_wants_to_know() -> None:
    provider = replace(
        PROVIDERS["slack"], extra={"team": "a & b"}, authorize_url="https://x/y?z=1"
    )
    url = oauth2.authorization_url(
        provider, CLIENT, back_to=BACK, state="st", proof=PROOF
    )

    query = parse_qs(urlsplit(url).query)
    assert query["z"] == ["1"]
    assert query["team"] == ["a & b"]
    assert query["client_id"] == [CLIENT.id]
    assert query["user_scope"][0].startswith("channels:read,")
    assert "code_challenge" not in query
    assert CLIENT.secret not in url
    narrow = replace(CLIENT, scopes=("users:read", "search:read"))
    url = oauth2.authorization_url(
        provider, narrow, back_to=BACK, state="st", proof=PROOF
    )
    assert parse_qs(urlsplit(url).query)["user_scope"] == ["users:read,search:read"]


@pytest.mark.parametrize("way", ["basic", "body"])
async def test_a_code_becomes_a_grant_that_opens_the_api(
    server: AuthorizationServer, way: str
) -> None:
    grant = await granted(server, client_auth=way)

    assert await read(server, grant.access_token) == 200
    assert grant.refresh_token
    assert grant.renew_at == NOW + timedelta(seconds=3600 - 60)
    assert grant.more["instance_url"] == "https://api"
    assert grant.access_token not in repr(grant)


async def test_a_code_is_worth_nothing_without_the_proof(
    server: AuthorizationServer,
) -> None:
    provider = server.provider()
    url = oauth2.authorization_url(
        provider, CLIENT, back_to=BACK, state="s", proof=PROOF
    )
    back = await ask_ann(url)
    form = {"code": back["code"], "redirect_uri": BACK, "code_verifier": "q" * 43}

    with pytest.raises(CredentialsError, match="invalid_grant"):
        await oauth2.exchange(provider, CLIENT, form, now=NOW)


async def test_a_renewal_brings_the_next_refresh_token(
    server: AuthorizationServer,
) -> None:
    first = await granted(server)
    second = await oauth2.renew(server.provider(), CLIENT, first, now=NOW)

    assert second.refresh_token not in (None, first.refresh_token)
    assert await read(server, second.access_token) == 200
    with pytest.raises(CredentialsError) as spent:
        await oauth2.renew(server.provider(), CLIENT, first, now=NOW)
    assert spent.value.category is ErrorCategory.OAUTH_CREDENTIALS_EXPIRED
    assert str(first.refresh_token) not in str(spent.value)


async def test_a_refresh_token_that_does_not_rotate_is_kept(
    server: AuthorizationServer,
) -> None:
    server.rotates = False
    first = await granted(server)

    second = await oauth2.renew(server.provider(), CLIENT, first, now=NOW)

    assert second.refresh_token == first.refresh_token
    assert second.access_token != first.access_token


async def test_trouble_is_named_by_what_to_do(server: AuthorizationServer) -> None:
    grant = await granted(server)
    provider = server.provider()

    with pytest.raises(oauth2.ClientRefusedError, match="invalid_client"):
        await oauth2.renew(provider, WRONG, grant, now=NOW)
    with pytest.raises(CredentialsError, match="no refresh token"):
        await oauth2.renew(
            provider, CLIENT, replace(grant, refresh_token=None), now=NOW
        )
    for status in (429, 500, 503):
        server.broken_with = status
        with pytest.raises(RetryableError):
            await oauth2.renew(provider, CLIENT, grant, now=NOW)
    server.broken_with = 200
    with pytest.raises(RetryableError, match="without an access token"):
        await oauth2.renew(provider, CLIENT, grant, now=NOW)
    nobody = server.provider(token_url="http://127.0.0.1:1/token")  # noqa: S106
    with pytest.raises(RetryableError, match="did not answer"):
        await oauth2.renew(nobody, CLIENT, grant, now=NOW)
    server.broken_with = None
    server.revoke()
    with pytest.raises(CredentialsError, match="revoked"):
        await oauth2.renew(provider, CLIENT, grant, now=NOW)


async def test_client_credentials_are_asked_for_once_and_again_when_they_end(
    server: AuthorizationServer,
) -> None:
    at = NOW.timestamp()
    tokens = ClientTokens(server.provider(), CLIENT, seconds=lambda: at)

    first = await tokens.current()
    assert await tokens.current() == first
    at += 3600  # the machine slept
    second = await tokens.current()
    third = await tokens.refresh(second)

    assert len({first, second, third}) == 3
    assert await tokens.refresh(second) == third, "somebody else was faster"
    assert await read(server, third) == 200
    with pytest.raises(CredentialsError) as refused:
        await ClientTokens(server.provider(), WRONG).current()
    assert refused.value.category is ErrorCategory.API_KEY_INVALID


async def test_oauth_1_signs_everything_it_asks(server: AuthorizationServer) -> None:
    provider = server.provider1()
    token, secret = await oauth1.request_token(provider, CLIENT, back_to=BACK)
    back = await ask_ann(oauth1.authorization_url(provider, token))
    grant = await oauth1.exchange(
        provider,
        CLIENT,
        {"token": token, "secret": secret, "verifier": back["oauth_verifier"]},
    )
    credentials = OAuth1Credentials(
        consumer_key=CLIENT.id,
        consumer_secret=CLIENT.secret,
        oauth_token=grant.access_token,
        oauth_token_secret=str(grant.token_secret),
    )

    async with httpx.AsyncClient(auth=credentials.auth(), base_url=server.url) as http:
        listed = await http.get("/oauth1/notes", params={"q": "a b & c=d"})
        posted = await http.post("/oauth1/echo", data={"name": "x & y"})
        server.revoke()
        revoked = await http.get("/oauth1/notes")

    assert back["oauth_token"] == token
    assert listed.status_code == 200, listed.text
    assert posted.json() == {"name": "x & y"}
    assert revoked.status_code == 401
    with pytest.raises(oauth2.ClientRefusedError):
        await oauth1.request_token(provider, WRONG, back_to=BACK)


@pytest.mark.parametrize("subdomain", ["acme", "a-1", "", "evil.example/#", "a..b", 7])
def test_a_config_names_one_part_of_a_host_and_nothing_else(subdomain: object) -> None:
    config = {"subdomain": subdomain}
    if subdomain in ("acme", "a-1", 7):
        filled = PROVIDERS["zendesk"].for_config(config)
        assert filled.token_url == f"https://{subdomain}.zendesk.com/oauth/tokens"
        return
    with pytest.raises(ConfigError, match="one part of a host name"):
        PROVIDERS["zendesk"].for_config(config)


@pytest.mark.parametrize("short_name", PROVIDERS)
def test_what_is_known_of_a_provider_makes_sense(short_name: str) -> None:
    one = PROVIDERS[short_name].for_config({"subdomain": "acme"})

    for url in (one.authorize_url, one.token_url, one.request_token_url):
        assert url is None or urlsplit(url).scheme == "https"
    assert one.is_oauth1 == (one.request_token_url is not None)
    assert one.name.isidentifier()
    assert len(set(one.scopes)) == len(one.scopes)
