"""How connections authenticate over HTTP, on a source that knows every way."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import UUID, uuid4

import httpx
import pytest

from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import ConfigError, CredentialsError, RetryableError
from wellhead.domain.items import Item, ScopeEnd, ScopeStart
from wellhead.services.parts import Parts
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.store import connections

TOKEN = {"access_token": "good"}
CLIENT = {"client_id": "a", "client_secret": "b"}
CONSUMER = {"consumer_key": "a", "consumer_secret": "b"}


TROUBLE = {
    "revoked": CredentialsError("401 from the tracker"),
    "hasty": RetryableError("too many requests", after=7.2),
    "down": RetryableError("503 from the tracker"),
    "astray": ConfigError("no such project"),
}


class Token(Config):
    access_token: str


class TrackerSource(Source):
    """Answers its check by what the token says."""

    info: ClassVar[SourceInfo] = SourceInfo(
        short_name="tracker",
        name="Tracker",
        description="",
        entity_types=("Issue",),
        auth_methods=tuple(AuthMethod),
        oauth_type="with_refresh",
    )
    credentials_model = Token
    credentials: Token

    async def check(self) -> None:
        if self.credentials.access_token in TROUBLE:
            raise TROUBLE[self.credentials.access_token]

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield ScopeEnd()


class OwnClientSource(TrackerSource):
    info = SourceInfo(
        short_name="own_client",
        name="Own client",
        description="",
        entity_types=("Issue",),
        auth_methods=(AuthMethod.OAUTH_BYOC,),
        oauth_type="oauth1",
    )


@pytest.fixture(autouse=True)
async def sources(parts: Parts, given: Any) -> None:
    for one in (TrackerSource, OwnClientSource):
        parts.sources.by_name[one.info.short_name] = one
    await given.collection(readable_id="mine")


@pytest.fixture
def create(client: httpx.AsyncClient) -> Any:
    async def create(authentication: Any, **more: Any) -> httpx.Response:
        body = {
            "short_name": "tracker",
            "readable_collection_id": "mine",
            "authentication": authentication,
            **more,
        }
        return await client.post("/source-connections", json=body)

    return create


async def test_the_keys_say_which_method_is_meant_and_the_type_is_ignored(
    create: Any, parts: Parts
) -> None:
    for authentication, method in (
        ({"type": "oauth_token", "credentials": TOKEN}, "direct"),
        ({"type": "direct", **TOKEN, "refresh_token": "r"}, "oauth_token"),
        ({**TOKEN, "expires_at": "2026-01-02T03:04:06"}, "oauth_token"),
    ):
        response = await create(authentication)

        made = response.json()
        assert response.status_code == 200, response.text
        assert made["auth"]["method"] == method
        assert made["sync"]["last_job"]["status"] == "pending"
        async with parts.db.connect() as connection:
            sealed = await connections.ciphertext(connection, UUID(made["id"]))
        assert sealed is not None
        assert parts.cipher.decrypt(sealed) == TOKEN


EXTRA = {"surplus": 1}
UNSOUND: list[Any] = [
    ({"credentials": TOKEN, **TOKEN}, "direct.access_token"),
    ({"credentials": TOKEN, **EXTRA}, "direct.surplus"),
    ({"credentials": None}, "direct.credentials"),
    ({**TOKEN, **CLIENT}, "oauth_token.client_id"),
    ({**TOKEN, **EXTRA}, "oauth_token.surplus"),
    ({"access_token": " "}, "oauth_token.access_token"),
    ({**TOKEN, "expires_at": "2026-01-02T03:04:05Z"}, "oauth_token.expires_at"),
    ({"provider_readable_id": "p", **EXTRA}, "auth_provider.surplus"),
    ({**CLIENT, **EXTRA}, "oauth_browser.surplus"),
    ({"client_id": "a"}, "oauth_browser"),
    ({"client_secret": "a"}, "oauth_browser"),
    ({"consumer_key": "a"}, "oauth_browser"),
    ({"consumer_key": "a", "consumer_secret": ""}, "oauth_browser"),
    ({**CLIENT, **CONSUMER}, "oauth_browser"),
    ({"credentials": {}}, "direct.credentials"),
]


async def test_what_is_no_whole_variant_is_refused(
    create: Any, subtests: pytest.Subtests
) -> None:
    for authentication, where in UNSOUND:
        with subtests.test(authentication=authentication):
            response = await create(authentication)

            assert response.status_code == 422
            named = [name for one in response.json()["errors"] for name in one]
            assert f"body.authentication.{where}" in named


EARLY = {"sync_immediately": True}
NO_EARLY_RUN = (
    "OAuth connections cannot use sync_immediately. Sync starts after OAuth callback."
)
NO_BROWSER = (
    "Source tracker cannot be connected in a browser: "
    "who gives consent for it is not known"
)
REFUSED: list[Any] = [
    # in the order in which they are looked at
    (CLIENT, {"short_name": "nope", **EARLY}, 404, "Source 'nope' not found"),
    (
        CLIENT,
        {"short_name": "stub", **EARLY},
        400,
        "Source stub does not support this authentication method. "
        "Supported methods: ['direct']",
    ),
    (
        {"redirect_uri": "https://app"},
        {"short_name": "stub"},
        400,
        "Source stub does not support this authentication method. "
        "Supported methods: ['direct']",
    ),
    (
        {},
        {"short_name": "own_client", **EARLY},
        400,
        "Source own_client needs an OAuth client of your own: "
        "pass its client_id and client_secret",
    ),
    (CONSUMER, {"short_name": "own_client", **EARLY}, 400, NO_EARLY_RUN),
    (CLIENT, EARLY, 400, NO_EARLY_RUN),
    ({}, EARLY, 400, NO_EARLY_RUN),
    (None, EARLY, 400, NO_EARLY_RUN),
    (
        {"provider_readable_id": "p", "provider_config": {"a": 1}},
        {"readable_collection_id": "nope"},
        404,
        "Auth provider connection not found: p",
    ),
    ({}, {"readable_collection_id": "nope"}, 404, "Collection not found"),
    (TOKEN, {"readable_collection_id": "nope"}, 404, "Collection not found"),
    ({"redirect_uri": "https://app"}, {}, 400, NO_BROWSER),
    (CLIENT, {}, 400, NO_BROWSER),
    (None, {}, 400, NO_BROWSER),
    (
        {"access_token": "revoked"},
        {},
        400,
        "Invalid or revoked OAuth access token for source 'tracker'. "
        "Verify the token with the provider and try again.",
    ),
    (
        {"credentials": {"access_token": "revoked"}},
        {},
        400,
        "Validation failed for source 'tracker': 401 from the tracker",
    ),
    (
        {"access_token": "astray"},
        {},
        400,
        "Validation failed for source 'tracker': no such project",
    ),
    (
        {"access_token": "down"},
        {},
        502,
        "Source 'tracker' failed: 503 from the tracker",
    ),
    (
        {"access_token": "hasty"},
        {},
        429,
        "Source 'tracker' is rate limited: too many requests",
    ),
]


async def test_each_refusal_comes_in_its_turn_and_says_what_to_do(
    create: Any, client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for authentication, more, status, detail in REFUSED:
        with subtests.test(authentication=authentication, more=more):
            response = await create(authentication, **more)

            assert response.status_code == status
            assert response.json()["detail"] == detail
            assert response.headers.get("Retry-After") == (
                "8" if status == 429 else None
            )
    assert (await client.get("/source-connections")).json() == []


async def test_credentials_are_changed_only_where_they_were_typed_in(
    create: Any, client: httpx.AsyncClient
) -> None:
    by_token = (await create(TOKEN)).json()
    typed = (await create({"credentials": TOKEN})).json()

    async def patch(made: Any, authentication: Any) -> tuple[int, str]:
        path = f"/source-connections/{made['id']}"
        response = await client.patch(path, json={"authentication": authentication})
        return response.status_code, response.text

    assert (await patch(by_token, {"credentials": TOKEN}))[0] == 400
    # these are looked at, but not tried
    assert (await patch(typed, {"credentials": {"access_token": "revoked"}}))[0] == 200
    unsound: list[Any] = [
        {"credentials": {}},
        {"credentials": {"nope": "s3cr3t"}},
        {"credentials": TOKEN, "surplus": "s3cr3t"},
        TOKEN,
        {},
    ]
    for authentication in unsound:
        status, text = await patch(typed, authentication)
        assert status == 422, authentication
        assert "s3cr3t" not in text


async def test_the_catalogue_says_how_a_source_authenticates(client: Any) -> None:
    tracker = (await client.get("/sources/tracker")).json()
    own_client = (await client.get("/sources/own_client")).json()

    assert tracker["auth_methods"] == [method.value for method in AuthMethod]
    assert tracker["oauth_type"] == "with_refresh"
    assert tracker["requires_byoc"] is False
    [field] = tracker["auth_fields"]["fields"]
    assert (field["name"], field["required"]) == ("access_token", True)
    assert own_client["oauth_type"] == "oauth1"
    assert own_client["requires_byoc"] is True
    assert own_client["auth_fields"] is None


async def test_no_consent_is_under_way(
    create: Any, client: httpx.AsyncClient, set_job: Any
) -> None:
    made = (await create(TOKEN)).json()
    path = f"/source-connections/{made['id']}"

    async def post(path: str, body: Any = None) -> tuple[int, Any]:
        response = await client.post(path, json=body)
        return response.status_code, response.json()["detail"]

    verified = await post(f"{path}/verify-oauth", {"claim_token": "x"})
    well = await post(f"{path}/reinitiate-oauth/")
    await set_job(
        made["sync"]["last_job"]["id"],
        status="failed",
        error="401",
        error_category="oauth_credentials_expired",
    )
    unwell = await post(f"{path}/reinitiate-oauth")

    assert verified == (400, "No OAuth session of this connection waits to be verified")
    assert (await post(f"{path}/verify-oauth", {}))[0] == 422
    assert well == (400, "Connection is already authenticated")
    assert unwell == (400, NO_BROWSER)
    absent = f"/source-connections/{uuid4()}"
    for gone in (
        await post(f"{absent}/verify-oauth", {"claim_token": "x"}),
        await post(f"{absent}/reinitiate-oauth"),
    ):
        assert gone == (404, "SourceConnection not found")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("callback", 400),
        ("callback?error=access_denied&state=s", 404),
        ("callback?state=s&code=c", 404),
        ("callback/?oauth_token=t&oauth_verifier=v", 404),
        ("authorize/abcd1234", 404),
    ],
)
async def test_a_browser_that_comes_back_without_a_session_is_told_so(
    anyone: httpx.AsyncClient, path: str, status: int
) -> None:
    response = await anyone.get(f"/source-connections/{path}")

    assert response.status_code == status
    if path.startswith("authorize"):
        detail = response.json()["detail"]
        assert detail == "Authorization link expired or invalid"


async def test_no_auth_provider_can_be_connected_yet(client: httpx.AsyncClient) -> None:
    new = {"name": "Mine", "short_name": "composio", "auth_fields": {"api_key": "s"}}

    for path in ("/auth-providers/list", "/auth-providers/connections/"):
        response = await client.get(path)
        assert (response.status_code, response.json()) == (200, [])
    refused = await client.post("/auth-providers/", json=new)
    unknown = await client.post("/auth-providers", json={**new, "short_name": "nope"})
    assert refused.status_code == 400
    assert "give source connections their credentials" in refused.json()["detail"]
    assert unknown.status_code == 404
    for response in (
        await client.get("/auth-providers/detail/composio"),
        await client.get("/auth-providers/connections/mine"),
        await client.put("/auth-providers/mine", json={}),
        await client.delete("/auth-providers/mine"),
    ):
        assert response.status_code == 404


async def test_auth_providers_are_for_those_with_a_key(
    anyone: httpx.AsyncClient,
) -> None:
    for method, path in (("GET", "list"), ("GET", "connections/"), ("DELETE", "x")):
        response = await anyone.request(method, f"/auth-providers/{path}")
        assert response.status_code == 401


async def test_no_source_shows_a_tree(create: Any, client: httpx.AsyncClient) -> None:
    made = (await create(TOKEN)).json()
    path = f"/source-connections/{made['id']}/browse-tree"

    browsed = await client.get(path, params={"parent_node_id": "x"})
    selected = await client.post(f"{path}/select", json={"source_node_ids": ["x"]})

    for refused in (browsed, selected):
        assert refused.status_code == 400
        assert refused.json()["detail"] == (
            "Source 'tracker' does not support browsing: "
            "all that its config names is synced"
        )
    assert (await client.get(f"{path}/selections")).json() == []
    absent = f"/source-connections/{uuid4()}/browse-tree"
    for gone in (await client.get(absent), await client.get(f"{absent}/selections")):
        assert gone.status_code == 404
