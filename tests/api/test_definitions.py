"""Sources that people add: declared in a file, shared by the whole installation."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.conftest import Given
from tests.declared import DEFINITION

from wellhead.domain.catalogue import KeptDefinition
from wellhead.domain.errors import ConflictError, NotFoundError
from wellhead.services import definitions
from wellhead.services.parts import Parts
from wellhead.sources.registry import Registry
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer
from wellhead.store import definitions as store

OTHER = DEFINITION.replace('"{body}"', '"More: {body}"')


@pytest.fixture
async def definition() -> AsyncIterator[str]:
    """A definition whose tracker is there, and takes any token."""
    async with VendorServer(lambda _: Reply(httpx.Response(200, json={}))) as server:
        yield DEFINITION.replace("PORT", str(server.port))


async def add(client: httpx.AsyncClient, text: str, **more: Any) -> httpx.Response:
    return await client.post("/sources", json={"definition": text, **more})


async def connect(given: Given) -> httpx.Response:
    collection = await given.collection()
    return await given.client.post(
        "/source-connections",
        json={
            "short_name": "my_tracker",
            "readable_collection_id": collection["readable_id"],
            "authentication": {"credentials": {"token": "secret-token-1"}},
            "sync_immediately": False,
        },
    )


async def test_a_source_that_was_added_is_listed_and_can_be_connected(
    client: httpx.AsyncClient, given: Given, definition: str
) -> None:
    added = await add(client, definition)

    assert added.status_code == 200, added.text
    assert added.json() in (await client.get("/sources")).json()
    assert added.json() == (await client.get("/sources/my_tracker")).json()
    assert added.json()["tested"] == "community"
    [field] = added.json()["auth_fields"]["fields"]
    assert (field["name"], field["is_secret"]) == ("token", True)
    assert (await connect(given)).status_code == 200
    kept = (await client.get("/sources/my_tracker/definition")).json()
    assert kept["definition"] == definition


async def test_other_processes_see_it_after_a_look(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    other = replace(parts, sources=Registry.load(include_demo=False))
    await add(client, DEFINITION)
    with pytest.raises(NotFoundError):
        other.sources.get("my_tracker")

    await definitions.look(other)
    first = other.sources.get("my_tracker")
    await definitions.look(other)

    assert other.sources.get("my_tracker") is first, "it was made again for nothing"
    assert first in other.sources.all()
    await add(client, OTHER, replace=True)
    await definitions.look(other)
    assert other.sources.get("my_tracker") is not first
    await client.delete("/sources/my_tracker")
    await definitions.look(other)
    with pytest.raises(NotFoundError):
        other.sources.get("my_tracker")


async def test_a_process_that_follows_looks_by_itself(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    other = replace(parts, sources=Registry.load(include_demo=False))
    following = asyncio.create_task(definitions.follow(other))
    await add(client, DEFINITION)
    async with asyncio.timeout(30):
        while "my_tracker" not in other.sources.declared:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.05)
    following.cancel()


async def test_what_is_wrong_is_told_by_line(client: httpx.AsyncClient) -> None:
    refused = await add(client, DEFINITION.replace("records:", "record:"))

    assert refused.status_code == 422
    assert "line 13: streams.tickets.list: unknown key 'record'" in refused.text
    assert "did you mean 'records'?" in refused.text


async def test_a_name_is_replaced_only_if_asked_for(
    client: httpx.AsyncClient, given: Given, definition: str
) -> None:
    other = definition.replace('"{body}"', '"More: {body}"')
    await add(client, definition)
    await connect(given)

    assert (await add(client, definition)).status_code == 200, "nothing is different"
    refused = await add(client, other)
    assert refused.status_code == 409
    assert "1 connection uses it" in refused.json()["detail"]
    assert (await add(client, other, replace=True)).status_code == 200
    kept = (await client.get("/sources/my_tracker/definition")).json()
    assert kept["definition"] == other


@pytest.mark.parametrize("is_the_same", [True, False])
async def test_of_two_who_add_one_name_at_once_the_first_is_kept(
    parts: Parts, given: Given, definition: str, *, is_the_same: bool
) -> None:
    collection = await given.collection()
    organization = UUID(collection["organization_id"])
    first = KeptDefinition(
        short_name="my_tracker",
        definition=definition if is_the_same else definition + "# another",
        digest="first",
        created_at=parts.clock.now(),
        modified_at=parts.clock.now(),
    )
    async with parts.db.begin() as connection:
        await store.add(connection, first)
        second = asyncio.create_task(
            definitions.add(parts, organization, definition, replace=False)
        )
        done, _ = await asyncio.wait({second}, timeout=0.5)
        assert not done, "it waits for the first"

    if is_the_same:
        assert (await second).digest == "first"
    else:
        with pytest.raises(ConflictError, match="with another definition"):
            await second


async def test_no_built_in_source_is_replaced_or_removed(
    client: httpx.AsyncClient,
) -> None:
    text = DEFINITION.replace("my_tracker", "stripe")

    assert (await add(client, text, replace=True)).status_code == 409
    assert (await client.delete("/sources/stripe")).status_code == 404
    assert (await client.get("/sources/stripe/definition")).status_code == 404


async def test_a_source_in_use_is_not_removed(
    client: httpx.AsyncClient, given: Given, definition: str
) -> None:
    await add(client, definition)
    await connect(given)

    refused = await client.delete("/sources/my_tracker")

    assert refused.status_code == 409
    assert "1 connection uses the source 'my_tracker'" in refused.json()["detail"]
    assert (await client.get("/sources/my_tracker")).status_code == 200


async def test_what_is_removed_while_it_is_connected_is_not_found(
    client: httpx.AsyncClient, given: Given, definition: str, parts: Parts
) -> None:
    await add(client, definition)
    async with parts.db.begin() as connection:  # another process, unseen by this one
        await store.remove(connection, "my_tracker")

    refused = await connect(given)

    assert refused.status_code == 404
    assert (await client.get("/source-connections")).json() == []


async def test_a_source_stays_while_a_connection_to_it_is_made(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    await add(client, DEFINITION)
    async with parts.db.begin() as connection:
        await definitions.hold(connection, parts, "my_tracker")
        removing = asyncio.create_task(client.delete("/sources/my_tracker"))
        await asyncio.wait({removing}, timeout=0.5)
        assert not removing.done()

    assert (await removing).status_code == 200


async def test_a_key_of_one_organization_of_several_adds_nothing_for_all(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, parts: Parts
) -> None:
    for one in (client, stranger):
        refused = await add(one, DEFINITION)
        assert refused.status_code == 403
        assert "wellhead sources add --local" in refused.json()["detail"]
        assert (await one.delete("/sources/stripe")).status_code == 403
    assert (await client.get("/sources/my_tracker")).status_code == 404


async def test_adding_and_removing_are_in_the_audit_log(
    client: httpx.AsyncClient,
) -> None:
    await add(client, DEFINITION)
    await add(client, OTHER, replace=True)
    await client.delete("/sources/my_tracker")

    lines = (await client.get("/audit-log")).json()
    found = [one["action"] for one in lines if one["subject"]["kind"] == "source"]
    assert found == ["source.removed", "source.replaced", "source.added"]


async def test_a_definition_that_this_program_does_not_take_is_left_out(
    client: httpx.AsyncClient, parts: Parts, key: str
) -> None:
    [organization] = (await client.get("/organizations")).json()
    await add(client, DEFINITION)
    async with parts.db.begin() as connection:
        kept = await store.hold(connection, "my_tracker")
        assert kept is not None
        later = replace(kept, definition="wellhead: 2\n", digest="of a later program")
        await store.replace(connection, later)
    other = replace(parts, sources=Registry.load(include_demo=False))

    await definitions.look(other)
    await definitions.look(other)

    assert other.sources.declared == {}
    assert other.sources.ignored == {"of a later program"}
    with pytest.raises(ConflictError):
        await definitions.add(other, organization["id"], OTHER, replace=False)
