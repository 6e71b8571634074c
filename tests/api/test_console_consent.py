"""Consent at the console: a link on the connection's page, and back to that page."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from tests.api.console import Browser, browser_of, text_of
from tests.authorization_server import CLIENT, AuthorizationServer, serve
from tests.oauth_sources import notes_source

from wellhead.api.application import create_app
from wellhead.domain.oauth import OAuthPolicy
from wellhead.services.parts import Parts

LINK = re.compile(r'href="([^"]*/source-connections/authorize/\w{8})"')


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with serve() as one:
        yield one


@pytest.fixture
def app(parts: Parts, provider: AuthorizationServer) -> Any:
    parts.sources.by_name["tracker"] = notes_source(provider)
    policy = OAuthPolicy(
        clients={"tracker": CLIENT}, redirect_origins=("https://app.example.com",)
    )
    return create_app(replace(parts, oauth=policy), auth=True)


@pytest.fixture
async def browser(app: Any, key: str) -> AsyncIterator[Browser]:
    async with browser_of(app, key) as one:
        yield one


async def give(browser: Browser, page: httpx.Response) -> httpx.Response:
    """Follow the page's link to the provider, agree, and come back to the console."""
    [link] = LINK.findall(page.text)
    there = await browser.client.get(unescape(link))
    async with httpx.AsyncClient() as outside:
        agreed = await outside.get(there.headers["location"])
    back = await browser.client.get(agreed.headers["location"])
    assert back.status_code == 303, back.text
    listed = await browser.client.get(back.headers["location"])
    return await browser.follow(listed)


async def test_a_source_is_connected_by_consent_and_run(
    browser: Browser, client: httpx.AsyncClient
) -> None:
    form = "/connections/new/tracker"
    assert "Access token" not in text_of(await browser.get(form))
    made = await browser.post(form, collection="new", collection_name="My notes")
    page = await browser.follow(made)
    assert "Its owner has to give consent." in text_of(page)

    after = await give(browser, page)

    assert "Now start the first sync" in text_of(after)
    assert not LINK.findall(after.text)
    [one] = (await client.get("/source-connections")).json()
    path = f"/connections/{one['id']}"
    started = await browser.post(f"{path}/run", page=path)
    assert started.headers["location"].startswith("/console/jobs/")


async def test_a_link_that_was_not_used_in_time_is_replaced(
    browser: Browser, client: httpx.AsyncClient, set_job: Any, still_clock: Any
) -> None:
    form = "/connections/new/tracker"
    made = await browser.post(form, collection="new", collection_name="My notes")
    path = made.headers["location"].removeprefix("/console")
    still_clock.at += timedelta(minutes=6)
    late = await browser.get(path)
    assert "not given consent yet" in text_of(late)

    page = await browser.follow(await browser.post(f"{path}/consent", page=path))
    assert "Now start" in text_of(await give(browser, page))
    [one] = (await client.get("/source-connections")).json()
    detail = (await client.get(f"/source-connections/{one['id']}")).json()
    job = detail["sync"]["last_job"]["id"]
    category = "oauth_credentials_expired"
    await set_job(job, status="failed", error="401", error_category=category)
    assert "Access has ended." in text_of(await browser.get(path))
    again = await browser.follow(await browser.post(f"{path}/consent", page=path))
    assert len(LINK.findall(again.text)) == 1
    shown = await client.get(f"/source-connections/{one['id']}")
    assert shown.json()["auth"]["auth_url"] in unescape(again.text)


async def test_a_refusal_is_told_on_the_connections_page(
    browser: Browser, provider: AuthorizationServer
) -> None:
    form = "/connections/new/tracker"
    made = await browser.post(form, collection="new", collection_name="My notes")
    provider.denies = True
    try:
        after = await give(browser, await browser.follow(made))
    finally:
        provider.denies = False

    assert "The provider did not give consent." in text_of(after)
    nowhere = await browser.get("/connections?source_connection_id=x")
    assert nowhere.headers["location"] == "/console/connections"
