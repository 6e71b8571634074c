"""Who may ask, and what the others are told."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from wellhead.api.application import create_app
from wellhead.services import keys
from wellhead.services.organizations import ensure_organization
from wellhead.services.parts import Parts


async def test_without_a_key_nothing_is_told(anyone: httpx.AsyncClient) -> None:
    response = await anyone.get("/collections")

    assert response.status_code == 401
    assert response.json() == {"detail": "No valid authentication provided"}


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": "wrong"}, {"Authorization": "Bearer wrong"}],
)
async def test_an_unknown_key_is_refused(
    anyone: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await anyone.get("/collections", headers=headers)

    assert response.status_code == 403
    assert response.json() == {"detail": "Invalid or expired API key"}


async def test_the_key_is_taken_from_either_header(
    anyone: httpx.AsyncClient, key: str
) -> None:
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        response = await anyone.get("/collections", headers=headers)

        assert response.status_code == 200
        assert response.headers["RateLimit-Limit"] == "9999"
        assert {"ratelimit-remaining", "ratelimit-reset"} <= set(response.headers)


async def test_an_expired_key_is_refused_also_when_just_used(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient, still_clock: Any
) -> None:
    made = (await client.post("/api-keys", json={"expiration_days": 1})).json()
    headers = {"x-api-key": made["decrypted_key"]}
    still_clock.at += timedelta(days=1, seconds=-1)
    assert (await anyone.get("/sources", headers=headers)).status_code == 200
    still_clock.at += timedelta(seconds=2)

    response = await anyone.get("/sources", headers=headers)

    assert response.status_code == 403
    assert response.json() == {"detail": "API key has expired"}


async def test_another_organization_in_the_header_is_refused(
    client: httpx.AsyncClient,
) -> None:
    other = str(uuid4())

    response = await client.get("/collections", headers={"X-Organization-ID": other})

    assert response.status_code == 403
    assert response.json() == {
        "detail": f"API key does not have access to organization {other}"
    }


async def test_an_organization_that_is_no_uuid_names_the_header(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/collections", headers={"X-Organization-ID": "x"})

    assert response.status_code == 422
    assert "header.x-organization-id" in response.json()["errors"][0]


async def test_a_deleted_key_is_refused_at_once(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    made = (await client.post("/api-keys/", json={})).json()
    headers = {"x-api-key": made["decrypted_key"]}
    assert (await anyone.get("/sources", headers=headers)).status_code == 200

    deleted = await client.delete("/api-keys/", params={"id": made["id"]})

    assert deleted.status_code == 200
    assert (await anyone.get("/sources", headers=headers)).status_code == 403
    listed = (await client.get("/api-keys")).json()
    assert made["id"] not in [one["id"] for one in listed]


async def test_keys_are_shown_once_and_kept_as_hashes(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    made = (await client.post("/api-keys", json={"name": "laptop"})).json()

    plain = made["decrypted_key"]
    assert len(plain) == 43
    listed = (await client.get("/api-keys")).json()
    assert plain not in str(listed)
    assert {one["decrypted_key"] for one in listed} == {None}
    assert plain[:6] in {one["prefix"] for one in listed}
    assert (await client.get(f"/api-keys/{made['id']}")).json() in listed
    async with parts.db.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT api_key::text FROM api_key")
        assert plain not in str(rows.all())


async def test_a_rotated_key_works_for_another_day(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient, still_clock: Any
) -> None:
    old = (await client.post("/api-keys", json={})).json()
    new = (await client.post(f"/api-keys/{old['id']}/rotate")).json()
    headers = {"x-api-key": old["decrypted_key"]}

    assert new["id"] != old["id"]
    assert (await anyone.get("/sources", headers=headers)).status_code == 200
    still_clock.at += timedelta(hours=25)
    assert (await anyone.get("/sources", headers=headers)).status_code == 403
    headers = {"x-api-key": new["decrypted_key"]}
    assert (await anyone.get("/sources", headers=headers)).status_code == 200


async def test_a_rotated_key_is_not_rotated_again(
    client: httpx.AsyncClient, still_clock: Any
) -> None:
    """Its successor would live no longer than the rest of the old one's day."""
    old = (await client.post("/api-keys", json={"expiration_days": 365})).json()
    new = (await client.post(f"/api-keys/{old['id']}/rotate/")).json()
    still_clock.at += timedelta(hours=1)

    again = await client.post(f"/api-keys/{old['id']}/rotate")
    newest = (await client.post(f"/api-keys/{new['id']}/rotate")).json()

    assert again.status_code == 409
    assert "rotated already" in again.json()["detail"]
    assert newest["expiration_date"] == "2027-01-02T04:04:05Z"
    assert newest["decrypted_key"] not in (new["decrypted_key"], None)


