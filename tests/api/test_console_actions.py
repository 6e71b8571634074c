"""What can be done in the console, form by form, and what forms say when it cannot."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.api.conftest import Given, PutEntity, SetJob
from tests.api.console import Browser, browser_of, text_of
from tests.api.test_search_agentic import FINISH
from tests.api.thinking import thinking
from tests.scripted_model import calls

from wellhead.api.application import create_app
from wellhead.api.console.views import exploring
from wellhead.services.parts import Parts

ENDPOINT = "https://93.184.216.34/never-called"


@pytest.fixture
def app(parts: Parts) -> Any:
    """The application, which lets endpoints be named that are not there."""
    endpoints = replace(parts.webhooks, verify_endpoints=False)
    return create_app(replace(parts, webhooks=endpoints), auth=True)


@pytest.fixture
async def browser(app: Any, key: str) -> AsyncIterator[Browser]:
    async with browser_of(app, key) as one:
        yield one


async def test_a_source_is_connected_with_a_collection_of_its_own(
    browser: Browser, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    path = "/connections/new/file_system"
    (tmp_path / "note.md").write_text("a note")
    new = {"collection": "new", "collection_name": "Fresh papers"}

    empty = await browser.post(path, **new)
    absent = await browser.post(path, **new, **{"config.path": "/not/there"})
    short = await browser.post(
        path, collection="new", collection_name="abc", **{"config.path": str(tmp_path)}
    )
    nothing = (await client.get("/collections")).json()
    made = await browser.post(
        path,
        **new,
        name="Notes of mine",
        **{"config.path": str(tmp_path), "config.include": "*.md\n\n*.txt"},
    )
    page = await browser.follow(made)
    [collection] = (await client.get("/collections")).json()
    [connection] = (await client.get("/source-connections")).json()
    details = (await client.get(f"/source-connections/{connection['id']}")).json()

    assert (empty.status_code, absent.status_code) == (422, 400)
    assert 'id="config-path-problem"' in empty.text
    assert "/not/there" in text_of(absent)
    assert 'id="collection_name-problem"' in short.text
    assert nothing == []
    assert "“Notes of mine” is connected and syncing." in text_of(page)
    assert collection["name"] == "Fresh papers"
    assert details["config"]["include"] == ["*.md", "*.txt"]
    assert details["config"]["use_ignore_files"] is False


async def test_a_run_is_started_and_a_second_one_is_refused_in_words(
    browser: Browser, given: Given, set_job: SetJob
) -> None:
    connection = await given.connection()
    page = f"/connections/{connection['id']}"

    refused = await browser.post(f"{page}/run", page=page)
    told = await browser.follow(refused)
    await set_job(connection["sync"]["last_job"]["id"], status="completed")
    started = await browser.post(f"{page}/run", page=page, mode="full")
    job = await browser.follow(started)

    assert "a sync job is already pending" in text_of(told)
    assert "a sync job is already pending" not in text_of(await browser.get(page))
    assert re.match(r"/console/jobs/[0-9a-f-]{36}$", started.headers["location"])
    assert "Full sync" in text_of(job)


async def test_a_job_is_cancelled_after_a_page_that_says_what_that_does(
    browser: Browser, given: Given, client: httpx.AsyncClient, set_job: SetJob
) -> None:
    connection = await given.connection()
    job = connection["sync"]["last_job"]["id"]
    await set_job(job, status="running", inserted=12)

    asked = text_of(await browser.get(f"/jobs/{job}/cancel"))
    done = await browser.post(f"/jobs/{job}/cancel", keep="no")
    page = text_of(await browser.follow(done))
    path = f"/source-connections/{connection['id']}/jobs/{job}"

    assert "The 12 entities that this job inserted disappear from searches" in asked
    assert "The worker was told to stop" in page
    assert "Cancel requested by First key" in page
    assert (await client.get(path)).json()["status"] == "cancelling"


async def test_a_schedule_is_read_aloud_saved_refused_and_taken_away(
    browser: Browser, given: Given, client: httpx.AsyncClient
) -> None:
    connection = await given.connection()
    page = f"/connections/{connection['id']}/schedule"

    async def cron() -> Any:
        found = (await client.get(f"/source-connections/{connection['id']}")).json()
        return (found["schedule"] or {}).get("cron")

    preview = await browser.get(f"{page}?cron=0+3+*+*+1", headers={"x-part": "1"})
    odd = await browser.post(page, how="cron", cron="61 * * * *")
    often = await browser.post(page, how="cron", cron="*/5 * * * *")
    await browser.post(page, how="cron", cron="0 3 * * 1")
    saved = await cron()
    await browser.post(page, how="never")

    assert "Every Monday at 03:00 UTC." in text_of(preview)
    assert preview.text.count("<li>") == 5
    assert "Invalid CRON expression" in text_of(odd)
    assert "does not support continuous syncs" in text_of(often)
    assert saved == "0 3 * * 1"
    assert await cron() is None


def as_sent(page: str) -> dict[str, str]:
    """Return what a browser sends of the configuration when nothing is touched."""
    boxes = re.findall(r"<(?:input|select|textarea)[^>]*config\.[^>]*>", page)
    found = {}
    for box in boxes:
        name, value = (re.search(rf'{one}="([^"]*)"', box) for one in ("name", "value"))
        assert name is not None
        if value is not None and ("checkbox" not in box or " checked" in box):
            found[name[1]] = value[1]
    return found


async def test_editing_keeps_a_config_that_was_not_touched(
    browser: Browser, given: Given, client: httpx.AsyncClient
) -> None:
    connection = await given.connection(config={"entity_count": 7})
    page = f"/connections/{connection['id']}/edit"

    shown = (await browser.get(page)).text
    fields = as_sent(shown)
    same = await browser.post(page, name="Another name", **fields)
    said_same = text_of(await browser.follow(same))
    renamed = (await client.get(f"/source-connections/{connection['id']}")).json()
    changed = await browser.post(
        page, name="Another name", **{**fields, "config.entity_count": "9"}
    )
    said_changed = text_of(await browser.follow(changed))
    wrong = await browser.post(
        page, name="abc", **{**fields, "config.entity_count": "many"}
    )
    details = (await client.get(f"/source-connections/{connection['id']}")).json()

    assert fields["config.entity_count"] == "7"
    assert "reads everything" not in said_same
    assert renamed["name"] == "Another name"
    assert "reads everything once" in said_changed
    assert details["config"]["entity_count"] == 9
    assert wrong.status_code == 422
    assert 'value="many"' in wrong.text


async def test_searching_shows_passages_and_the_same_call_for_programs(
    browser: Browser, given: Given, put_entity: PutEntity
) -> None:
    collection = await given.collection()
    readable = collection["readable_id"]
    connection = await given.connection(readable_collection_id=readable)
    await put_entity(connection["id"], "birds.md", "The heron stands still.", raw={})
    page = f"/collections/{readable}"

    found = await browser.get(f"{page}?q=heron's+stand&strategy=keyword&name=birds")
    none = await browser.get(f"{page}?q=heron&strategy=keyword&name=fish")
    odd = await browser.get(f"{page}?q=heron&after=someday")
    agentic = await browser.get(f"{page}?q=heron&tier=agentic")
    classic = await browser.get(f"{page}?q=heron&tier=classic")

    assert "<mark>heron</mark>" in found.text
    assert "1 passage in" in text_of(found)
    assert "X-API-Key: $WELLHEAD_API_KEY" in text_of(found)
    assert '"field": "name", "operator": "contains", "value": "birds"' in text_of(found)
    assert "heron'\\''s stand" in text_of(found)
    assert "Nothing was found" in text_of(none)
    assert "The search was not done." in text_of(odd)
    assert "needs a language model" in text_of(agentic)
    assert "No language model is configured" in text_of(classic)


async def test_an_agentic_search_says_what_it_lacks(
    parts: Any, key: str, given: Given, put_entity: PutEntity
) -> None:
    connection = await given.connection()
    await put_entity(connection["id"], "birds.md", "The heron stands still.")
    async with parts.db.begin() as db:
        await db.execute(text("UPDATE collection SET embedding_model_name = 'gone'"))
    path = f"/collections/{connection['readable_collection_id']}"
    lines = (calls(("search", {"query": "heron"})), FINISH, FINISH)
    async with (
        thinking(parts, key, *lines) as wired,
        browser_of(wired.app, key) as browser,
    ):
        token = await browser.token(path)
        told = await browser.get(
            f"{path}/search/agentic/subscribe?q=heron&tier=agentic&form_token={token}"
        )

    assert "event: end" in told.text
    assert "It was searched by words only: the collection" in told.text


async def test_an_agentic_search_that_breaks_says_so(
    parts: Any, key: str, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await given.connection()
    path = f"/collections/{connection['readable_collection_id']}"

    async def broken(*_: Any) -> None:
        raise TypeError("a mistake of the program")

    monkeypatch.setattr(exploring, "explore", broken)
    async with thinking(parts, key) as wired, browser_of(wired.app, key) as browser:
        token = await browser.token(path)
        told = await browser.get(
            f"{path}/search/agentic/subscribe?q=heron&tier=agentic&form_token={token}"
        )

    assert "The search failed; please try again" in told.text
    assert "event: end" in told.text
    assert "a mistake" not in told.text


async def test_keys_are_made_shown_once_replaced_and_revoked(
    browser: Browser, client: httpx.AsyncClient
) -> None:
    nameless = await browser.post("/keys", name=" ", life="90")
    made = await browser.post("/keys", name="laptop", life="30")
    plain = re.search(r"<code>([\w-]{43})</code>", made.text)
    assert plain is not None
    again = await browser.get("/keys")
    [new] = [k for k in (await client.get("/api-keys")).json() if k["name"] == "laptop"]
    works = await client.get("/collections", headers={"x-api-key": plain[1]})
    rotated = await browser.post(f"/keys/{new['id']}/rotate", page="/keys")
    twice = await browser.post(f"/keys/{new['id']}/rotate", page="/keys")
    told = text_of(await browser.follow(twice))
    gone = await browser.post(f"/keys/{new['id']}/revoke")
    refused = await client.get("/collections", headers={"x-api-key": plain[1]})

    assert nameless.status_code == 422
    assert plain[1] not in again.text
    assert works.status_code == 200
    assert "not shown again" in text_of(rotated)
    assert "was rotated already" in told
    assert gone.status_code == 303
    assert refused.status_code == 403


async def test_webhooks_are_made_shown_sent_again_and_deleted(
    browser: Browser, stranger: httpx.AsyncClient, app: Any
) -> None:
    wrong = await browser.post(
        "/webhooks/new", url="nothing", event_types="sync.failed"
    )
    without = await browser.post("/webhooks/new", url=ENDPOINT)
    made = await browser.post(
        "/webhooks/new", url=ENDPOINT, event_types=["sync.failed", "sync.completed"]
    )
    path = made.headers["location"].removeprefix("/console")
    page = await browser.get(path)
    secret = await browser.post(f"{path}/secret", page=path)
    again = await browser.post(f"{path}/resend", page=path, span="week")
    resent = text_of(await browser.follow(again))
    off = await browser.post(f"{path}/change", page=path, disabled="yes")
    said = text_of(await browser.get(path))
    async with browser_of(app, stranger.headers["x-api-key"]) as other:
        theirs = [await other.get(path), await other.get(f"{path}/delete")]
        theirs.append(await other.post(f"{path}/secret", page="/keys"))
    gone = await browser.post(f"{path}/delete")

    assert 'id="url-problem"' in wrong.text
    assert "cannot be empty" in text_of(without)
    assert "whsec_" not in page.text
    assert "whsec_" in secret.text
    assert "nothing to send again" in resent
    assert off.status_code == 303
    assert "Switched off" in said
    assert [one.status_code for one in theirs] == [404, 404, 404]
    assert gone.headers["location"] == "/console/webhooks"


async def test_deleting_says_what_goes_and_wants_to_be_meant(
    browser: Browser, given: Given, client: httpx.AsyncClient, put_entity: PutEntity
) -> None:
    collection = await given.collection("Old papers")
    readable = collection["readable_id"]
    first = await given.connection(readable_collection_id=readable)
    await given.connection(readable_collection_id=readable)
    await put_entity(first["id"], "one", "text")

    asked = text_of(await browser.get(f"/connections/{first['id']}/delete"))
    await browser.post(f"/connections/{first['id']}/delete")
    left = (await client.get("/source-connections")).json()
    mistyped = await browser.post(f"/collections/{readable}/delete", confirm="yes")
    told = text_of(await browser.follow(mistyped))
    still = (await client.get("/collections")).json()
    await browser.post(f"/collections/{readable}/delete", confirm=readable)

    assert "1 entity with their passages and vectors" in asked
    assert "the history of 1 job; the one under way is cancelled." in asked
    assert [one["id"] for one in left] != [first["id"]]
    assert len(left) == 1
    assert "Nothing was deleted" in told
    assert len(still) == 1
    assert (await client.get("/collections")).json() == []
