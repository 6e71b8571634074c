"""Source connections over HTTP."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text, update

from wellhead.services.parts import Parts
from wellhead.store import connections
from wellhead.store.schema import source_connection
from wellhead.store.schema_webhooks import event

SECRET = {"stub_key": "stub"}
DIRECT = {"credentials": SECRET}
STORED = """
SELECT needs_full, next_run_at, (
  SELECT count(*) FROM audit_log WHERE action = 'source_connection.changed'
) AS changes FROM source_connection WHERE id = :id
"""


async def test_a_new_connection_has_its_first_job_pending(
    given: Any, client: Any
) -> None:
    made = await given.connection(name="My stub", config={"entity_count": 3})

    assert made["status"] == "active"
    assert made["sync"]["last_job"]["status"] == "pending"
    assert made["sync"]["total_runs"] == 1
    assert made["sync_id"] == made["id"]
    assert made["auth"] == {
        **made["auth"],
        "method": "direct",
        "authenticated": True,
        "authenticated_at": "2026-01-02T03:04:05Z",
    }
    assert made["config"] == {"entity_count": 3}
    assert made["entities"] is None
    path = f"/source-connections/{made['id']}"
    assert (await client.get(path)).json() == made
    assert (await client.get(f"{path}/sync-id")).json() == {"sync_id": made["id"]}


async def test_without_sync_immediately_there_is_no_job(given: Any) -> None:
    made = await given.connection(sync_immediately=False)

    assert made["sync"] is None


async def test_credentials_are_encrypted_and_never_shown(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection()

    async with parts.db.connect() as connection:
        ciphertext = await connections.ciphertext(connection, UUID(made["id"]))
    assert ciphertext is not None
    assert b"stub_key" not in ciphertext
    assert parts.cipher.decrypt(ciphertext) == SECRET
    shown = await client.get(f"/source-connections/{made['id']}")
    assert "stub_key" not in shown.text


async def test_the_name_comes_from_the_source(given: Any) -> None:
    made = await given.connection()

    assert made["name"].endswith(" Connection")


async def test_a_name_is_kept_without_the_spaces_around_it(
    given: Any, client: Any
) -> None:
    longest = "x" * 42
    made = await given.connection(name=f"  {longest} ", description="y" * 255)
    path = f"/source-connections/{made['id']}"

    renamed = await client.patch(path, json={"name": " Four "})
    for bad in ("    ", " abc ", "x" * 43):
        refused = await client.patch(path, json={"name": bad})
        assert refused.status_code == 422
        assert "body.name" in refused.json()["errors"][0]
    too_long = await client.patch(path, json={"description": "y" * 256})

    assert (made["name"], made["description"]) == (longest, "y" * 255)
    assert renamed.json()["name"] == "Four"
    assert too_long.status_code == 422


async def test_a_source_without_required_credentials_needs_no_authentication(
    given: Any, client: Any, tmp_path: Path
) -> None:
    readable_id = (await given.collection())["readable_id"]
    variants: list[Any] = [{}, {"authentication": {"credentials": {}}}]
    for more in variants:
        response = await client.post(
            "/source-connections",
            json={
                "short_name": "file_system",
                "readable_collection_id": readable_id,
                "config": {"path": str(tmp_path)},
                **more,
            },
        )
        assert response.status_code == 200, response.text
        assert response.json()["auth"]["method"] == "direct"


async def test_the_type_of_an_authentication_is_ignored(given: Any) -> None:
    made = await given.connection(authentication={"type": "direct", **DIRECT})

    assert made["auth"]["method"] == "direct"


async def test_lists_can_be_of_one_collection(given: Any, client: Any) -> None:
    one = await given.connection()
    await given.connection()
    readable_id = one["readable_collection_id"]

    everything = (await client.get("/source-connections/")).json()
    filtered = await client.get(
        "/source-connections", params={"collection": readable_id}
    )
    alias = await client.get(f"/collections/{readable_id}/source-connections/")
    unknown = await client.get("/source-connections", params={"collection": "nope"})

    assert len(everything) == 2
    assert [item["id"] for item in filtered.json()] == [one["id"]]
    assert alias.json() == filtered.json()
    assert unknown.json() == []
    assert filtered.json()[0] == {
        "id": one["id"],
        "name": one["name"],
        "short_name": "stub",
        "readable_collection_id": readable_id,
        "created_at": one["created_at"],
        "modified_at": one["modified_at"],
        "is_authenticated": True,
        "entity_count": 0,
        "federated_search": False,
        "auth_method": "direct",
        "status": "active",
    }


STATUS_AFTER_JOB: list[Any] = [
    ("running", {}, "syncing"),
    ("cancelling", {}, "syncing"),
    ("completed", {}, "active"),
    ("cancelled", {}, "active"),
    ("failed", {"error": "boom"}, "error"),
    (
        "failed",
        {"error": "boom", "error_category": "api_key_invalid"},
        "needs_reauth",
    ),
    ("failed", {"error": "boom", "error_category": "config_invalid"}, "error"),
]


async def test_the_status_follows_the_last_job(
    given: Any, client: Any, set_job: Any, subtests: pytest.Subtests
) -> None:
    made = await given.connection()
    for status, more, shown in STATUS_AFTER_JOB:
        with subtests.test(status=status, more=more, shown=shown):
            await set_job(made["sync"]["last_job"]["id"], status=status, **more)

            now = (await client.get(f"/source-connections/{made['id']}")).json()

            assert now["status"] == shown
            assert now["error_category"] == more.get("error_category")
            assert (now["error_message"] is not None) == (status == "failed")


CATEGORIES = [
    "oauth_credentials_expired",
    "api_key_invalid",
    "auth_provider_account_gone",
    "auth_provider_credentials_invalid",
]


async def test_trouble_with_credentials_is_told_in_words_that_say_what_to_do(
    given: Any, client: Any, set_job: Any
) -> None:
    made = await given.connection()
    said = set()
    for category in CATEGORIES:
        await set_job(
            made["sync"]["last_job"]["id"],
            status="failed",
            error="403 from host-7",
            error_category=category,
        )

        now = (await client.get(f"/source-connections/{made['id']}")).json()

        assert now["status"] == "needs_reauth"
        assert now["error_category"] == category
        assert now["sync"]["last_job"]["error_category"] == category
        assert now["sync"]["last_job"]["error"] == "403 from host-7"
        assert "host-7" not in now["error_message"]
        assert (now["provider_settings_url"], now["provider_short_name"]) == (
            None,
            None,
        )
        said.add(now["error_message"])
    assert len(said) == len(CATEGORIES)


async def test_a_daily_schedule_is_the_default(given: Any) -> None:
    made = await given.connection()

    assert made["schedule"] == {
        "cron": "4 3 * * *",
        "next_run": "2026-01-03T03:04:00Z",
        "continuous": False,
        "cursor_field": None,
        "cursor_value": None,
    }


async def test_a_continuous_source_runs_every_five_minutes(given: Any) -> None:
    made = await given.connection(short_name="incremental_stub")

    assert made["schedule"]["cron"] == "*/5 * * * *"


@pytest.mark.parametrize("schedule", [{}, {"cron": None}])
async def test_a_schedule_can_be_declined(given: Any, schedule: Any) -> None:
    made = await given.connection(schedule=schedule)

    assert made["schedule"]["cron"] is None
    assert made["schedule"]["next_run"] is None


BAD_CRONS: list[Any] = ["nonsense", "* * * *", "61 * * * *", "0 0 31 2 *"]


async def test_a_bad_cron_is_refused(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    made = await given.connection()
    readable_id = made["readable_collection_id"]
    for cron in BAD_CRONS:
        with subtests.test(cron=cron):
            for response in (
                await client.post(
                    "/source-connections",
                    json={
                        "short_name": "stub",
                        "readable_collection_id": readable_id,
                        "authentication": DIRECT,
                        "schedule": {"cron": cron},
                    },
                ),
                await client.patch(
                    f"/source-connections/{made['id']}",
                    json={"schedule": {"cron": cron}},
                ),
            ):
                assert response.status_code == 422
                assert response.json()["detail"] == f"Invalid CRON expression: {cron}"
                assert list(response.json()["errors"][0]) == ["body.schedule.cron"]


async def test_runs_every_few_minutes_are_for_continuous_sources(
    given: Any, client: Any
) -> None:
    made = await given.connection()

    refused = await client.patch(
        f"/source-connections/{made['id']}", json={"schedule": {"cron": "*/30 * * * *"}}
    )
    allowed = await client.patch(
        f"/source-connections/{made['id']}",
        json={"schedule": {"cron": "0,30 * * * *"}},
    )

    assert refused.status_code == 400
    assert refused.json()["detail"] == (
        "Source 'stub' does not support continuous syncs. Minimum schedule interval "
        "is 1 hour (e.g., '0 * * * *' for hourly)."
    )
    assert allowed.json()["schedule"]["next_run"] == "2026-01-02T03:30:00Z"


async def test_a_patch_that_says_what_is_so_already_changes_nothing(
    given: Any, client: Any, parts: Parts, still_clock: Any
) -> None:
    made = await given.connection(
        description="mine", config={"entity_count": 7}, schedule={"cron": "0 3 * * *"}
    )
    address = f"/source-connections/{made['id']}"
    same = {
        "name": made["name"],
        "description": "mine",
        "config": made["config"],
        "schedule": {"cron": " 0  3 * * * "},
    }
    nothing = {"name": None, "config": None, "authentication": None}
    still_clock.at += timedelta(days=2)  # past the moment that it is due at

    for body in (same, nothing, {**same, **nothing}):
        unchanged = await client.patch(address, json=body)

        assert unchanged.status_code == 200
        assert unchanged.json()["modified_at"] == made["modified_at"]
    async with parts.db.connect() as connection:
        row = (await connection.execute(text(STORED), {"id": made["id"]})).one()
    assert (row.needs_full, row.changes) == (False, 0)
    assert row.next_run_at < still_clock.at
    removed = await client.patch(address, json={"description": None, "schedule": None})
    assert (removed.json()["description"], removed.json()["schedule"]["cron"]) == (
        None,
        None,
    )
    assert removed.json()["modified_at"] > made["modified_at"]


async def test_a_patch_replaces_the_config_and_asks_for_a_full_run(
    given: Any, client: Any, parts: Parts, still_clock: Any
) -> None:
    made = await given.connection(config={"entity_count": 3, "seed": 7})
    still_clock.at += timedelta(minutes=1)

    response = await client.patch(
        f"/source-connections/{made['id']}",
        json={"name": "Renamed", "description": "why", "config": {"entity_count": 4}},
    )

    changed = response.json()
    assert changed["config"] == {"entity_count": 4}
    assert (changed["name"], changed["description"]) == ("Renamed", "why")
    assert changed["modified_at"] > made["modified_at"]
    async with parts.db.connect() as connection:
        found = await connections.get(connection, UUID(made["id"]))
    assert found is not None
    assert found.needs_full


async def test_a_null_removes_description_and_schedule(given: Any, client: Any) -> None:
    made = await given.connection(description="why")

    response = await client.patch(
        f"/source-connections/{made['id']}",
        json={"description": None, "schedule": None, "name": None},
    )

    assert response.json()["description"] is None
    assert response.json()["schedule"]["cron"] is None
    assert response.json()["name"] == made["name"]


async def test_new_credentials_end_a_pause(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection()
    async with parts.db.begin() as connection:
        await connection.execute(
            update(source_connection).values(paused_reason="api_key_invalid")
        )

    response = await client.patch(
        f"/source-connections/{made['id']}",
        json={"authentication": {"credentials": {"stub_key": "other"}}},
    )

    assert response.status_code == 200
    async with parts.db.connect() as connection:
        found = await connections.get(connection, UUID(made["id"]))
        ciphertext = await connections.ciphertext(connection, UUID(made["id"]))
    assert found is not None
    assert found.paused_reason is None
    assert ciphertext is not None
    assert parts.cipher.decrypt(ciphertext) == {"stub_key": "other"}


async def test_an_empty_patch_is_refused(given: Any, client: Any) -> None:
    made = await given.connection()

    response = await client.patch(f"/source-connections/{made['id']}", json={})

    assert response.status_code == 422
    assert "At least one field must be provided for update" in response.text


async def test_only_credentials_can_be_patched_into_an_authentication(
    given: Any, client: Any
) -> None:
    made = await given.connection()

    response = await client.patch(
        f"/source-connections/{made['id']}",
        json={"authentication": {"access_token": "secret-token"}},
    )

    assert response.status_code == 422
    assert "secret-token" not in response.text


async def test_a_deleted_connection_is_gone_at_once(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}"
    job_id = made["sync"]["last_job"]["id"]

    deleted = await client.delete(path)

    assert deleted.status_code == 200
    assert deleted.json() == made
    for gone in (
        await client.get(path),
        await client.delete(path),
        await client.patch(path, json={"name": "Still here"}),
        await client.post(f"{path}/run"),
        await client.get(f"{path}/jobs"),
        await client.get(f"{path}/jobs/{job_id}"),
    ):
        assert gone.status_code == 404, gone.text
    async with parts.db.connect() as connection:
        told = await connection.execute(
            select(event.c.event_type, event.c.payload).order_by(event.c.id)
        )
        tasks = await connection.exec_driver_sql(
            "SELECT task_name FROM procrastinate_jobs"
        )
    assert "purge_connection" in set(tasks.scalars())
    by_type = {row.event_type: row.payload for row in told}
    assert "sync.cancelled" in by_type
    assert by_type["source_connection.created"]["is_authenticated"] is True
    deleted_event = by_type["source_connection.deleted"]
    assert deleted_event == {
        **deleted_event,
        "source_connection_id": made["id"],
        "collection_readable_id": made["readable_collection_id"],
        "source_type": "stub",
        "is_authenticated": False,
    }


REFUSED: list[Any] = [
    ({"short_name": "nope"}, 404, "Source 'nope' not found"),
    ({"readable_collection_id": "nope"}, 404, "Collection not found"),
    (
        {"authentication": {"access_token": "t"}},
        400,
        "Source stub does not support this authentication method. "
        "Supported methods: ['direct']",
    ),
    (
        {"authentication": {"provider_readable_id": "p"}},
        400,
        "Source stub does not support this authentication method. "
        "Supported methods: ['direct']",
    ),
    (
        {"authentication": {"client_id": "a", "client_secret": "b"}},
        400,
        "Source stub does not support this authentication method. "
        "Supported methods: ['direct']",
    ),
    (
        {"config": {"entity_cuont": 3}},
        422,
        "Invalid config fields: entity_cuont: Extra inputs are not permitted",
    ),
    (
        {"authentication": {"credentials": {}}},
        422,
        "Credentials cannot be empty",
    ),
]


async def test_what_cannot_be_connected_says_why(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    await given.collection(readable_id="mine")
    for change, status, detail in REFUSED:
        with subtests.test(change=change, status=status, detail=detail):
            body = {
                "short_name": "stub",
                "readable_collection_id": "mine",
                "authentication": DIRECT,
                **change,
            }

            response = await client.post("/source-connections", json=body)

            assert response.status_code == status
            assert response.json()["detail"] == detail
            assert (await client.get("/source-connections")).json() == []


BAD_FIELDS: list[Any] = [
    ({"config": {"entity_count": "many"}}, "body.config.entity_count"),
    ({"config": {"nope": 1}}, "body.config.nope"),
    (
        {"authentication": {"credentials": {"nope": "s3cr3t-value"}}},
        "body.authentication.credentials.nope",
    ),
    (
        {"authentication": {"credentials": "s3cr3t-value"}},
        "body.authentication.direct.credentials",
    ),
    (
        {"authentication": {"access_token": " "}},
        "body.authentication.oauth_token.access_token",
    ),
    (
        {"authentication": {"client_id": "a"}},
        "body.authentication.oauth_browser",
    ),
    ({"authentication": {"credentials": {"a": 1}, "surplus": 1}}, None),
    ({"name": "abc"}, "body.name"),
    ({"name": "x" * 43}, "body.name"),
    ({"name": "    "}, "body.name"),
    ({"name": "  abc   "}, "body.name"),
    ({"description": "x" * 256}, "body.description"),
    ({"short_name": 7}, "body.short_name"),
    ({"readable_collection_id": None}, "body.readable_collection_id"),
    ({"sync_immediately": "perhaps"}, "body.sync_immediately"),
    ({"config": "text"}, "body.config"),
    ({"schedule": {"cron": 5}}, "body.schedule.cron"),
]


async def test_a_bad_field_is_named_and_no_secret_repeated(
    given: Any, client: Any, subtests: pytest.Subtests
) -> None:
    await given.collection(readable_id="mine")
    for change, where in BAD_FIELDS:
        with subtests.test(change=change, where=where):
            body = {
                "short_name": "stub",
                "readable_collection_id": "mine",
                "authentication": DIRECT,
                **change,
            }

            response = await client.post("/source-connections", json=body)

            assert response.status_code == 422
            named = [name for one in response.json()["errors"] for name in one]
            assert (where or "body.authentication.direct.surplus") in named
            assert "s3cr3t-value" not in response.text


async def test_a_folder_that_does_not_exist_is_refused_at_creation(
    given: Any, client: Any, tmp_path: Path
) -> None:
    await given.collection(readable_id="mine")

    response = await client.post(
        "/source-connections",
        json={
            "short_name": "file_system",
            "readable_collection_id": "mine",
            "config": {"path": str(tmp_path / "missing")},
        },
    )

    assert response.status_code == 400
    said = response.json()["detail"]
    assert said.startswith("Validation failed for source 'file_system': ")
    assert "missing" in said


async def test_a_source_that_refuses_its_check_is_not_connected(
    given: Any, client: Any
) -> None:
    await given.collection(readable_id="mine")

    response = await client.post(
        "/source-connections",
        json={
            "short_name": "exception_stub",
            "readable_collection_id": "mine",
            "authentication": DIRECT,
            "config": {"fail_on_validate": True},
        },
    )

    assert response.status_code in (400, 429, 502)
    assert (await client.get("/source-connections")).json() == []


async def test_connections_of_others_are_not_found(
    given: Any, stranger: httpx.AsyncClient
) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}"
    job_id = made["sync"]["last_job"]["id"]

    for response in (
        await stranger.get(path),
        await stranger.patch(path, json={"name": "Stolen"}),
        await stranger.delete(path),
        await stranger.post(f"{path}/run"),
        await stranger.get(f"{path}/jobs"),
        await stranger.get(f"{path}/sync-id"),
    ):
        assert response.status_code == 404
        assert response.json() == {"detail": "SourceConnection not found"}
    for response in (
        await stranger.get(f"{path}/jobs/{job_id}"),
        await stranger.get(f"{path}/jobs/{job_id}/failures"),
        await stranger.post(f"{path}/jobs/{job_id}/cancel"),
    ):
        assert response.status_code == 404
        assert response.json() == {"detail": "Sync job not found"}
    into_mine = await stranger.post(
        "/source-connections",
        json={
            "short_name": "stub",
            "readable_collection_id": made["readable_collection_id"],
            "authentication": DIRECT,
        },
    )
    assert into_mine.status_code == 404
    assert (await stranger.get("/source-connections")).json() == []


async def test_an_unknown_connection_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/source-connections/{uuid4()}")

    assert response.status_code == 404
    assert response.json() == {"detail": "SourceConnection not found"}
