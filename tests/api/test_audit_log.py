"""The audit log: who changed what, without secrets, of one's own organization."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from wellhead.api.application import create_app
from wellhead.services.parts import Parts
from wellhead.worker import scheduler


async def _log(client: httpx.AsyncClient, **params: Any) -> list[Any]:
    response = await client.get("/audit-log", params=params)
    assert response.status_code == 200, response.text
    entries: list[Any] = response.json()
    return entries


async def test_every_change_says_who_made_it(
    client: httpx.AsyncClient, given: Any
) -> None:
    collection = await given.collection("Papers")
    path = f"/collections/{collection['readable_id']}"
    connection = await given.connection(readable_collection_id=path.split("/")[-1])
    its = f"/source-connections/{connection['id']}"
    await client.patch(path, json={"name": "Other papers"})
    await client.patch(its, json={"name": "Drawer", "config": {"entity_count": 3}})
    [job] = (await client.get(f"{its}/jobs")).json()
    await client.post(f"{its}/jobs/{job['id']}/cancel")
    await client.post(f"{its}/run", params={"force_full_sync": True})
    await client.delete(its)
    await client.delete(path)

    log = await _log(client)

    said = [(one["action"], one["subject"]["id"]) for one in reversed(log)]
    key_id, [mine] = said[1][1], (await client.get("/api-keys")).json()
    started = log[2]["subject"]["id"]
    assert said == [
        ("organization.created", mine["organization_id"]),
        ("api_key.created", mine["id"]),
        ("collection.created", collection["readable_id"]),
        ("source_connection.created", connection["id"]),
        ("collection.changed", collection["readable_id"]),
        ("source_connection.changed", connection["id"]),
        ("sync_job.cancelled", job["id"]),
        ("sync_job.started", started),
        ("source_connection.deleted", connection["id"]),
        ("collection.deleted", collection["readable_id"]),
    ]
    by_key = {"kind": "api_key", "name": f"First key ({mine['prefix']}…)"}
    assert {str(one["actor"]) for one in log[:8]} == {str(by_key | {"key_id": key_id})}
    assert {one["actor"]["kind"] for one in log[8:]} == {"system"}
    assert log[4]["details"]["fields"] == ["config", "name"]
    assert log[2]["details"]["force_full"] is True
    assert log[0]["at"] == "2026-01-02T03:04:05Z"


async def test_details_name_fields_and_never_hold_their_values(
    client: httpx.AsyncClient, given: Any
) -> None:
    connection = await given.connection(
        authentication={"credentials": {"stub_key": "credential-one"}}
    )
    await client.patch(
        f"/source-connections/{connection['id']}",
        json={
            "authentication": {"credentials": {"stub_key": "credential-two"}},
            "config": {"custom_content_prefix": "config-value"},
        },
    )
    made = (await client.post("/api-keys", json={"name": "robot"})).json()
    rotated = (await client.post(f"/api-keys/{made['id']}/rotate")).json()

    told = (await client.get("/audit-log")).text

    assert "credentials" in told
    for secret in ("credential-one", "credential-two", "config-value"):
        assert secret not in told
    for key in (made, rotated):
        assert key["decrypted_key"] not in told
        assert key["prefix"] in told


async def test_what_was_refused_is_not_noted(
    client: httpx.AsyncClient, given: Any
) -> None:
    collection = await given.collection("Papers")
    before = await _log(client)
    taken = {"name": "Papers", "readable_id": collection["readable_id"]}

    assert (await client.post("/collections", json=taken)).status_code == 400
    assert (await client.delete("/collections/none")).status_code == 404

    assert await _log(client) == before


async def test_keys_and_organizations_are_noted(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api-keys", json={"name": "robot"})).json()
    new = (await client.post(f"/api-keys/{made['id']}/rotate")).json()
    await client.delete("/api-keys", params={"id": made["id"]})
    path = f"/organizations/{made['organization_id']}"
    await client.put(path, json={"name": "Reading room"})

    log = await _log(client, limit=4)

    assert [one["action"] for one in log] == [
        "organization.changed",
        "api_key.revoked",
        "api_key.rotated",
        "api_key.created",
    ]
    assert log[0]["details"] == {"fields": ["name"], "name": "Reading room"}
    assert log[2]["details"]["successor_id"] == new["id"]


async def test_the_log_is_paged_newest_first(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/collections", json={"name": f"Papers {number}"})
    pages, url = [], "/audit-log/?limit=2&action=collection.created"
    while url:
        response = await client.get(url)
        pages.append([one["details"]["name"] for one in response.json()])
        url = response.links.get("next", {}).get("url", "")

    assert pages == [["Papers 4", "Papers 3"], ["Papers 2", "Papers 1"], ["Papers 0"]]


@pytest.mark.parametrize(
    "params",
    [{"before": 0}, {"before": 2**63}, {"limit": 0}, {"action": "no.such"}],
)
async def test_what_cannot_be_asked_is_refused(
    client: httpx.AsyncClient, params: Any
) -> None:
    assert (await client.get("/audit-log", params=params)).status_code == 422


async def test_others_see_only_what_concerns_them(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, given: Any
) -> None:
    await given.collection("Papers")
    theirs = await _log(stranger)

    assert [one["action"] for one in theirs] == ["api_key.created"]
    assert theirs[0]["id"] not in [one["id"] for one in await _log(client)]


async def test_a_line_has_the_id_of_its_request(client: httpx.AsyncClient) -> None:
    named = {"X-Request-ID": "trace-7"}
    await client.post("/collections", json={"name": "Papers"}, headers=named)
    unnamed = await client.post("/collections", json={"name": "Papers"})

    ids = [one["request_id"] for one in await _log(client, limit=2)]

    assert ids == [unnamed.headers["X-Request-ID"], "trace-7"]


async def test_with_keys_off_anyone_is_named_so(parts: Parts) -> None:
    transport = httpx.ASGITransport(create_app(parts, auth=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as anyone:
        await anyone.post("/collections", json={"name": "Papers"})
        [entry, *_] = await _log(anyone)

    assert entry["actor"]["kind"] == "local"
    assert entry["actor"]["key_id"] is None
    assert entry["request_id"]


async def test_scheduled_runs_are_not_noted(
    client: httpx.AsyncClient, given: Any, parts: Parts, still_clock: Any
) -> None:
    connection = await given.connection(
        schedule={"cron": "0 * * * *"}, sync_immediately=False
    )
    before = await _log(client)
    still_clock.at = still_clock.at.replace(hour=5)

    assert await scheduler.tick(parts) == 1

    jobs = (await client.get(f"/source-connections/{connection['id']}/jobs")).json()
    assert len(jobs) == 1
    assert await _log(client) == before


async def test_cancelling_twice_is_noted_once(
    client: httpx.AsyncClient, given: Any, set_job: Any
) -> None:
    connection = await given.connection()
    its = f"/source-connections/{connection['id']}/jobs"
    [job] = (await client.get(its)).json()
    await set_job(job["id"], status="running", started_at=None)

    for _ in range(2):
        await client.post(f"{its}/{job['id']}/cancel")

    log = await _log(client, action="sync_job.cancelled")
    assert [one["subject"]["id"] for one in log] == [job["id"]]


async def test_a_change_that_cannot_be_noted_is_not_made(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    async with parts.db.begin() as connection:
        await connection.execute(text("DELETE FROM audit_log"))
        column = "ALTER TABLE audit_log ALTER COLUMN action TYPE varchar(3)"
        await connection.execute(text(column))

    response = await client.post("/collections", json={"name": "Papers"})

    assert response.status_code == 422  # what cannot be stored
    assert (await client.get("/collections")).json() == []
