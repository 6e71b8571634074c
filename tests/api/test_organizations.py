"""Organizations: several in one installation, each seen by its own keys only."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from wellhead.domain.errors import ConflictError
from wellhead.services import keys, organizations
from wellhead.services.parts import Parts


async def test_a_key_sees_its_own_organization_and_no_other(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    mine = (await client.get("/organizations/")).json()
    theirs = (await stranger.get("/users/me/organizations")).json()

    assert [one["name"] for one in mine] == ["Default"]
    assert [one["name"] for one in theirs] == ["Other"]
    assert mine == (await client.get("/users/me/organizations/")).json()
    assert mine[0] == (await client.get(f"/organizations/{mine[0]['id']}")).json()
    refused = await client.get(f"/organizations/{theirs[0]['id']}")
    assert refused.status_code == 404
    assert refused.json() == {"detail": "Organization not found"}


async def test_an_organization_says_what_clients_ask_of_it(
    client: httpx.AsyncClient,
) -> None:
    [mine] = (await client.get("/organizations")).json()

    assert mine | {"id": None} == {
        "id": None,
        "name": "Default",
        "description": None,
        "role": "owner",
        "is_primary": True,
        "created_at": "2026-01-02T03:04:05Z",
        "modified_at": "2026-01-02T03:04:05Z",
        "enabled_features": [],
        "org_metadata": None,
        "billing": None,
    }


async def test_an_organization_is_renamed(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, still_clock: Any
) -> None:
    [mine] = (await client.get("/organizations")).json()
    path = f"/organizations/{mine['id']}"
    still_clock.at = still_clock.at.replace(month=2)

    changed = await client.put(path, json={"name": " Reading room ", "description": ""})
    refused = await stranger.put(path, json={"name": "Ours now"})

    assert changed.json() == (await client.get(path)).json()
    assert changed.json()["name"] == "Reading room"
    assert changed.json()["modified_at"] == "2026-02-02T03:04:05Z"
    assert refused.status_code == 404


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, 7])
async def test_a_name_that_is_none_is_refused(
    client: httpx.AsyncClient, name: Any
) -> None:
    [mine] = (await client.get("/organizations")).json()

    response = await client.put(f"/organizations/{mine['id']}", json={"name": name})

    assert response.status_code == 422


async def test_what_is_not_said_stays(client: httpx.AsyncClient) -> None:
    [mine] = (await client.get("/organizations")).json()
    path = f"/organizations/{mine['id']}"
    await client.put(path, json={"description": "Papers"})

    changed = (await client.put(path, json={"name": None})).json()
    emptied = (await client.put(path, json={"description": None})).json()

    assert (changed["name"], changed["description"]) == ("Default", "Papers")
    assert emptied["description"] is None


@pytest.mark.parametrize(
    ("method", "step", "says"),
    [
        ("POST", "/invite", "There are no users here"),
        ("GET", "/members/", "There are no users here"),
        ("POST", "/leave", "There are no users here"),
        ("DELETE", "", "Organizations cannot be deleted"),
    ],
)
async def test_what_needs_users_says_what_to_do_instead(
    client: httpx.AsyncClient, method: str, step: str, says: str
) -> None:
    [mine] = (await client.get("/organizations")).json()

    response = await client.request(method, f"/organizations/{mine['id']}{step}")

    assert response.status_code == 403
    assert says in response.json()["detail"]


async def test_over_http_no_organization_is_made(client: httpx.AsyncClient) -> None:
    response = await client.post("/organizations/", json={"name": "Another"})

    assert response.status_code == 403
    assert "keys create --local --organization" in response.json()["detail"]


async def test_a_new_name_makes_an_organization_of_its_own(
    parts: Parts, client: httpx.AsyncClient, app: Any, still_clock: Any
) -> None:
    still_clock.at += timedelta(seconds=1)
    new = await keys.create_key_for(parts, "Press", name="desk", life_days=7)
    again = await keys.create_key_for(parts, "Press", name="desk", life_days=None)
    by_id = str(new.key.organization_id)
    by_its_id = await keys.create_key_for(parts, by_id, name="desk", life_days=None)
    first = await keys.create_key_for(parts, None, name="mine", life_days=None)

    owners = {one.key.organization_id for one in (new, again, by_its_id)}
    assert owners == {new.key.organization_id}
    names = [one.name for one in await organizations.every_organization(parts)]
    assert names == ["Default", "Press"]
    [mine] = (await client.get("/organizations")).json()
    assert mine["id"] == str(first.key.organization_id)
    made = await client.post("/collections", json={"name": "Mine alone"})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://w", headers={"x-api-key": new.plain}
    ) as press:
        assert made.status_code == 200
        assert (await press.get("/collections")).json() == []
        theirs = (await press.get("/api-keys")).json()
        assert {one["name"] for one in theirs} == {"desk"}


async def test_a_name_that_two_have_is_not_guessed(
    parts: Parts, client: httpx.AsyncClient
) -> None:
    await keys.create_key_for(parts, "Press", name="desk", life_days=None)
    [mine] = (await client.get("/organizations")).json()
    await client.put(f"/organizations/{mine['id']}", json={"name": "Press"})

    with pytest.raises(ConflictError, match=mine["id"]):
        await keys.create_key_for(parts, "Press", name="desk", life_days=None)
