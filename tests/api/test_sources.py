"""The catalogue of sources."""

import httpx

from wellhead.api.application import create_app
from wellhead.services.parts import Parts
from wellhead.sources.registry import Registry


async def test_the_catalogue_names_every_field_people_fill_in(
    client: httpx.AsyncClient,
) -> None:
    listed = (await client.get("/sources")).json()
    timed = (await client.get("/sources/timed")).json()

    assert timed in listed
    assert timed["auth_methods"] == ["direct"]
    [key] = timed["auth_fields"]["fields"]
    assert key["name"] == "timed_key"
    assert key["is_secret"] is True
    fields = {one["name"]: one for one in timed["config_fields"]["fields"]}
    assert fields["duration_seconds"]["type"] == "number"
    assert fields["duration_seconds"]["required"] is False


async def test_an_unknown_source_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get("/sources/nothing")

    assert response.status_code == 404
    assert response.json() == {"detail": "Source not found: nothing"}


async def test_demo_sources_are_served_only_when_registered(
    client: httpx.AsyncClient, parts: Parts, key: str
) -> None:
    names = {one["short_name"] for one in (await client.get("/sources/")).json()}
    assert {"stub", "timed", "file_system"} <= names

    plain = create_app(
        type(parts)(
            db=parts.db,
            engine=parts.engine,
            index=parts.index,
            embedder=parts.embedder,
            sources=Registry.load(include_demo=False),
            cipher=parts.cipher,
            clock=parts.clock,
        ),
        auth=True,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(plain),
        base_url="http://wellhead",
        headers={"x-api-key": key},
    ) as without_demo:
        response = await without_demo.get("/sources")

    names = {one["short_name"] for one in response.json()}
    assert "file_system" in names
    assert not names & {"stub", "timed"}