async def test_rotation_lets_no_key_live_longer(
    client: httpx.AsyncClient, still_clock: Any
) -> None:
    old = (await client.post("/api-keys", json={"expiration_days": 1})).json()
    still_clock.at += timedelta(hours=23)
    await client.post(f"/api-keys/{old['id']}/rotate")

    ends = (await client.get(f"/api-keys/{old['id']}")).json()["expiration_date"]

    assert ends == old["expiration_date"]


async def test_a_key_lives_as_long_as_was_asked(client: httpx.AsyncClient) -> None:
    for body, ends in (
        ({}, "2026-04-02T03:04:05Z"),
        ({"expiration_days": 1}, "2026-01-03T03:04:05Z"),
        ({"expiration_days": 365}, "2027-01-02T03:04:05Z"),
    ):
        made = await client.post("/api-keys/", json=body)
        assert made.json()["expiration_date"] == ends

    for days in (0, 366, "many"):
        refused = await client.post("/api-keys", json={"expiration_days": days})
        assert refused.status_code == 422


async def test_keys_are_listed_newest_first_page_by_page(
    client: httpx.AsyncClient, still_clock: Any
) -> None:
    for name in ("one", "two", "three"):
        still_clock.at += timedelta(seconds=1)
        await client.post("/api-keys", json={"name": name})

    pages = [
        (await client.get("/api-keys/", params={"skip": skip, "limit": 2})).json()
        for skip in (0, 2, 4)
    ]

    names = [[one["name"] for one in page] for page in pages]
    assert names == [["three", "two"], ["one", "First key"], []]


async def test_a_key_revoked_elsewhere_is_refused_within_seconds(
    client: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    parts: Parts,
    still_clock: Any,
) -> None:
    made = (await client.post("/api-keys", json={})).json()
    headers = {"x-api-key": made["decrypted_key"]}
    assert (await anyone.get("/sources", headers=headers)).status_code == 200

    other_process = create_app(parts, auth=True)
    transport = httpx.ASGITransport(other_process)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://w", headers=client.headers
    ) as elsewhere:
        await elsewhere.delete("/api-keys", params={"id": made["id"]})
    still_clock.at += timedelta(seconds=6)

    assert (await anyone.get("/sources", headers=headers)).status_code == 403


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    app: Any, client: httpx.AsyncClient, anyone: httpx.AsyncClient, parts: Parts
) -> None:
    made = (await client.post("/api-keys", json={})).json()
    headers = {"x-api-key": made["decrypted_key"]}
    async with parts.db.begin() as connection:
        # the lookup notes the use of the key, so it waits for this lock
        where = {"id": made["id"]}
        await connection.execute(
            text("SELECT FROM api_key WHERE id = :id FOR UPDATE"), where
        )
        asking = asyncio.create_task(anyone.get("/sources", headers=headers))
        await _until_somebody_waits(parts)
        await connection.execute(
            text("UPDATE api_key SET revoked_at = now() WHERE id = :id"), where
        )
        app.state.key_ring.forget()
    await asking

    assert (await anyone.get("/sources", headers=headers)).status_code == 403


async def _until_somebody_waits(parts: Parts) -> None:
    async with asyncio.timeout(30), parts.db.connect() as connection:
        while not await connection.scalar(  # noqa: ASYNC110  # a lock of PostgreSQL
            text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        ):
            await asyncio.sleep(0.01)


async def test_the_use_of_a_key_is_noted(
    client: httpx.AsyncClient, still_clock: Any
) -> None:
    await client.get("/sources")
    still_clock.at += timedelta(minutes=5)

    [mine] = (await client.get("/api-keys")).json()

    assert mine["last_used_date"] == "2026-01-02T03:09:05Z"


async def test_keys_of_others_are_not_found(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    mine = (await client.post("/api-keys", json={})).json()

    for response in (
        await stranger.get(f"/api-keys/{mine['id']}"),
        await stranger.post(f"/api-keys/{mine['id']}/rotate"),
        await stranger.delete("/api-keys", params={"id": mine["id"]}),
    ):
        assert response.status_code == 404


async def test_only_the_first_start_makes_a_key(parts: Parts) -> None:
    first = await keys.ensure_first_key(parts)
    second = await keys.ensure_first_key(parts)

    assert first is not None
    assert second is None


async def test_with_auth_off_everyone_is_the_first_organization(
    parts: Parts, key: str
) -> None:
    transport = httpx.ASGITransport(create_app(parts, auth=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as open_one:
        created = await open_one.post("/collections", json={"name": "Open to all"})
    transport = httpx.ASGITransport(create_app(parts, auth=True))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://w", headers={"x-api-key": key}
    ) as closed:
        listed = await closed.get("/collections")

    assert created.status_code == 200
    assert [one["id"] for one in listed.json()] == [created.json()["id"]]


async def test_the_first_organization_gets_its_key_whatever_others_have(
    parts: Parts, still_clock: Any
) -> None:
    await ensure_organization(parts)
    still_clock.at += timedelta(seconds=1)
    await keys.create_key_for(parts, "Press", name="desk", life_days=None)

    assert await keys.ensure_first_key(parts) is not None
