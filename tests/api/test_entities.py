"""Erasing entities over HTTP: who may, which one, and what is said about it."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from wellhead.domain.entities import entity_key
from wellhead.services.parts import Parts

ODD = "letters/../Anna & Bö?x=1#%2F.md/"


async def add_entity(parts: Parts, connection_id: str, ident: str, kind: str) -> None:
    async with parts.db.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO entity (connection_id, entity_key, scope, type, source_id,"
                " content_hash, meta_hash, pipeline_fingerprint, version, chunk_count,"
                " updated_by, seen_generation, committed_at, meta) VALUES (:c, :k, '',"
                " :t, :i, 'x', 'x', '1', nextval('version_seq'), 1, :j, 1, now(), '{}')"
            ),
            {
                "c": connection_id,
                "k": entity_key(kind, ident),
                "t": kind,
                "i": ident,
                "j": uuid4(),
            },
        )


@pytest.fixture
async def connection(given: Any, parts: Parts) -> Any:
    made = await given.connection(sync_immediately=False)
    await add_entity(parts, made["id"], ODD, "StubNote")
    return made


@pytest.fixture
def path(connection: Any) -> str:
    return f"/collections/{connection['readable_collection_id']}/entities"


async def test_an_entity_is_erased_listed_and_allowed_again(
    client: httpx.AsyncClient, connection: Any, path: str
) -> None:
    erased = await client.delete(path, params={"entity_id": ODD})

    key = entity_key("StubNote", ODD).hex()
    named = {
        "source_connection_id": connection["id"],
        "entity_type": "StubNote",
        "entity_key": key,
    }
    assert erased.status_code == 200, erased.text
    assert erased.json() == named | {"was_stored": True, "may_return": False}
    listed = (await client.get(f"{path}/erased")).json()
    assert [{k: one[k] for k in named} for one in listed] == [named]
    assert listed[0]["erased_at"].endswith("Z")
    assert "Anna" not in str(listed)
    gone = await client.delete(path, params={"entity_id": ODD})
    assert gone.status_code == 404
    assert "original_entity_id" in gone.json()["detail"]

    allowed = await client.delete(f"{path}/erased", params={"entity_id": ODD})

    assert (allowed.status_code, allowed.json()) == (200, named)
    assert (await client.get(f"{path}/erased")).json() == []
    again = await client.delete(f"{path}/erased", params={"entity_id": ODD})
    assert again.status_code == 404


async def test_what_may_return_is_not_remembered(
    client: httpx.AsyncClient, path: str
) -> None:
    asked = {"entity_id": ODD, "allow_return": "true"}

    assert (await client.delete(path, params=asked)).json()["may_return"] is True
    assert (await client.get(f"{path}/erased")).json() == []


async def test_an_erasure_is_repeated_by_key(
    client: httpx.AsyncClient, connection: Any, path: str
) -> None:
    asked = {
        "source_connection_id": connection["id"],
        "entity_type": "StubNote",
        "entity_key": entity_key("StubNote", ODD).hex(),
    }

    first = await client.delete(path, params=asked)
    second = await client.delete(path, params=asked)

    assert (first.json()["was_stored"], second.json()["was_stored"]) == (True, False)
    assert len((await client.get(f"{path}/erased")).json()) == 1


async def test_two_of_one_id_must_be_told_apart(
    client: httpx.AsyncClient, parts: Parts, connection: Any, path: str
) -> None:
    await add_entity(parts, connection["id"], ODD, "StubFile")

    unclear = await client.delete(path, params={"entity_id": ODD})
    clear = await client.delete(
        path, params={"entity_id": ODD, "entity_type": "StubFile"}
    )

    assert unclear.status_code == 409
    assert "entity_type" in unclear.json()["detail"]
    assert clear.json()["entity_type"] == "StubFile"
    elsewhere = {"entity_id": ODD, "source_connection_id": str(uuid4())}
    assert (await client.delete(path, params=elsewhere)).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"entity_id": ""},
        {"entity_key": "ab" * 16},
        {"entity_key": "nonsense", "entity_type": "T"},
        {"entity_id": "a", "entity_key": "ab" * 16},
    ],
)
async def test_half_a_question_is_refused(
    client: httpx.AsyncClient, path: str, asked: dict[str, str]
) -> None:
    assert (await client.delete(path, params=asked)).status_code == 422
    assert (await client.get(f"{path}/erased")).json() == []


async def test_others_erase_nothing(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    connection: Any,
    path: str,
) -> None:
    by_key = {
        "source_connection_id": connection["id"],
        "entity_type": "StubNote",
        "entity_key": entity_key("StubNote", ODD).hex(),
    }
    for asked in ({"entity_id": ODD}, by_key):
        assert (await stranger.delete(path, params=asked)).status_code == 404
        assert (await anyone.delete(path, params=asked)).status_code == 401
    theirs = await stranger.post("/collections", json={"name": "Theirs"})
    other = f"/collections/{theirs.json()['readable_id']}/entities"
    for asked in ({"entity_id": ODD}, by_key):
        assert (await stranger.delete(other, params=asked)).status_code == 404

    erased = await client.delete(f"{path}?entity_id={quote(ODD, safe='')}")

    assert erased.json()["was_stored"] is True


async def test_an_erasure_is_an_event_without_a_name(
    client: httpx.AsyncClient, parts: Parts, connection: Any, path: str
) -> None:
    await client.delete(path, params={"entity_id": ODD})

    async with parts.db.connect() as database:
        query = "SELECT payload FROM event WHERE event_type = 'entity.erased'"
        [payload] = (await database.execute(text(query))).scalars()
    assert payload["source_connection_id"] == connection["id"]
    assert payload["entity_key"] == entity_key("StubNote", ODD).hex()
    assert "Anna" not in str(payload)
