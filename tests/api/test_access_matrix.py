"""Every route of the application, asked by those who may not: nothing is told.

The routes are the application's own, so a new one is asked as well. What its path and
required parameters are called has to be known here, see OWNED and HARMLESS.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, TypeAdapter

from wellhead.api.application import create_app
from wellhead.services.parts import Parts

PUBLIC = {
    "/",
    "/console",
    "/docs",
    "/openapi.json",
    "/health",
    "/health/live",
    "/health/ready",
    "/entities/definitions/by-source",
    "/source-connections/callback",
    "/source-connections/authorize/{code}",
}
"""Asked without a key."""

REFUSED_TO_ALL = {
    "/users": "there are no users",
    "/users/create_or_update": "there are no users",
    "/organizations": "organizations are made on the server",
    "/sources": "sources are added for all organizations at once",
    "/sources/{short_name}": "and removed for all",
    "/sources/{short_name}/definition": "none was added",
    "/organizations/{organization_id}": "organizations are not deleted",
    "/organizations/{organization_id}/set-primary": "there are no users",
    "/organizations/{organization_id}/invite": "there are no users",
    "/organizations/{organization_id}/invitations": "there are no users",
    "/organizations/{organization_id}/invitations/{invitation_id}": "no users",
    "/organizations/{organization_id}/members": "there are no users",
    "/organizations/{organization_id}/members/{member_id}": "there are no users",
    "/organizations/{organization_id}/leave": "there are no users",
    "/source-connections/callback": "nobody went to a provider",
    "/source-connections/authorize/{code}": "no link was given out",
    "/auth-providers": "there are no providers",
    "/auth-providers/detail/{short_name}": "there are no providers",
    "/auth-providers/connections/{readable_id}": "there are no providers",
    "/auth-providers/{readable_id}": "there are no providers",
    "/collections/{readable_id}/entities": "nothing was synced",
    "/collections/{readable_id}/entities/erased": "nothing was erased",
}
"""Where even the owner may be refused or find nothing, and why."""

ENDLESS = {
    "/sync/job/{job_id}/subscribe",
    "/sync/job/{job_id}/subscribe-state",
    "/connect/source-connections/{connection_id}/subscribe",
}
"""Streams that their owner would read for ever."""

HARMLESS: dict[str, Any] = {
    "short_name": "stub",
    "code": "a1b2c3d4",
    "invitation_id": str(uuid4()),
    "member_id": str(uuid4()),
    "query": "anything",
    "entity_id": "one",
    "entity_type": "Note",
    "claim_token": "nothing",
    "definition": "wellhead: 1",
    "source_node_ids": ["one"],
    "name": "Any name",
    "url": "https://93.184.216.34/never-called",
    "event_types": ["sync.completed"],
    "since": "2026-01-01T00:00:00Z",
    "source_short_name": "stub",
    "action": "entities",
    "actions": {"entities": 1},
    "authentication": {"credentials": {"stub_key": "stub"}},
    "auth_fields": {},
}
"""What parameters and fields may be called that name nothing of anybody."""

BODIES: dict[str, Any] = {
    "PATCH /source-connections/{source_connection_id}": {"name": "Another name"},
}
"""Where the smallest body that the type allows is refused."""

QUERIES: dict[str, set[str]] = {
    "DELETE /collections/{readable_id}/entities": {"entity_id"},
}
"""Parameters that are wanted although none is required by itself."""

TAKEN = {"POST /collections"}
"""Names that all organizations share: who asks for a taken one is told so."""

GIVES_UP_SECONDS = 30


@pytest.fixture
def app(parts: Parts) -> Any:
    """The application, which lets endpoints be named that are not there."""
    endpoints = replace(parts.webhooks, verify_endpoints=False)
    return create_app(replace(parts, webhooks=endpoints), auth=True)


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    parameters: tuple[str, ...]
    """Of the path."""
    queries: dict[str, bool]
    """Whether each is required."""
    body: Any
    """The type of its JSON, if it takes any."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes_of(app: Any) -> Iterator[Route]:
    """Return the application's routes."""
    for one in iter_route_contexts(app.routes):
        path = str(one.path)
        takes = getattr(one, "dependant", None)
        body = getattr(one, "body_field", None)
        for method in sorted((one.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(
                method,
                path,
                tuple(re.findall(r"{(\w+)", path)),
                dict(_queries_of(takes)) if takes else {},
                None if body is None else body.field_info.annotation,
            )


def _queries_of(takes: Any) -> Iterator[tuple[str, bool]]:
    """Return the name of each query parameter, and whether it is required."""
    for one in takes.query_params:
        kind = one.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield field.alias or name, field.is_required()
        else:
            yield one.alias, one.field_info.is_required()
    for needed in takes.dependencies:
        yield from _queries_of(needed)


@dataclass(frozen=True)
class Owner:
    """An organization with something of everything, and a client of it."""

    client: httpx.AsyncClient
    owned: dict[str, str]
    """By the names that parameters and fields have."""
    secrets: tuple[str, ...]

    @property
    def private(self) -> set[str]:
        return {*self.owned.values(), *self.secrets}


@pytest.fixture
async def owner(client: httpx.AsyncClient, key: str, app: Any) -> Owner:
    return await _populate(client, app, "owner", key)


async def _populate(
    client: httpx.AsyncClient, app: Any, whose: str, *secrets: str
) -> Owner:
    async def make(path: str, **body: Any) -> Any:
        response = await client.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    collection = await make("/collections", name=f"Papers of the {whose}")
    connection = await make(
        "/source-connections",
        short_name="stub",
        name=f"Drawer of the {whose}",
        description=f"What nobody but the {whose} may read",
        readable_collection_id=collection["readable_id"],
        authentication={"credentials": {"stub_key": f"credential-of-the-{whose}"}},
    )
    [job] = (await client.get(f"/source-connections/{connection['id']}/jobs")).json()
    made = await make("/api-keys", name=f"key of the {whose}")
    owned = {
        "readable_id": collection["readable_id"],
        "source_connection_id": connection["id"],
        "job_id": job["id"],
        "key_id": made["id"],
        "organization_id": collection["organization_id"],
    } | await _more_of(client, {one.path for one in routes_of(app)}, collection)
    for alias, name in (
        ("readable_collection_id", "readable_id"),
        ("collection", "readable_id"),
        ("collection_readable_id", "readable_id"),
        ("sync_id", "source_connection_id"),
        ("id", "key_id"),
    ):
        owned[alias] = owned[name]
    told_to_nobody = (
        collection["id"],
        collection["name"],
        connection["name"],
        connection["description"],
        f"credential-of-the-{whose}",
        made["name"],
        made["decrypted_key"],
        *secrets,
    )
    return Owner(client, owned, told_to_nobody)


async def _more_of(
    client: httpx.AsyncClient, paths: set[str], collection: Any
) -> dict[str, str]:
    """Make what only some routes are about."""
    found = {}
    if "/webhooks/subscriptions" in paths:
        messages = (await client.get("/webhooks/messages")).json()
        found["message_id"] = messages[0]["id"]
        body = {"url": HARMLESS["url"], "event_types": HARMLESS["event_types"]}
        response = await client.post("/webhooks/subscriptions", json=body)
        found["subscription_id"] = response.json()["id"]
        path = f"/webhooks/subscriptions/{found['subscription_id']}"
        shown = await client.get(path, params={"include_secret": True})
        found["webhook_secret"] = shown.json()["secret"]
    if "/connect/sessions" in paths:
        body = {"readable_collection_id": collection["readable_id"]}
        session = (await client.post("/connect/sessions", json=body)).json()
        found["session_id"] = session["session_id"]
        found["session_token"] = session["session_token"]
        # read only where no key is taken: elsewhere the other header goes first
        client.headers["Authorization"] = f"Bearer {session['session_token']}"
        connected = await client.post(
            "/connect/source-connections",
            json={
                "short_name": "stub",
                "authentication": {"credentials": {"stub_key": "stub"}},
            },
        )
        found["connection_id"] = connected.json()["id"]
    return found


def sample_of(kind: Any, owned: dict[str, str]) -> Any:
    """Return the smallest body of this type that names what is owned."""
    schema = TypeAdapter(kind).json_schema()
    return Sample(schema.get("$defs", {}), owned).of(schema, "")


@dataclass(frozen=True)
class Sample:
    """Makes the smallest JSON that a schema allows."""

    models: dict[str, Any]
    owned: dict[str, str]

    def of(self, schema: dict[str, Any], name: str) -> Any:
        known = HARMLESS | self.owned
        if name in known:
            return known[name]
        if "$ref" in schema:
            return self.of(self.models[schema["$ref"].rpartition("/")[2]], "")
        for either in ("anyOf", "oneOf", "allOf"):
            if either in schema:
                return self.of(schema[either][0], name)
        if schema.get("type") == "object":
            return self._object(schema)
        if schema.get("type") == "array":
            return [self.of(schema.get("items", {}), name)]
        return self._single(schema)

    def _object(self, schema: dict[str, Any]) -> Any:
        fields = schema.get("properties", {})
        wanted = {*schema.get("required", ())} | fields.keys() & self.owned.keys()
        return {one: self.of(fields[one], one) for one in sorted(wanted)}

    def _single(self, schema: dict[str, Any]) -> Any:
        if "enum" in schema:
            return schema["enum"][0]
        singles = {"integer": schema.get("minimum", 1), "number": 1, "boolean": False}
        text = "text".ljust(schema.get("minLength", 0), ".")
        return singles.get(schema.get("type", ""), text)


def request_of(route: Route, owned: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """Return what to send, and whether it names something that is owned."""
    known = HARMLESS | owned
    wanted = {name for name, required in route.queries.items() if required}
    wanted |= QUERIES.get(str(route), set())
    unknown = {*route.parameters, *wanted} - known.keys()
    assert not unknown, (
        f"{route} takes {', '.join(sorted(unknown))}: put what stands for it into "
        "OWNED of the owner, or into HARMLESS if it is nobody's"
    )
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", known[name])
        path = path.replace(f"{{{name}:path}}", known[name])
    queries = {
        name: known[name] for name in route.queries if name in owned or name in wanted
    }
    sent: dict[str, Any] = {"method": route.method, "url": path, "params": queries}
    if route.body is not None:
        sent["json"] = BODIES.get(str(route)) or sample_of(route.body, owned)
    names = any(value in str(sent) for value in owned.values())
    return sent, names


def private_in(
    response: httpx.Response, owner: Owner, sent: dict[str, Any]
) -> set[str]:
    """Return what of the owner's was told; what was asked may be repeated."""
    told = response.text + str(response.headers)
    return {one for one in owner.private if one in told and one not in str(sent)}


async def ask(client: httpx.AsyncClient, sent: dict[str, Any]) -> httpx.Response:
    try:
        async with asyncio.timeout(GIVES_UP_SECONDS):
            return await client.request(**sent)
    except TimeoutError:
        pytest.fail(f"{sent['method']} {sent['url']} never ends: see ENDLESS")


async def test_a_key_of_another_organization_is_told_nothing(
    app: Any, owner: Owner, stranger: httpx.AsyncClient
) -> None:
    before = await _all_that_is_seen(app, owner)
    wrong = []

    for route in routes_of(app):
        sent, names_theirs = request_of(route, owner.owned)
        response = await ask(stranger, sent)
        is_refused = response.status_code in (401, 403, 404)
        is_empty = response.status_code == 200 and response.text in ("[]", "{}", "0")
        if names_theirs and not (is_refused or is_empty or str(route) in TAKEN):
            wrong.append(f"{route} answers {response.status_code}: {response.text}")
        if response.status_code == 422 or response.status_code >= 500:
            wrong.append(f"{route} was not asked well: {response.text}")
        if told := private_in(response, owner, sent):
            wrong.append(f"{route} tells {told}")

    assert not wrong, "\n".join(wrong)
    assert await _all_that_is_seen(app, owner) == before


async def test_nothing_is_reached_by_way_of_what_is_ones_own(
    app: Any, owner: Owner, stranger: httpx.AsyncClient
) -> None:
    """One thing of another in a request that names one's own things otherwise."""
    own = await _populate(stranger, app, "stranger")
    before = await _all_that_is_seen(app, owner)
    wrong = []

    for route in sorted(routes_of(app), key=lambda one: one.method == "DELETE"):
        all_own, _ = request_of(route, own.owned)
        for name, value in owner.owned.items():
            sent, _ = request_of(route, {**own.owned, name: value})
            if sent == all_own or route.path in ENDLESS:
                continue
            response = await ask(stranger, sent)
            if response.status_code >= 500:
                wrong.append(f"{route} answers {response.status_code}")
            if told := private_in(response, owner, sent):
                wrong.append(f"{route} with {name} tells {told}")

    assert not wrong, "\n".join(wrong)
    assert await _all_that_is_seen(app, owner) == before


async def _all_that_is_seen(app: Any, owner: Owner) -> dict[str, str]:
    seen = {}
    for route in routes_of(app):
        if route.method == "GET" and route.path not in ENDLESS | PUBLIC:
            sent, _ = request_of(route, owner.owned)
            seen[str(route)] = (await ask(owner.client, sent)).text
    return seen


async def test_what_the_stranger_named_is_there_for_its_owner(
    app: Any, owner: Owner
) -> None:
    """Else a route would pass only because nothing of that name exists."""
    order = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    wrong = []

    for route in sorted(
        routes_of(app),
        key=lambda one: (order.index(one.method), -len(one.path), one.path),
    ):
        if route.path in ENDLESS or route.path in REFUSED_TO_ALL:
            continue
        sent, names_own = request_of(route, owner.owned)
        response = await ask(owner.client, sent)
        if names_own and response.status_code in (401, 403, 404, 422):
            wrong.append(f"{route} answers {response.status_code}: {response.text}")

    assert not wrong, "\n".join(wrong)


async def test_without_a_key_only_a_few_paths_answer(
    app: Any, owner: Owner, anyone: httpx.AsyncClient
) -> None:
    wrong = []

    for route in routes_of(app):
        sent, _ = request_of(route, owner.owned)
        for slash in ("", "/"):
            response = await ask(anyone, {**sent, "url": sent["url"] + slash})
            if route.path in PUBLIC:
                is_right = response.status_code != 401
            else:
                is_right = response.status_code == 401
            if not is_right or private_in(response, owner, sent):
                wrong.append(f"{route}{slash} answers {response.status_code}")

    assert not wrong, "\n".join(wrong)


async def test_the_matrix_sees_a_route_that_tells_too_much(
    app: Any, parts: Parts, owner: Owner, stranger: httpx.AsyncClient
) -> None:
    async def leak(source_connection_id: str) -> Any:
        return {"secret": "credential-of-the-owner", "of": source_connection_id}

    async def unheard_of(something_new: str) -> str:
        return something_new

    app.add_api_route("/leak/{source_connection_id}", leak)
    app.add_api_route("/unheard-of/{something_new}", unheard_of)

    added = {one.path: one for one in routes_of(app)}
    sent, names_theirs = request_of(added["/leak/{source_connection_id}"], owner.owned)
    response = await ask(stranger, sent)

    assert names_theirs
    assert response.status_code == 200
    assert private_in(response, owner, sent) == {"credential-of-the-owner"}
    with pytest.raises(AssertionError, match="takes something_new"):
        request_of(added["/unheard-of/{something_new}"], owner.owned)
