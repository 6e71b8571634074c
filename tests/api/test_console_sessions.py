"""Signing in to the console: what it takes, what ends it, which forms are refused."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.api.conftest import client_of
from tests.api.console import TOKEN, browser_of, text_of

from wellhead.api.application import create_app
from wellhead.api.console.around import POLICY
from wellhead.api.console.visits import COOKIE
from wellhead.domain.console import ConsoleSession
from wellhead.domain.keys import Organization
from wellhead.services import console_sessions, keys
from wellhead.services.parts import Parts
from wellhead.store import organizations
from wellhead.store.secrets import Cipher


@dataclass
class MovingClock:
    """A clock that tests set."""

    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def app(parts: Parts, clock: MovingClock) -> Any:
    return create_app(replace(parts, clock=clock), auth=True)


async def test_a_browser_is_led_to_the_console_and_others_are_not(app: Any) -> None:
    async with client_of(app) as client:
        for_browsers = await client.get("/", headers={"accept": "text/html,*/*"})
        for_others = await client.get("/")

    assert for_browsers.status_code == 303
    assert for_browsers.headers["location"] == "console"
    assert for_others.status_code == 200


async def test_whoever_shows_a_key_gets_where_they_wanted(app: Any, key: str) -> None:
    async with browser_of(app) as browser:
        led = await browser.get("/connections?state=failed")
        where = led.headers["location"]
        wrong = await browser.post("/sign-in", key="not-a-key")
        token = await browser.token()
        right = await browser.client.post(
            "/console/sign-in",
            data={
                "form_token": token,
                "key": key,
                "next": "/connections?state=failed",
            },
        )
        shown = await browser.follow(right)

    assert where == "/console/sign-in?next=%2Fconnections%3Fstate%3Dfailed"
    assert wrong.status_code == 403
    assert "Invalid or expired API key" in text_of(wrong)
    assert "not-a-key" not in wrong.text
    assert right.headers["location"] == "/console/connections?state=failed"
    assert shown.status_code == 200


@pytest.mark.parametrize(
    "where", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:x", ""]
)
async def test_signing_in_leads_nowhere_else(app: Any, key: str, where: str) -> None:
    async with browser_of(app) as browser:
        response = await browser.post("/sign-in", key=key, next=where)

    assert response.headers["location"] == "/console/"


async def test_the_cookie_is_for_this_site_and_for_no_script(
    app: Any, key: str, parts: Parts
) -> None:
    async with browser_of(app) as browser:
        before = (
            browser.client.cookies.get(COOKIE)
            or ((await browser.get("/sign-in")).cookies[COOKIE])
        )
        response = await browser.sign_in(key)
    said = response.headers["set-cookie"]
    after = response.cookies[COOKIE]

    assert "HttpOnly" in said
    assert "SameSite=lax" in said
    assert "Path=/console" in said
    assert key not in after
    assert after != before
    assert console_sessions.find_session(parts, before) is not None
    [shown] = _session(parts, after).memberships
    assert _session(parts, before).memberships == ()
    assert shown.organization_id is not None


def _session(parts: Parts, sealed: str) -> ConsoleSession:
    found = console_sessions.find_session(parts, sealed)
    assert found is not None
    return found


async def test_a_forged_cookie_is_none(app: Any, key: str, parts: Parts) -> None:
    other = replace(parts, cipher=Cipher([Cipher.new_key()]))
    session = console_sessions.open_session(other)
    async with browser_of(app) as browser:
        for forged in (console_sessions.seal(other, session), "x", "gAAAAA=="):
            browser.client.cookies.set(COOKIE, forged, path="/console")
            assert (await browser.get("/")).status_code == 303
            browser.client.cookies.clear()


async def test_a_form_without_the_sessions_token_changes_nothing(
    app: Any, key: str, client: httpx.AsyncClient
) -> None:
    async with browser_of(app, key) as browser, browser_of(app, key) as other:
        stolen = await other.token("/keys")
        for token in ("", "x", stolen):
            response = await browser.client.post(
                "/console/keys", data={"form_token": token, "name": "planted"}
            )
            assert response.status_code == 403
        token = await browser.token("/keys")
        from_afar = await browser.client.post(
            "/console/keys",
            data={"form_token": token, "name": "planted"},
            headers={"sec-fetch-site": "cross-site"},
        )
        as_json = await browser.client.post(
            "/console/keys", json={"form_token": token, "name": "planted"}
        )

    assert from_afar.status_code == 403
    assert as_json.status_code == 400
    assert "planted" not in (await client.get("/api-keys")).text


async def test_signing_out_ends_the_session_also_for_who_copied_it(
    app: Any, key: str, parts: Parts
) -> None:
    app_of_another_process = create_app(parts, auth=True)
    async with (
        browser_of(app, key) as browser,
        browser_of(app_of_another_process) as thief,
    ):
        copied = browser.client.cookies[COOKIE]
        await browser.post("/sign-out", page="/")
        thief.client.cookies.set(COOKIE, copied, path="/console")

        assert (await browser.get("/")).status_code == 303
        assert (await thief.get("/")).status_code == 303


async def test_a_renewed_copy_of_a_session_ends_with_it(
    app: Any, key: str, parts: Parts, clock: MovingClock
) -> None:
    async with browser_of(app, key) as browser, browser_of(app) as thief:
        copied = browser.client.cookies[COOKIE]
        thief.client.cookies.set(COOKIE, copied, path="/console")
        clock.at += timedelta(hours=11)
        assert (await thief.get("/")).status_code == 200  # with a later end from now on
        await browser.post("/sign-out", page="/")
        clock.at += timedelta(hours=11)
        await sign_out_somebody(parts)

        assert (await thief.get("/")).status_code == 303


async def sign_out_somebody(parts: Parts) -> None:
    """Which forgets the sign-outs that need not be kept any more."""
    await console_sessions.sign_out(parts, console_sessions.open_session(parts))


async def test_a_session_ends_with_its_key(
    app: Any, key: str, parts: Parts, client: httpx.AsyncClient
) -> None:
    async with browser_of(app, key) as browser:
        assert (await browser.get("/")).status_code == 200
        [own] = (await client.get("/api-keys")).json()
        await keys.revoke_key(parts, UUID(own["organization_id"]), UUID(own["id"]))
        response = await browser.get("/jobs")
        told = await browser.follow(response)

    assert response.status_code == 303
    assert "was revoked or has expired" in text_of(told)


async def test_a_session_ends_unused_after_hours_and_used_after_days(
    app: Any, key: str, clock: MovingClock
) -> None:
    began = clock.at
    async with browser_of(app, key) as idle, browser_of(app, key) as busy:
        while clock.at - began < timedelta(days=6, hours=20):
            assert (await busy.get("/keys")).status_code == 200
            clock.at += timedelta(hours=5)

        assert (await idle.get("/keys")).status_code == 303
        clock.at = began + timedelta(days=7, seconds=1)
        assert (await busy.get("/keys")).status_code == 303


async def test_several_organizations_are_switched_between(
    app: Any, key: str, parts: Parts
) -> None:
    later = parts.clock.now() + timedelta(days=1)
    other = Organization(uuid4(), "The Other Office", later)
    async with parts.db.begin() as connection:
        await organizations.add(connection, other)
    second = await keys.create_key(parts, other.id, name="second", life_days=None)

    async with browser_of(app, key) as browser:
        first = text_of(await browser.get("/keys"))
        refused = await browser.post(
            "/organization", page="/keys", organization=str(other.id)
        )
        await browser.sign_in(second.plain)
        now_other = text_of(await browser.get("/keys"))
        organization = (await parts_first(parts)).id
        await browser.post("/organization", page="/", organization=str(organization))
        back = text_of(await browser.get("/keys"))

    assert "The Other Office" not in first
    assert refused.status_code == 404
    assert "Signed in with the key “second”" in now_other
    assert "Switch to The Other Office" in back
    assert "Signed in with the key “First key”" in back


async def parts_first(parts: Parts) -> Organization:
    async with parts.db.connect() as connection:
        found = await organizations.first(connection)
    assert found is not None
    return found


async def test_pages_may_do_nothing_but_what_the_policy_says(
    app: Any, key: str
) -> None:
    async with browser_of(app, key) as browser:
        answers = [
            await browser.get(path)
            for path in ("/", "/sign-in", "/keys", "/nowhere", "/collections/none")
        ]
        script = answers[0].text.split('src="')[1].split('"')[0]
        static = await browser.client.get(script)

    for answer in [*answers, static]:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
        assert "<script>" not in answer.text
        assert "http://" not in answer.text.replace("http://wellhead", "")
    assert "unsafe" not in POLICY
    assert "immutable" in static.headers["cache-control"]
    assert [one.status_code for one in answers] == [200, 200, 200, 404, 404]


async def test_without_keys_everybody_is_in_and_forms_still_need_their_token(
    parts: Parts,
) -> None:
    app = create_app(parts, auth=False)
    async with browser_of(app) as browser:
        home = await browser.get("/")
        refused = await browser.client.post(
            "/console/collections/new", data={"name": "Planted"}
        )
        made = await browser.post("/collections/new", name="On purpose")

    assert home.status_code == 200
    assert TOKEN.search(home.text)
    assert refused.status_code == 403
    assert made.status_code == 303


async def test_signing_in_is_in_the_audit_log(
    app: Any, key: str, client: httpx.AsyncClient
) -> None:
    async with browser_of(app, key) as browser:
        await browser.post("/collections/new", name="Seen to be made")
    [made, signed_in] = (await client.get("/audit-log")).json()[:2]

    assert signed_in["action"] == "console.signed_in"
    assert made["action"] == "collection.created"
    assert made["actor"]["name"].endswith(", console")
