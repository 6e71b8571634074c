"""Every page of the console: it answers, to its owner only, and shows what there is."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.api.conftest import Given, PutEntity, SetJob
from tests.api.console import Browser, browser_of, text_of

from wellhead.api.console.application import MEMBERS

HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"


@pytest.fixture
async def browser(app: Any, key: str) -> AsyncIterator[Browser]:
    async with browser_of(app, key) as one:
        yield one


@pytest.fixture
async def things(given: Given, client: httpx.AsyncClient) -> dict[str, str]:
    """Something for each step that paths have."""
    collection = await given.collection("Papers of mine")
    connection = await given.connection(
        readable_collection_id=collection["readable_id"]
    )
    messages = (await client.get("/webhooks/messages")).json()
    [key] = (await client.get("/api-keys")).json()
    return {
        "{readable_id}": collection["readable_id"],
        "/connections/{id:uuid}": f"/connections/{connection['id']}",
        "/jobs/{id:uuid}": f"/jobs/{connection['sync']['last_job']['id']}",
        "/keys/{id:uuid}": f"/keys/{key['id']}",
        "/webhooks/messages/{id}": f"/webhooks/messages/{messages[0]['id']}",
        "{short_name}": "stub",
    }


def path_of(path: str, things: dict[str, str]) -> str:
    for step, value in things.items():
        path = path.replace(step, value)
    return path


PAGES = [
    path
    for method, path, _ in MEMBERS
    if method == "GET"
    and not path.endswith("/subscribe")
    and not path.startswith("/webhooks/{id}")
]


async def test_each_page_answers_its_owner_and_nobody_else(
    browser: Browser, things: dict[str, str], stranger: httpx.AsyncClient, app: Any
) -> None:
    """The stranger is signed in, too; one's own lists are of course empty pages."""
    wrong = []

    async with browser_of(app, stranger.headers["x-api-key"]) as other:
        for path in PAGES:
            asked = path_of(path, things)
            own, theirs = await browser.get(asked), await other.get(asked)
            is_page = own.headers.get("content-type", "").startswith("text/html")
            if own.status_code != 200 or not is_page:
                wrong.append(f"{path} answers {own.status_code}: {text_of(own)}")
            is_about = "{" in path and "{short_name}" not in path
            if theirs.status_code != (404 if is_about else 200):
                wrong.append(f"{path} answers the stranger {theirs.status_code}")
            if "Papers of mine" in theirs.text:
                wrong.append(f"{path} tells the stranger a name")

    assert not wrong, "\n".join(wrong)


async def test_without_signing_in_no_page_shows_anything(app: Any) -> None:
    wrong = []

    async with browser_of(app) as browser:
        for method, path, _ in MEMBERS:
            asked = re.sub(r"\{id:uuid\}", str(uuid4()), path)
            asked = re.sub(r"\{\w+\}", "any", asked)
            response = await browser.client.request(method, f"/console{asked}")
            where = response.headers.get("location", "")
            is_led = where.startswith("/console/sign-in?next=")
            if not is_led and response.status_code not in (401, 403):
                wrong.append(f"{method} {path} answers {response.status_code}")

    assert not wrong, "\n".join(wrong)


async def test_names_are_shown_as_they_are_and_do_nothing(
    browser: Browser, given: Given, client: httpx.AsyncClient, put_entity: PutEntity
) -> None:
    name = HOSTILE[:40]
    collection = await given.collection(name)
    connection = await given.connection(
        name=name,
        description=HOSTILE,
        readable_collection_id=collection["readable_id"],
    )
    job = connection["sync"]["last_job"]["id"]
    await put_entity(connection["id"], HOSTILE, f"heron {HOSTILE}", url="javascript:x")

    paths = ["", "/collections", "/connections", "/jobs", "/audit", "/webhooks"]
    paths += [f"/connections/{connection['id']}", f"/jobs/{job}"]
    paths += [f"/connections/{connection['id']}/{one}" for one in ("edit", "delete")]
    paths.append(f"/collections/{collection['readable_id']}?q=heron&strategy=keyword")
    for path in paths:
        page = (await browser.get(path)).text
        assert "<img src=x" not in page, path
        assert "49" not in re.findall(r"'(\d+)", page)
        assert "javascript:x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<mark>heron</mark>" in page


async def test_a_job_is_shown_as_what_it_is(
    browser: Browser, given: Given, set_job: SetJob
) -> None:
    connection = await given.connection()
    job = connection["sync"]["last_job"]["id"]
    said = {}

    for status, more in (
        ("pending", {}),
        ("running", {"phase": "sweeping"}),
        ("cancelling", {"phase": "syncing"}),
        (
            "cancelled",
            {"rollback": "pending", "error_details": {"cleanup": {"entities": 7}}},
        ),
        ("failed", {"error": "the disk is full", "rollback": "none"}),
        ("completed", {"inserted": 1234567}),
    ):
        is_over = status in ("failed", "cancelled", "completed")
        at = datetime(2026, 1, 2, tzinfo=UTC) if is_over else None
        await set_job(job, status=status, **{**more, "completed_at": at})
        said[status] = text_of(await browser.get(f"/jobs/{job}"))

    assert "Cancel…" in said["pending"]
    assert "Removing what is gone from the source" in said["running"]
    assert "The worker was told to stop" in said["cancelling"]
    assert "7 entities that this job inserted are being taken back" in said["cancelled"]
    assert "the disk is full" in said["failed"]
    assert "1,234,567" in said["completed"]
    assert "Ask the collection" in said["completed"]


@pytest.mark.parametrize("number", ["9" * 5_000, "9" * 30, "\u0663", "\u00b2", "-1"])
async def test_no_number_in_an_address_is_too_long(
    browser: Browser, given: Given, number: str
) -> None:
    for path in (
        "/jobs?before=",
        "/audit?before=",
        "/collections?skip=",
        "/keys?skip=",
    ):
        answer = await browser.get(f"{path}{number}")
        assert answer.status_code == 200, path
    connection = await given.connection()
    run = f"/connections/{connection['id']}"
    ran = await browser.post(f"{run}/run", page=run, confirm_deletes=number)
    assert ran.status_code < 500


async def test_a_jobs_page_says_where_its_log_is(
    browser: Browser, given: Given
) -> None:
    connection = await given.connection()
    job = connection["sync"]["last_job"]["id"]
    said = text_of(await browser.get(f"/jobs/{job}"))

    assert f"grep {job} wellhead.log" in said
    assert f"journalctl -u wellhead -o cat | grep {job}" in said


async def test_the_stream_of_a_job_that_is_over_tells_it_whole_and_ends(
    browser: Browser, given: Given, set_job: SetJob, app: Any
) -> None:
    connection = await given.connection()
    job = connection["sync"]["last_job"]["id"]
    await set_job(job, status="completed", inserted=4321)
    asked = f"/jobs/{job}/subscribe", {"accept": "text/event-stream"}

    told = await browser.get(asked[0], headers=asked[1])
    async with browser_of(app) as anybody:
        refused = await anybody.get(asked[0], headers=asked[1])

    assert told.headers["content-type"].startswith("text/event-stream")
    kinds = re.findall(r"^event: (\w+)$", told.text, re.MULTILINE)
    assert kinds == ["hello", "parts", "end"]
    assert "4,321" in told.text
    assert refused.status_code == 401


async def test_a_stream_ends_with_the_server(
    browser: Browser, given: Given, app: Any
) -> None:
    await given.connection()
    app.state.progress.close()

    told = await browser.get("/jobs/subscribe")

    assert re.findall(r"^event: (\w+)$", told.text, re.MULTILINE) == ["hello"]
