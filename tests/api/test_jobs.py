"""The sync jobs of a connection over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert

from wellhead.services.parts import Parts
from wellhead.store.schema import job_failure


async def test_a_job_shows_every_field_while_it_waits(given: Any, client: Any) -> None:
    made = await given.connection()

    [job] = (await client.get(f"/source-connections/{made['id']}/jobs")).json()

    assert job == {
        "id": made["sync"]["last_job"]["id"],
        "source_connection_id": made["id"],
        "status": "pending",
        "started_at": None,
        "completed_at": None,
        "duration_seconds": None,
        "entities_inserted": 0,
        "entities_updated": 0,
        "entities_deleted": 0,
        "entities_failed": 0,
        "error": None,
        "error_details": None,
        "error_category": None,
    }


async def test_counts_are_live_while_a_job_runs(
    given: Any, client: Any, set_job: Any, parts: Parts
) -> None:
    made = await given.connection()
    await set_job(
        made["sync"]["last_job"]["id"],
        status="running",
        started_at=parts.clock.now(),
        inserted=5,
        updated=4,
        deleted=3,
        failed=2,
    )

    [job] = (await client.get(f"/source-connections/{made['id']}/jobs/")).json()

    assert job["status"] == "running"
    assert job["started_at"] == "2026-01-02T03:04:05Z"
    assert [
        job[f"entities_{what}"] for what in ("inserted", "updated", "deleted", "failed")
    ] == [5, 4, 3, 2]
    assert (job["completed_at"], job["duration_seconds"]) == (None, None)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_every_ended_job_has_an_end_and_a_duration(
    given: Any, client: Any, set_job: Any, parts: Parts, status: str
) -> None:
    made = await given.connection()
    started = parts.clock.now()
    await set_job(
        made["sync"]["last_job"]["id"],
        status=status,
        started_at=started,
        completed_at=started + timedelta(seconds=2.5),
        error="told by a worker",
        error_category="api_key_invalid",
        error_details={"deletes_held": 7},
    )

    [job] = (await client.get(f"/source-connections/{made['id']}/jobs")).json()

    assert job["completed_at"] == "2026-01-02T03:04:07.500000Z"
    assert job["duration_seconds"] == 2.5
    is_failed = status == "failed"
    assert job["error"] == ("told by a worker" if is_failed else None)
    assert job["error_category"] == ("api_key_invalid" if is_failed else None)
    assert job["error_details"] == {"deletes_held": 7}
    one = await client.get(f"/source-connections/{made['id']}/jobs/{job['id']}")
    assert job == {name: one.json()[name] for name in job}, "as it says by itself"


async def _with_jobs(given: Any, client: Any, set_job: Any, count: int) -> Any:
    made = await given.connection(sync_immediately=False)
    path = f"/source-connections/{made['id']}"
    ids: list[str] = []
    for number in range(count):
        job = (await client.post(f"{path}/run")).json()
        status = "failed" if number % 2 else "completed"
        await set_job(job["id"], status=status)
        ids.insert(0, job["id"])
    return path, ids


async def test_jobs_come_newest_first_page_by_page(
    given: Any, client: Any, set_job: Any
) -> None:
    path, ids = await _with_jobs(given, client, set_job, 5)
    seen, url = [], f"{path}/jobs?limit=2"

    while url:
        response = await client.get(url)
        seen.append([job["id"] for job in response.json()])
        url = response.links.get("next", {}).get("url", "")

    assert seen == [ids[:2], ids[2:4], ids[4:]]


async def test_the_next_page_keeps_the_other_parameters(
    given: Any, client: Any, set_job: Any
) -> None:
    path, ids = await _with_jobs(given, client, set_job, 5)

    first = await client.get(f"{path}/jobs", params={"limit": 1, "status": "failed"})
    second = await client.get(first.links["next"]["url"])

    assert [job["id"] for job in first.json()] == [ids[1]]
    assert [job["id"] for job in second.json()] == [ids[3]]


async def test_a_second_run_is_refused_while_one_is_open(
    given: Any, client: Any, set_job: Any
) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}/run"
    for status in ("pending", "running", "cancelling"):
        await set_job(made["sync"]["last_job"]["id"], status=status)

        response = await client.post(path)

        assert response.status_code == 409
        assert response.json() == {
            "detail": f"Cannot start new sync: a sync job is already {status}"
        }


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"force_full_sync": True}},
        {"params": {"force_full_sync": "true"}},
    ],
)
async def test_a_full_run_can_be_forced_by_body_or_query(
    given: Any, client: Any, parts: Parts, how: Any
) -> None:
    made = await given.connection(sync_immediately=False)

    response = await client.post(f"/source-connections/{made['id']}/run/", **how)

    assert response.json()["status"] == "pending"
    async with parts.db.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT force_full FROM sync_job")
    assert rows.scalars().all() == [True]


async def test_held_deletes_can_be_confirmed(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection(sync_immediately=False)

    await client.post(
        f"/source-connections/{made['id']}/run", params={"confirm_deletes": 12}
    )

    async with parts.db.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT confirm_deletes FROM sync_job")
    assert rows.scalars().all() == [12]


async def test_a_waiting_job_is_cancelled_at_once(given: Any, client: Any) -> None:
    made = await given.connection()
    path = f"/source-connections/{made['id']}/jobs/{made['sync']['last_job']['id']}"

    response = await client.post(f"{path}/cancel")

    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    assert response.json()["started_at"] is None
    assert response.json()["duration_seconds"] is None
    assert response.json()["completed_at"] == "2026-01-02T03:04:05Z"


async def test_cancelling_a_running_job_twice_changes_nothing_more(
    given: Any, client: Any, set_job: Any, parts: Parts
) -> None:
    made = await given.connection()
    job_id = made["sync"]["last_job"]["id"]
    await set_job(job_id, status="running", started_at=parts.clock.now())
    path = f"/source-connections/{made['id']}/jobs/{job_id}/cancel"

    first = await client.post(path, params={"keep_data": "true"})
    second = await client.post(f"{path}/")

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["status"] == "cancelling"
    assert second.json() == first.json()
    async with parts.db.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT keep_data FROM sync_job")
    assert rows.scalars().all() == [True]


FINISHED: list[Any] = ["completed", "failed", "cancelled"]


async def test_a_finished_job_cannot_be_cancelled(
    given: Any, client: Any, set_job: Any, subtests: pytest.Subtests
) -> None:
    made = await given.connection()
    job_id = made["sync"]["last_job"]["id"]
    for status in FINISHED:
        with subtests.test(status=status):
            await set_job(job_id, status=status)

            response = await client.post(
                f"/source-connections/{made['id']}/jobs/{job_id}/cancel"
            )

            assert response.status_code == 409
            assert response.json() == {"detail": f"Cannot cancel job in {status} state"}


async def test_a_job_belongs_to_one_connection(given: Any, client: Any) -> None:
    one, other = await given.connection(), await given.connection()
    job_id = one["sync"]["last_job"]["id"]
    path = f"/source-connections/{other['id']}/jobs/{job_id}"

    for response in (
        await client.get(path),
        await client.get(f"{path}/failures"),
        await client.post(f"{path}/cancel"),
        await client.get(
            f"/source-connections/{other['id']}/jobs", params={"before": job_id}
        ),
        await client.get(f"/source-connections/{one['id']}/jobs/{uuid4()}"),
    ):
        assert response.status_code == 404
        assert response.json() == {"detail": "Sync job not found"}


async def test_one_job_can_be_looked_at(given: Any, client: Any) -> None:
    made = await given.connection()
    job_id = made["sync"]["last_job"]["id"]

    job = (await client.get(f"/source-connections/{made['id']}/jobs/{job_id}")).json()

    assert job["created_at"] == "2026-01-02T03:04:05Z"
    assert (job["mode"], job["trigger"], job["attempt"]) == ("full", "manual", 0)


async def test_failed_entities_are_listed_with_their_reasons(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection()
    job_id = made["sync"]["last_job"]["id"]
    async with parts.db.begin() as connection:
        await connection.execute(
            insert(job_failure),
            [
                {
                    "job_id": UUID(job_id),
                    "entity_key": bytes([number]) * 16,
                    "failed_at": parts.clock.now(),
                    "source_id": f"file-{number}.pdf",
                    "stage": "convert",
                    "class": "permanent",
                    "reason": "encrypted",
                    "resolved": number == 2,
                }
                for number in range(4)
            ],
        )
    path = f"/source-connections/{made['id']}/jobs/{job_id}/failures"

    first = await client.get(path, params={"limit": 2})
    second = await client.get(first.links["next"]["url"])

    assert [one["source_id"] for one in first.json()] == ["file-0.pdf", "file-1.pdf"]
    assert second.json() == [
        {
            "entity_key": "03" * 16,
            "source_id": "file-3.pdf",
            "stage": "convert",
            "class": "permanent",
            "reason": "encrypted",
            "failed_at": "2026-01-02T03:04:05Z",
        }
    ]
    assert "next" not in second.links


BAD_PARAMETERS: list[Any] = [
    ({"limit": 0}, "query.limit"),
    ({"limit": 1001}, "query.limit"),
    ({"limit": "many"}, "query.limit"),
    ({"before": "x"}, "query.before"),
    ({"status": "PENDING"}, "query.status"),
]


async def test_a_bad_parameter_is_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for params, where in BAD_PARAMETERS:
        with subtests.test(params=params, where=where):
            response = await client.get(
                f"/source-connections/{uuid4()}/jobs", params=params
            )

            assert response.status_code == 422
            assert [list(one) for one in response.json()["errors"]] == [[where]]


async def test_the_largest_page_is_allowed(given: Any, client: Any) -> None:
    made = await given.connection()

    response = await client.get(
        f"/source-connections/{made['id']}/jobs", params={"limit": 1000}
    )

    assert response.status_code == 200
    assert "link" not in response.headers


WITHOUT_UUID: list[Any] = [
    ("GET", "/source-connections/x"),
    ("PATCH", "/source-connections/x"),
    ("DELETE", "/source-connections/x"),
    ("POST", "/source-connections/x/run"),
    ("GET", "/source-connections/x/jobs"),
]


async def test_an_id_that_is_no_uuid_is_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path in WITHOUT_UUID:
        with subtests.test(method=method, path=path):
            response = await client.request(method, path, json={"name": "Anything"})

            assert response.status_code == 422
            assert "path.source_connection_id" in response.json()["errors"][0]


async def test_of_two_runs_asked_for_at_once_one_is_refused(
    given: Any, client: Any
) -> None:
    made = await given.connection(sync_immediately=False)
    path = f"/source-connections/{made['id']}/run"

    answers = await asyncio.gather(*(client.post(path) for _ in range(4)))

    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
