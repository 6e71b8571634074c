"""Schedules, runs and what a connection shows of them, over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from wellhead.services.parts import Parts
from wellhead.store import connections
from wellhead.store.schema import source_connection

NO_SCHEDULE = {"schedule": {"cron": None}, "sync_immediately": False}


@pytest.fixture
def patch(client: httpx.AsyncClient) -> Any:
    async def patch(made: Any, **values: Any) -> httpx.Response:
        return await client.patch(f"/source-connections/{made['id']}", json=values)

    return patch


@pytest.fixture
def set_connection(parts: Parts) -> Any:
    async def write(**columns: Any) -> None:
        async with parts.db.begin() as connection:
            await connection.execute(update(source_connection).values(**columns))

    return write


DEFAULT = "4 3 * * *"
ON_CREATE: list[Any] = [
    ({}, "stub", DEFAULT),
    ({"schedule": None}, "stub", DEFAULT),
    ({"schedule": {}}, "stub", None),
    ({"schedule": {"cron": None}}, "stub", None),
    ({"schedule": {"cron": " 0  6 * * 1 "}}, "stub", "0 6 * * 1"),
    ({}, "incremental_stub", "*/5 * * * *"),
    (
        {"schedule": {"cron": "*/2 * * * *", "continuous": True, "cursor_field": "x"}},
        "incremental_stub",
        "*/2 * * * *",
    ),
]


async def test_a_new_connection_has_the_schedule_that_was_meant(
    given: Any, subtests: pytest.Subtests
) -> None:
    for more, short_name, cron in ON_CREATE:
        with subtests.test(more=more, short_name=short_name):
            made = await given.connection(short_name=short_name, **more)

            assert made["schedule"]["cron"] == cron
            assert (made["schedule"]["next_run"] is None) == (cron is None)
            assert made["schedule"]["continuous"] is False
            assert made["schedule"]["cursor_field"] is None
            assert made["schedule"]["cursor_value"] is None


async def test_the_next_run_is_what_the_cron_names_next(
    given: Any, client: Any, parts: Parts, still_clock: Any
) -> None:
    made = await given.connection(schedule={"cron": "30 * * * *"})
    path = f"/source-connections/{made['id']}"
    still_clock.at += timedelta(hours=5)

    later = (await client.get(path)).json()

    assert made["schedule"]["next_run"] == "2026-01-02T03:30:00Z"
    assert later["schedule"]["next_run"] == "2026-01-02T08:30:00Z"
    async with parts.db.connect() as connection:
        row = await connections.get(connection, UUID(made["id"]))
    assert row is not None
    assert row.next_run_at is not None
    late = row.next_run_at.replace(tzinfo=None).isoformat()
    assert "2026-01-02T03:30:00" < late < "2026-01-02T03:35:00"


async def test_runs_every_few_minutes_are_refused_for_sources_that_list_everything(
    given: Any, client: httpx.AsyncClient
) -> None:
    await given.collection(readable_id="mine")
    for cron in ("* * * * *", "*/1 * * * *", "*/59 * * * *"):
        response = await client.post(
            "/source-connections",
            json={
                "short_name": "stub",
                "readable_collection_id": "mine",
                "authentication": {"credentials": {"stub_key": "stub"}},
                "schedule": {"cron": cron},
            },
        )

        assert response.status_code == 400
        assert response.json()["detail"] == (
            "Source 'stub' does not support continuous syncs. "
            "Minimum interval is 1 hour."
        )


@pytest.mark.parametrize("none", [None, {"cron": None}, {}])
async def test_a_patch_removes_the_schedule_and_leaves_the_sync(
    given: Any, patch: Any, parts: Parts, none: Any
) -> None:
    made = await given.connection(short_name="incremental_stub")

    changed = (await patch(made, schedule=none)).json()

    assert changed["schedule"]["cron"] is None
    assert changed["schedule"]["next_run"] is None
    assert changed["sync_id"] == made["id"]
    async with parts.db.connect() as connection:
        row = await connections.get(connection, UUID(made["id"]))
    assert row is not None
    assert (row.next_run_at, row.next_full_at) == (None, None)


async def test_a_patch_of_something_else_leaves_the_schedule(
    given: Any, patch: Any, parts: Parts, still_clock: Any
) -> None:
    made = await given.connection(short_name="incremental_stub")
    async with parts.db.connect() as connection:
        before = await connections.get(connection, UUID(made["id"]))
    still_clock.at += timedelta(seconds=30)

    changed = (await patch(made, description="why", config={"entity_count": 4})).json()

    assert changed["schedule"] == made["schedule"]
    async with parts.db.connect() as connection:
        after = await connections.get(connection, UUID(made["id"]))
    assert before is not None
    assert after is not None
    assert after.next_run_at == before.next_run_at
    assert after.next_full_at == before.next_full_at is not None


async def test_without_a_run_and_a_schedule_there_is_no_sync_until_one_is_asked_for(
    given: Any, client: httpx.AsyncClient, patch: Any
) -> None:
    made = await given.connection(**NO_SCHEDULE)
    path = f"/source-connections/{made['id']}"

    without = await client.get(f"{path}/sync-id")
    scheduled = (await patch(made, schedule={"cron": "0 * * * *"})).json()
    other = await given.connection(**NO_SCHEDULE)
    started = await client.post(f"/source-connections/{other['id']}/run")
    run = (await client.get(f"/source-connections/{other['id']}")).json()

    assert (made["sync_id"], made["sync"], made["schedule"]) == (None, None, None)
    assert without.status_code == 404
    assert without.json() == {"detail": "No sync found for this source connection"}
    assert scheduled["sync_id"] == made["id"]
    assert scheduled["schedule"]["cron"] == "0 * * * *"
    assert started.status_code == 200
    assert run["sync_id"] == other["id"]
    assert run["schedule"]["cron"] is None


async def test_all_jobs_are_counted_not_only_the_last(
    given: Any, client: httpx.AsyncClient, set_job: Any
) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}"
    job_id = made["sync"]["last_job"]["id"]
    for status in ("completed", "failed", "cancelled", "completed"):
        await set_job(job_id, status=status)
        job_id = (await client.post(f"{path}/run")).json()["id"]

    sync = (await client.get(path)).json()["sync"]

    assert sync["total_runs"] == 5
    assert sync["successful_runs"] == 2
    assert sync["failed_runs"] == 1
    assert sync["last_job"]["id"] == job_id


BODIES: list[Any] = [
    {},
    {"content": ""},
    {"json": None},
    {"json": []},
    {"json": "now"},
    {"json": {"force_full_sync": None, "whatever": {"a": 1}}},
    {"data": {"a": "form"}},
]


async def test_a_run_ignores_bodies_that_ask_for_nothing(
    given: Any, client: httpx.AsyncClient, set_job: Any, subtests: pytest.Subtests
) -> None:
    made = await given.connection(sync_immediately=False)
    for body in BODIES:
        with subtests.test(body=body):
            response = await client.post(
                f"/source-connections/{made['id']}/run", **body
            )

            assert response.status_code == 200
            assert response.json()["status"] == "pending"
            await set_job(response.json()["id"], status="completed")


async def test_a_paused_connection_runs_again_once_it_has_new_credentials(
    given: Any, client: httpx.AsyncClient, patch: Any, set_connection: Any
) -> None:
    made = await given.connection(sync_immediately=False)
    path = f"/source-connections/{made['id']}/run"
    await set_connection(paused_reason="api_key_invalid")

    paused = await client.post(path)
    await patch(made, name="Still paused")
    still = await client.post(path)
    await patch(made, authentication={"credentials": {"stub_key": "new"}})
    mended = await client.post(path)

    assert (paused.status_code, still.status_code) == (409, 409)
    said = paused.json()["detail"]
    assert said.startswith("Cannot trigger sync: sync is paused")
    assert mended.status_code == 200


async def test_one_that_waits_for_consent_cannot_run(
    given: Any, client: httpx.AsyncClient, set_connection: Any
) -> None:
    made = await given.connection(**NO_SCHEDULE)
    path = f"/source-connections/{made['id']}"
    await set_connection(is_authenticated=False)

    shown = (await client.get(path)).json()
    [listed] = (await client.get("/source-connections")).json()
    collection = await client.get(f"/collections/{made['readable_collection_id']}")
    refused = await client.post(f"{path}/run")

    assert shown["status"] == listed["status"] == "pending_auth"
    assert shown["auth"]["authenticated"] is listed["is_authenticated"] is False
    assert shown["auth"]["authenticated_at"] is None
    assert collection.json()["status"] == "NEEDS SOURCE"
    assert refused.status_code == 404
    assert refused.json() == {"detail": "No sync found for this source connection"}
