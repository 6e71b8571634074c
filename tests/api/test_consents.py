"""Consent in a browser over HTTP, with a real authorization server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from tests.authorization_server import CLIENT, NOTES, AuthorizationServer, serve
from tests.oauth_sources import live_source, notes_source, signed_source

from wellhead.api.application import create_app
from wellhead.domain.oauth import OAuthPolicy
from wellhead.engine.procrastinate import Task
from wellhead.services import grants
from wellhead.services.parts import Parts
from wellhead.store import connections, jobs
from wellhead.store.federated import live_connections

BACK = "https://app.example.com/done?tab=2#top"
BYOC = {"client_id": CLIENT.id, "client_secret": CLIENT.secret}
OFTEN = {"client_id": CLIENT.id, "client_secret": "a secret that is not known"}


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with serve() as one:
        yield one


@pytest.fixture(autouse=True)
async def _prepared(
    parts: Parts, provider: AuthorizationServer, given: Any
) -> AsyncIterator[None]:
    for one in (notes_source(provider), signed_source(provider)):
        parts.sources.by_name[one.info.short_name] = one
    await given.collection(readable_id="mine")
    yield
    provider.denies, provider.issuer_told, provider.broken_with = False, None, None


@pytest.fixture
def app(parts: Parts) -> Any:
    """The application of an operator who registered a client."""
    clients = {"tracker": CLIENT, "tracker1": CLIENT}
    return create_app(replace(parts, oauth=OAuthPolicy(clients=clients)), auth=True)


class Owner:
    """Asks by the API, and goes where a browser would."""

    def __init__(self, client: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
        self.client = client
        self.browser = browser

    async def connect(self, **more: Any) -> Any:
        body = {
            "short_name": "tracker",
            "readable_collection_id": "mine",
            "authentication": {},
            "redirect_url": BACK,
            **more,
        }
        answer = await self.client.post("/source-connections", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def follow(self, made: Any) -> str:
        """Go to the provider; return where it sends the browser back to."""
        link = await self.browser.get(made["auth"]["auth_url"])
        assert link.status_code == 303, link.text
        assert link.headers["cache-control"] == "no-store"
        async with httpx.AsyncClient() as browser:
            page = await browser.get(link.headers["location"])
        assert page.status_code == 302, page.text
        return str(page.headers["location"])

    async def agree(self, made: Any) -> httpx.Response:
        return await self.browser.get(await self.follow(made))

    async def get(self, made: Any) -> Any:
        return (await self.client.get(f"/source-connections/{made['id']}")).json()

    async def post(self, made: Any, what: str, body: Any = None) -> httpx.Response:
        path = f"/source-connections/{made['id']}/{what}"
        return await self.client.post(path, json=body)

    async def verify(self, made: Any, token: str | None = None) -> httpx.Response:
        claim = {"claim_token": token or made["auth"]["claim_token"]}
        return await self.post(made, "verify-oauth", claim)


@pytest.fixture
def owner(client: httpx.AsyncClient, anyone: httpx.AsyncClient) -> Owner:
    return Owner(client, anyone)


async def is_queued(parts: Parts, made: Any) -> bool:
    async with parts.db.connect() as connection:
        job = await jobs.open_job(connection, UUID(made["id"]))
        assert job is not None
        return await parts.engine.is_known(connection, Task.RUN_JOB, job.id)


async def kept(parts: Parts, made: Any) -> grants.Kept:
    async with parts.db.connect() as connection:
        sealed = await connections.ciphertext(connection, UUID(made["id"]))
    return grants.unseal(parts.cipher, sealed)


async def test_a_connection_waits_for_consent_and_shows_the_link(owner: Owner) -> None:
    made = await owner.connect()

    assert made["status"] == "pending_auth"
    assert made["sync"] is None
    auth = made["auth"]
    assert (auth["method"], auth["authenticated"]) == ("oauth_browser", False)
    assert len(auth["auth_url"].rpartition("/source-connections/authorize/")[2]) == 8
    assert auth["redirect_url"] == BACK
    assert auth["auth_url_expires"] == "2026-01-02T03:09:05Z"
    shown = (await owner.get(made))["auth"]
    assert shown["auth_url"] == auth["auth_url"]
    assert shown["claim_token"] is None
    assert (await owner.post(made, "run")).status_code == 404
    assert (await owner.verify(made)).status_code == 400
    await owner.follow(made)
    assert (await owner.get(made))["auth"]["auth_url"] is None
    assert (await owner.browser.get(auth["auth_url"])).status_code == 404


async def test_consent_is_given_and_verified_before_the_first_run(
    owner: Owner, parts: Parts, provider: AuthorizationServer
) -> None:
    made = await owner.connect()
    location = await owner.follow(made)
    back = await owner.browser.get(location)

    assert back.status_code == 303, back.text
    assert back.headers["location"] == (
        "https://app.example.com/done?tab=2&status=success"
        f"&source_connection_id={made['id']}#top"
    )
    assert back.headers["referrer-policy"] == "no-referrer"
    again = await owner.browser.get(location)
    assert (again.status_code, again.json()["detail"]) == (
        400,
        "This consent was answered already",
    )
    now = await owner.get(made)
    assert (now["status"], now["auth"]["authenticated"]) == ("active", True)
    assert now["sync"]["last_job"]["status"] == "pending"
    assert not await is_queued(parts, made), "it waits for the claim token"

    assert (await owner.verify(made, "another")).status_code == 403
    verified = await owner.verify(made)
    assert verified.status_code == 200
    assert verified.json()["id"] == made["id"]
    assert await is_queued(parts, made)
    assert (await owner.verify(made)).status_code == 400
    grant = (await kept(parts, made)).grant
    assert grant is not None
    assert grant.access_token == provider.tokens[-1].access_token


async def test_what_is_secret_is_nowhere_to_be_read(
    owner: Owner, parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await owner.connect(authentication=BYOC)
    location = await owner.follow(made)
    back = await owner.browser.get(location)
    await owner.verify(made)

    held = await kept(parts, made)
    assert held.grant is not None
    query = parse_qs(urlsplit(location).query)
    secret = [
        *(query["code"][0], query["state"][0], made["auth"]["claim_token"]),
        *(CLIENT.secret, held.grant.access_token, str(held.grant.refresh_token)),
    ]
    async with parts.db.connect() as connection:
        for table in ("credential", "consent", "event", "audit_log", "sync_job"):
            rows = await connection.execute(text(f"SELECT t::text FROM {table} t"))  # noqa: S608
            stored = "\n".join(row[0] for row in rows)
            assert not [one for one in secret if one in stored], table
    told = back.headers["location"] + str(await owner.get(made))
    logged = capsys.readouterr()
    assert not [one for one in secret if one in told + logged.out + logged.err]


async def test_what_happened_is_told_and_written_down(
    owner: Owner, client: httpx.AsyncClient
) -> None:
    made = await owner.connect()
    await owner.agree(made)

    told = (await client.get("/webhooks/messages")).json()
    events = {one["event_type"]: one["payload"] for one in told}
    assert events["source_connection.created"]["is_authenticated"] is False
    done = events["source_connection.auth_completed"]
    assert done["source_connection_id"] == made["id"]
    assert done["is_authenticated"] is True
    written = (await client.get("/audit-log")).json()
    assert "source_connection.authenticated" in str(written)


async def test_a_client_of_ones_own_asks_and_is_kept(
    owner: Owner, parts: Parts
) -> None:
    made = await owner.connect(authentication=BYOC)
    assert made["auth"]["method"] == "oauth_byoc"
    assert (await owner.agree(made)).status_code == 303
    assert (await kept(parts, made)).client == CLIENT

    wrong = await owner.connect(authentication=OFTEN)
    back = await owner.agree(wrong)
    assert back.status_code == 400
    assert "the provider knows" in back.json()["detail"]
    assert (await owner.get(wrong))["status"] == "pending_auth"


async def test_a_page_of_ours_ends_it_where_no_other_was_named(owner: Owner) -> None:
    made = await owner.connect(redirect_url=None)
    back = await owner.agree(made)

    assert back.status_code == 200
    assert "You can close this page" in back.text


async def test_oauth_1_goes_the_same_way(owner: Owner, parts: Parts) -> None:
    made = await owner.connect(short_name="signed")
    back = await owner.agree(made)

    assert back.status_code == 303, back.text
    assert (await owner.get(made))["status"] == "active"
    grant = (await kept(parts, made)).grant
    assert grant is not None
    assert grant.token_secret
    refused = await owner.client.post(
        "/source-connections",
        json={
            "short_name": "signed",
            "readable_collection_id": "mine",
            "authentication": {"consumer_key": "a", "consumer_secret": "b"},
        },
    )
    assert refused.status_code == 400
    assert "consumer key" in refused.json()["detail"]


async def test_a_link_and_an_answer_are_too_late_after_their_time(
    owner: Owner, parts: Parts, still_clock: Any
) -> None:
    late, later = await owner.connect(), await owner.connect()
    location = await owner.follow(later)

    still_clock.at += timedelta(minutes=5)
    link = await owner.browser.get(late["auth"]["auth_url"])
    assert (link.status_code, link.json()["detail"]) == (
        404,
        "Authorization link expired or invalid",
    )
    assert (await owner.get(late))["auth"]["auth_url"] is None
    still_clock.at += timedelta(minutes=5)
    back = await owner.browser.get(location)
    assert back.status_code == 410
    assert (await owner.get(later))["status"] == "pending_auth"


async def test_a_refusal_goes_back_to_the_app(
    owner: Owner, provider: AuthorizationServer
) -> None:
    provider.denies = True
    made, alone = await owner.connect(), await owner.connect(redirect_url=None)

    back = await owner.agree(made)
    assert back.status_code == 303
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert (query["status"], query["error"]) == (["error"], ["access_denied"])
    shown = await owner.agree(alone)
    assert (shown.status_code, shown.json()["detail"]) == (
        400,
        "The provider did not give consent: access_denied",
    )
    assert (await owner.get(made))["status"] == "pending_auth"


async def test_an_answer_counts_only_for_what_was_asked(
    owner: Owner, parts: Parts, provider: AuthorizationServer
) -> None:
    facts = {"issuer": "https://right.example.com"}
    source = notes_source(provider, "careful", **facts)
    parts.sources.by_name["careful"] = source
    made, other = await owner.connect(short_name="careful"), await owner.connect()
    right, wrong = "https://right.example.com", "https://wrong.example.com"

    provider.issuer_told = wrong
    mixed = await owner.agree(made)
    provider.issuer_told = right
    well = await owner.agree(await owner.connect(short_name="careful"))
    location = await owner.follow(other)
    state = parse_qs(urlsplit(location).query)["state"][0]
    path = "/source-connections/callback"
    forged = await owner.browser.get(path, params={"state": state[:-1], "code": "c"})
    crossed = await owner.browser.get(
        path, params={"oauth_token": state, "oauth_verifier": "v"}
    )

    assert (mixed.status_code, well.status_code) == (400, 303)
    assert "another provider" in mixed.json()["detail"]
    assert (forged.status_code, crossed.status_code) == (404, 400)
    assert (await owner.get(other))["status"] == "pending_auth"


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "/relative", "//host/x", "https://", "https:/x"),
        *("https://good.com@evil.com/", "https://good.com\\@evil.com", "ftp://x/y"),
        *("https://x/\r\nSet-Cookie: a=b", "https://x/ü", "https://x/" + "y" * 2000),
    ],
)
async def test_a_browser_is_sent_only_to_whole_web_addresses(
    owner: Owner, url: str
) -> None:
    for sent in ({"redirect_url": url}, {"authentication": {"redirect_uri": url}}):
        body = {"short_name": "tracker", "readable_collection_id": "mine", **sent}
        answer = await owner.client.post("/source-connections", json=body)
        assert answer.status_code == 422, answer.text
        assert "redirect_url" in answer.json()["detail"]


async def test_the_operator_says_where_browsers_may_go(
    parts: Parts, key: str, owner: Owner
) -> None:
    policy = OAuthPolicy(
        clients={"tracker": CLIENT},
        public_url="https://wellhead.example.com/",
        redirect_origins=("https://app.example.com/",),
    )
    app = create_app(replace(parts, oauth=policy), auth=True)
    transport = httpx.ASGITransport(app)
    headers = {"x-api-key": key}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://other", headers=headers
    ) as client:
        careful = Owner(client, owner.browser)
        made = await careful.connect(redirect_url="https://app.example.com/x")
        body = {
            "short_name": "tracker",
            "readable_collection_id": "mine",
            "redirect_url": "https://evil.example.com/",
        }
        refused = await client.post("/source-connections", json=body)

    link = "https://wellhead.example.com/source-connections/authorize/"
    assert made["auth"]["auth_url"].startswith(link)
    assert refused.status_code == 422


async def test_without_a_client_it_says_what_to_do(parts: Parts, key: str) -> None:
    app = create_app(parts, auth=True)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://wellhead", headers={"x-api-key": key}
    ) as client:
        body = {"short_name": "tracker", "readable_collection_id": "mine"}
        refused = await client.post("/source-connections", json=body)

    assert refused.status_code == 400
    detail = refused.json()["detail"]
    assert "oauth_clients.toml" in detail
    assert "http://wellhead/source-connections/callback" in detail


async def test_a_run_with_a_key_also_starts_what_waits(
    owner: Owner, parts: Parts
) -> None:
    made = await owner.connect()
    await owner.agree(made)
    waiting = (await owner.get(made))["sync"]["last_job"]["id"]

    started = await owner.post(made, "run")

    assert started.status_code == 200, started.text
    assert started.json()["id"] == waiting
    assert await is_queued(parts, made)
    assert (await owner.post(made, "run")).status_code == 409


async def test_what_was_cancelled_while_it_waited_starts_anew(
    owner: Owner, parts: Parts
) -> None:
    made = await owner.connect()
    await owner.agree(made)
    waiting = (await owner.get(made))["sync"]["last_job"]["id"]
    assert (await owner.post(made, f"jobs/{waiting}/cancel")).status_code == 200

    assert (await owner.verify(made)).status_code == 200

    assert (await owner.get(made))["sync"]["last_job"]["id"] != waiting
    assert await is_queued(parts, made)


async def test_consent_is_asked_again_when_it_has_ended(
    owner: Owner, parts: Parts, set_job: Any
) -> None:
    made = await owner.connect(authentication=BYOC)
    old = await owner.follow(made)
    asked = await owner.post(made, "reinitiate-oauth")
    assert asked.status_code == 200, "the link was followed to no end"
    assert (await owner.browser.get(old)).status_code == 404, "only the latest counts"
    await owner.agree(asked.json())
    assert (await owner.verify(made)).status_code == 403, "so does its claim token"
    await owner.verify(asked.json())
    well = await owner.post(made, "reinitiate-oauth")
    assert (well.status_code, well.json()["detail"]) == (
        400,
        "Connection is already authenticated",
    )
    first = await kept(parts, made)
    job = (await owner.get(made))["sync"]["last_job"]["id"]
    category = "oauth_credentials_expired"
    await set_job(job, status="failed", error="401", error_category=category)
    async with parts.db.begin() as connection:
        values = {"paused_reason": category}
        await connections.change(connection, UUID(made["id"]), values)
    assert (await owner.get(made))["status"] == "needs_reauth"

    again = (await owner.post(made, "reinitiate-oauth/")).json()
    assert again["status"] == "needs_reauth"
    assert again["auth"]["redirect_url"] == BACK
    assert (await owner.agree(again)).status_code == 303
    assert (await owner.verify(again)).status_code == 200

    second = await kept(parts, made)
    assert second.client == first.client
    assert second.grant != first.grant
    assert (await owner.get(made))["status"] == "active"
    assert await is_queued(parts, made)


async def test_a_pasted_token_can_be_replaced_by_consent(
    owner: Owner, parts: Parts, set_job: Any, provider: AuthorizationServer
) -> None:
    made = await owner.connect()
    await owner.agree(made)
    token = provider.tokens[-1].access_token
    pasted = await owner.connect(authentication={"access_token": token})
    assert pasted["auth"]["method"] == "oauth_token"
    await set_job(
        pasted["sync"]["last_job"]["id"],
        status="failed",
        error="401",
        error_category="oauth_credentials_expired",
    )

    again = (await owner.post(pasted, "reinitiate-oauth")).json()
    assert (await owner.agree(again)).status_code == 200
    assert (await owner.verify(again)).status_code == 200
    now = await owner.get(pasted)
    assert (now["auth"]["method"], now["status"]) == ("oauth_browser", "active")


async def test_a_connect_session_asks_and_only_it_verifies(
    owner: Owner, app: Any, parts: Parts
) -> None:
    body = {"readable_collection_id": "mine"}
    tokens = [
        (await owner.client.post("/connect/sessions", json=body)).json()
        for _ in range(2)
    ]
    transport = httpx.ASGITransport(app)

    def widget(number: int) -> httpx.AsyncClient:
        bearer = f"Bearer {tokens[number]['session_token']}"
        return httpx.AsyncClient(
            transport=transport,
            base_url="http://wellhead/connect",
            headers={"Authorization": bearer},
        )

    async with widget(0) as mine, widget(1) as other:
        asking = Owner(mine, owner.browser)
        made = await asking.connect()
        asked = (await asking.post(made, "reinitiate-oauth")).json()
        assert (await owner.agree(asked)).status_code == 303
        assert (await Owner(other, owner.browser).verify(asked)).status_code == 403
        assert (await owner.verify(asked)).status_code == 403
        verified = await asking.verify(asked)

    assert verified.status_code == 200, verified.text
    assert await is_queued(parts, made)


async def test_what_is_searched_live_is_asked_once_verified_and_never_run(
    owner: Owner, parts: Parts, provider: AuthorizationServer
) -> None:
    parts.sources.by_name["live"] = live_source(provider)
    made = await owner.connect(short_name="live")
    assert (await owner.agree(made)).status_code == 303
    collection = await owner.client.get("/collections/mine")
    collection_id = UUID(collection.json()["id"])

    before = await live_connections(parts.reads, collection_id)
    assert (await owner.verify(made)).status_code == 200
    after = await live_connections(parts.reads, collection_id)

    assert (before, [str(one.id) for one in after]) == ([], [made["id"]])
    assert (await owner.get(made))["sync"] is None


async def test_a_search_goes_on_with_a_new_token_when_the_old_one_is_refused(
    owner: Owner, parts: Parts, provider: AuthorizationServer
) -> None:
    parts.sources.by_name["live"] = live_source(provider)
    made = await owner.connect(short_name="live")
    await owner.agree(made)
    await owner.verify(made)

    async def found() -> tuple[list[str], list[str]]:
        response = await owner.client.post(
            "/collections/mine/search/instant", json={"query": "anything"}
        )
        told = response.json()
        missing = [one["why"] for one in told["missing_sources"]]
        return [one["name"] for one in told["results"]], missing

    first = await found()
    provider.expire()
    many = await asyncio.gather(*(found() for _ in range(4)))
    provider.revoke()
    refused = await found()

    for names, missing in (first, *many):
        assert (sorted(names), missing) == (sorted(NOTES), [])
    assert refused == ([], ["it refused the credentials"])


async def test_of_many_at_once_one_counts(owner: Owner) -> None:
    made = await owner.connect()
    link = made["auth"]["auth_url"]
    links = await asyncio.gather(*(owner.browser.get(link) for _ in range(4)))
    assert sorted(one.status_code for one in links) == [303, 404, 404, 404]

    location = await owner.follow((await owner.post(made, "reinitiate-oauth")).json())
    answers = await asyncio.gather(*(owner.browser.get(location) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [303, 400, 400, 400]


async def test_what_is_another_organizations_is_not_there(
    owner: Owner, stranger: httpx.AsyncClient
) -> None:
    made = await owner.connect()
    await owner.agree(made)
    path = f"/source-connections/{made['id']}"
    claim = {"claim_token": made["auth"]["claim_token"]}

    verified = await stranger.post(f"{path}/verify-oauth", json=claim)
    asked = await stranger.post(f"{path}/reinitiate-oauth")

    assert (verified.status_code, asked.status_code) == (404, 404)
    gone = await owner.client.post(f"/source-connections/{uuid4()}/reinitiate-oauth")
    assert gone.status_code == 404


async def test_what_was_deleted_meanwhile_gets_no_grant(owner: Owner) -> None:
    made = await owner.connect()
    location = await owner.follow(made)
    await owner.client.delete(f"/source-connections/{made['id']}")

    assert (await owner.browser.get(location)).status_code == 404
