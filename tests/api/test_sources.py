"""The catalogue of sources."""

from dataclasses import replace

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


SOURCE = {
    "auth_config_class": None,
    "auth_methods": ["direct"],
    "class_name": "TimedSource",
    "config_class": None,
    "feature_flag": None,
    "federated_search": False,
    "labels": ["Demo"],
    "name": "Timed",
    "oauth_type": None,
    "rate_limit_level": None,
    "requires_byoc": False,
    "short_name": "timed",
    "supported_auth_providers": [],
    "supports_access_control": False,
    "supports_browse_tree": False,
    "supports_continuous": False,
    "supports_temporal_relevance": True,
}
OURS = {"deletes_found": "each job", "is_incremental": False, "tested": "fake"}
FIELD_TYPES = {"string", "number", "boolean", "array"}
FIELD = {
    "description",
    "enum_values",
    "feature_flag",
    "is_secret",
    "items_type",
    "name",
    "required",
    "title",
    "type",
}


async def test_a_source_tells_all_that_clients_read(client: httpx.AsyncClient) -> None:
    timed = (await client.get("/sources/timed/")).json()

    assert {name: timed[name] for name in SOURCE} == SOURCE
    assert set(timed) - set(SOURCE) == {
        "auth_fields",
        "config_fields",
        "description",
        "output_entity_definitions",
        *OURS,
    }
    assert {name: timed[name] for name in OURS} == OURS
    assert timed["output_entity_definitions"] == ["TimedContainerEntity", "TimedEntity"]


async def test_every_field_of_every_source_can_be_shown_in_a_form(
    client: httpx.AsyncClient,
) -> None:
    for source in (await client.get("/sources")).json():
        fields = source["auth_fields"]["fields"] + source["config_fields"]["fields"]
        for field in fields:
            assert set(field) == FIELD, source["short_name"]
            assert field["type"] in FIELD_TYPES
            assert field["title"]
            assert (field["items_type"] is None) == (field["type"] != "array")
            assert field["enum_values"] is None or field["type"] == "string"


async def test_secrets_are_marked_as_such(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/sources")).json()
    secret = {
        field["name"]
        for source in listed
        for field in source["auth_fields"]["fields"]
        if field["is_secret"]
    }
    open_ = {
        field["name"]
        for source in listed
        for field in source["config_fields"]["fields"]
        if field["is_secret"]
    }

    assert {"timed_key", "stub_key", "password"} <= secret
    assert open_ == set()


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
        replace(parts, sources=Registry.load(include_demo=False)), auth=True
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
