"""The Model Context Protocol at /mcp, asked by the protocol's own client."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, TextContent
from pydantic import AnyUrl
from sqlalchemy import text

from wellhead.api.application import create_app
from wellhead.api.mcp import tools
from wellhead.api.mcp.addresses import address_of, entity_at
from wellhead.domain.entities import Breadcrumb, EntityName, entity_key
from wellhead.domain.errors import InvalidInputError
from wellhead.services.parts import Parts

TOOLS = {
    *("search", "read_entity", "list_collections", "list_sources"),
    *("list_source_connections", "job_status", "trigger_sync"),
}
PASSAGES = [f"passage {number} of the heron" for number in range(12)]
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPTED = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def session_of(client: httpx.AsyncClient) -> AsyncIterator[ClientSession]:
    async with (
        streamable_http_client("http://wellhead/mcp", http_client=client) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        yield session


async def call(
    client: httpx.AsyncClient, tool: str, **arguments: Any
) -> CallToolResult:
    """Call a tool that is listed; the client holds the answer to what it promised."""
    async with session_of(client) as session:
        return await session.call_tool(tool, arguments)


def said(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def done(client: httpx.AsyncClient, tool: str, **arguments: Any) -> Any:
    result = await call(client, tool, **arguments)
    assert not result.isError, said(result)
    return result.structuredContent


async def refused(client: httpx.AsyncClient, tool: str, **arguments: Any) -> str:
    result = await call(client, tool, **arguments)
    assert result.isError, said(result)
    return said(result)


@pytest.fixture
async def shelf(given: Any, put_entity: Any) -> Any:
    """A connection with one long entity and one short."""
    made = await given.connection(name="My shelf", sync_immediately=False)
    way = [Breadcrumb("d1", "Docs", "Folder"), Breadcrumb("d2", "Birds", "Folder")]
    await put_entity(
        *(made["id"], "docs/heron & co.md", *PASSAGES),
        breadcrumbs=way,
        updated_at="2026-01-01T10:00:00+00:00",
        url="https://example.com/heron",
    )
    await put_entity(made["id"], "weir", "the weir", entity_type="Page")
    return made


async def test_every_tool_is_explained(client: httpx.AsyncClient) -> None:
    async with session_of(client) as session:
        begun = await session.initialize()
        listed = (await session.list_tools()).tools

    assert begun.serverInfo.name == "wellhead"
    assert "list_collections" in (begun.instructions or "")
    assert {one.name for one in listed} == TOOLS
    for tool in listed:
        assert tool.description
        assert tool.outputSchema
        schema = tool.inputSchema
        assert all(one.get("description") for one in schema["properties"].values())
        assert not {"$ref", "$defs"} & _words(schema) | _words(tool.outputSchema) & {
            "$ref"
        }
        assert tool.annotations is not None
        assert tool.annotations.readOnlyHint is (tool.name != "trigger_sync")


def _words(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return {*schema}.union(*map(_words, schema.values()))
    return set().union(*map(_words, schema)) if isinstance(schema, list) else set()


async def test_an_agent_finds_its_way_from_collections_to_a_passage(
    client: httpx.AsyncClient, shelf: Any
) -> None:
    listed = await done(client, "list_collections")
    [collection] = listed["collections"]
    assert collection["sources"] == ["My shelf (stub)"]

    found = await done(
        client, "search", collection=collection["readable_id"], query="weir"
    )
    hits = [one for one in found["results"] if one["name"] == "weir"]
    assert [one["text"] for one in hits] == ["the weir"]

    one = await _hit(client, collection["readable_id"], "passage 7")
    assert (one["path"], one["chunk"]) == ("Docs / Birds", 7)
    assert one["web_url"] == "https://example.com/heron"
    around = await done(
        client, "read_entity", uri=one["uri"], around_chunk=7, context=1
    )
    assert around["content"].split("\n") == PASSAGES[6:9]
    assert (around["chunk_count"], around["next_chunk"]) == (12, 9)


async def _hit(client: httpx.AsyncClient, readable_id: str, words: str) -> Any:
    answer = await done(
        client,
        "search",
        collection=readable_id,
        query=words,
        strategy="keyword",
        limit=100,
    )
    return next(one for one in answer["results"] if words in one["text"])


async def test_search_pages_and_filters(client: httpx.AsyncClient, shelf: Any) -> None:
    asked = {
        "collection": shelf["readable_collection_id"],
        "query": "heron",
        "strategy": "keyword",
    }
    first = await done(client, "search", **asked, limit=8)
    rest = await done(client, "search", **asked, limit=8, offset=first["next_offset"])

    texts = [one["text"] for one in first["results"] + rest["results"]]
    assert sorted(texts) == sorted(PASSAGES)
    assert "next_offset" not in rest
    name = {"field": "name", "operator": "equals", "value": "weir"}
    for filter_ in ([{"conditions": [name]}], '[{"conditions": []}]'):
        result = await call(client, "search", **asked, filter=filter_)
        assert "Nothing found" in said(result) or result.isError


async def test_a_long_text_is_read_in_parts(
    client: httpx.AsyncClient, shelf: Any
) -> None:
    one = await _hit(client, shelf["readable_collection_id"], "passage 3")
    whole = await done(client, "read_entity", uri=one["uri"])
    assert whole["content"].split("\n") == PASSAGES
    assert "next_chunk" not in whole

    parts: list[str] = []
    begin: Any = 0
    while begin is not None:
        part = await done(
            client,
            "read_entity",
            uri=one["uri"],
            from_chunk=begin,
            max_characters=60,
        )
        parts += part["content"].split("\n")
        begin = part.get("next_chunk")
    assert parts == PASSAGES
    assert "from 0 to 11" in await refused(
        client, "read_entity", uri=one["uri"], from_chunk=12
    )


async def test_a_sync_is_started_followed_and_noted(
    client: httpx.AsyncClient, shelf: Any, set_job: Any
) -> None:
    connections = await done(client, "list_source_connections")
    assert [one["id"] for one in connections["connections"]] == [shelf["id"]]
    its = {"source_connection_id": shelf["id"]}
    assert "trigger_sync" in await refused(client, "job_status", **its)

    started = await done(client, "trigger_sync", **its, force_full=True)
    assert started["status"] == "pending"
    again = await refused(client, "trigger_sync", **its)
    assert "already pending" in again
    assert "job_status" in again

    await set_job(started["job_id"], status="failed", error="it broke", inserted=3)
    by_id = await done(client, "job_status", job_id=started["job_id"])
    assert (by_id["status"], by_id["error"], by_id["inserted"]) == (
        *("failed", "it broke"),
        3,
    )
    assert await done(client, "job_status", **its) == by_id
    [noted, *_] = (await client.get("/audit-log")).json()
    assert noted["action"] == "sync_job.started"
    assert noted["subject"]["id"] == started["job_id"]
    assert noted["actor"]["kind"] == "api_key"


async def test_the_catalogue_is_listed_and_one_source_with_its_fields(
    client: httpx.AsyncClient,
) -> None:
    whole = await done(client, "list_sources")
    one = await done(client, "list_sources", short_name="file_system")

    assert "file_system" in [source["short_name"] for source in whole["sources"]]
    [shown] = one["sources"]
    assert "path" in [field["name"] for field in shown["config_fields"]]
    assert "list_sources" in await refused(client, "list_sources", short_name="no")


async def test_collections_and_entities_are_resources(
    client: httpx.AsyncClient, shelf: Any
) -> None:
    hit = await _hit(client, shelf["readable_collection_id"], "passage 3")
    async with session_of(client) as session:
        [collection] = (await session.list_resources()).resources
        [template] = (await session.list_resource_templates()).resourceTemplates
        about = await session.read_resource(collection.uri)
        whole = await session.read_resource(AnyUrl(hit["uri"]))
        with pytest.raises(McpError, match="not found"):
            await session.read_resource(AnyUrl(hit["uri"] + "x"))

    assert template.uriTemplate.startswith("wellhead://{collection}/")
    assert shelf["id"] in _text(about)
    assert _text(whole).split("\n") == PASSAGES


def _text(read: Any) -> str:
    [content] = read.contents
    return str(content.text)


async def test_what_an_agent_gets_wrong_is_explained(
    client: httpx.AsyncClient, shelf: Any
) -> None:
    its = shelf["readable_collection_id"]
    for wrong, explained in (
        ({"query": "q"}, "collection: Field required"),
        ({"collection": its, "query": " "}, "query: the query must not be blank"),
        ({"collection": its, "query": "q", "limit": 101}, "limit: "),
        ({"collection": its, "query": "q", "top_k": 3}, "top_k: there is no such"),
        ({"collection": its, "query": "q", "filter": "{"}, "filter: the filter is no"),
        ({"collection": "none-such", "query": "q"}, "list_collections"),
        ({"collection": "a\x00b", "query": "q"}, "cannot be stored"),
    ):
        assert explained in await refused(client, "search", **wrong)
    for uri in ("", "https://example.com/", "wellhead://a/b/c/d"):
        assert "looks like wellhead://" in await refused(client, "read_entity", uri=uri)
    assert "either" in await refused(client, "job_status")
    async with session_of(client) as session:
        with pytest.raises(McpError, match="no such tool, but: search"):
            await session.call_tool("delete_everything", {})


async def test_a_bug_is_told_without_its_words(
    client: httpx.AsyncClient, shelf: Any, parts: Parts
) -> None:
    async with parts.db.begin() as connection:
        await connection.execute(text("ALTER TABLE entity RENAME meta TO hidden"))

    explained = await refused(
        client, "search", collection=shelf["readable_collection_id"], query="heron"
    )

    assert "the server's log says more about request" in explained
    assert "hidden" not in explained
    assert "column" not in explained


async def test_nothing_of_another_organization_is_told(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, shelf: Any
) -> None:
    its = shelf["readable_collection_id"]
    uri = (await _hit(client, its, "passage 3"))["uri"]
    job = await done(client, "trigger_sync", source_connection_id=shelf["id"])
    assert (await done(stranger, "list_collections"))["collections"] == []
    assert (await done(stranger, "list_source_connections"))["connections"] == []
    connection = {"source_connection_id": shelf["id"]}
    for tool, asked in (
        ("search", {"collection": its, "query": "heron"}),
        ("read_entity", {"uri": uri}),
        ("list_source_connections", {"collection": its}),
        ("job_status", connection),
        ("job_status", {"job_id": job["job_id"]}),
        ("trigger_sync", connection),
    ):
        explained = await refused(stranger, tool, **asked)
        assert "not found" in explained
        assert "heron" not in explained
    async with session_of(stranger) as session:
        assert (await session.list_resources()).resources == []
        for address in (f"wellhead://{its}", uri):
            with pytest.raises(McpError, match="not found"):
                await session.read_resource(AnyUrl(address))


async def test_what_was_deleted_or_is_elsewhere_is_not_read(
    client: httpx.AsyncClient, shelf: Any, given: Any
) -> None:
    uri = (await _hit(client, shelf["readable_collection_id"], "passage 3"))["uri"]
    other = await given.collection("Another")
    name = entity_at(uri)
    elsewhere = EntityName(
        readable_id=other["readable_id"],
        connection_id=name.connection_id,
        entity_type=name.entity_type,
        entity_id=name.entity_id,
    )
    assert "search again" in await refused(
        client, "read_entity", uri=address_of(elsewhere)
    )
    await client.delete(f"/source-connections/{shelf['id']}")
    assert "search again" in await refused(client, "read_entity", uri=uri)


async def test_an_id_that_is_stored_in_another_form_is_read(
    client: httpx.AsyncClient, shelf: Any, put_entity: Any, parts: Parts
) -> None:
    """Keys are made of the source's own id, which PostgreSQL may not take."""
    await put_entity(shelf["id"], r"odd\{0}name", "odd words")
    async with parts.db.begin() as connection:
        await connection.execute(
            text("UPDATE entity SET entity_key = :k WHERE source_id LIKE 'odd%'"),
            {"k": entity_key("Note", "odd\x00name")},
        )
    entity = EntityName(
        readable_id=shelf["readable_collection_id"],
        connection_id=UUID(shelf["id"]),
        entity_type="Note",
        entity_id=r"odd\{0}name",
    )

    read = await done(client, "read_entity", uri=address_of(entity))

    assert read["content"] == "odd words"


async def test_what_a_cancelled_job_inserted_is_not_read(
    client: httpx.AsyncClient, shelf: Any, set_job: Any, parts: Parts
) -> None:
    uri = (await _hit(client, shelf["readable_collection_id"], "passage 3"))["uri"]
    job = await done(client, "trigger_sync", source_connection_id=shelf["id"])
    async with parts.db.begin() as connection:
        await connection.execute(
            text("UPDATE entity SET inserted_by = :j"), {"j": UUID(job["job_id"])}
        )
    assert (await done(client, "read_entity", uri=uri))["chunk_count"] == 12

    await set_job(job["job_id"], status="cancelled", rollback="pending")

    assert "not found" in await refused(client, "read_entity", uri=uri)


async def test_without_a_key_or_from_a_strange_page_nothing_answers(
    anyone: httpx.AsyncClient, client: httpx.AsyncClient, parts: Parts
) -> None:
    async def ask(who: httpx.AsyncClient, **headers: str) -> int:
        response = await who.post("/mcp", json=PING, headers={**ACCEPTED, **headers})
        return response.status_code

    key = client.headers.pop("x-api-key")
    assert await ask(anyone) == 401
    assert await ask(anyone, **{"x-api-key": "wrong"}) == 403
    for headers in ({"x-api-key": key}, {"Authorization": f"Bearer {key}"}):
        assert await ask(anyone, **headers) == 200
        strange = {"Origin": "http://rebound.example:8001", **headers}
        assert await ask(anyone, **strange) == 403
        known = {"Origin": "http://localhost:5173", **headers}
        assert await ask(anyone, **known) == 200
    for method in ("GET", "DELETE"):
        assert (await anyone.request(method, "/mcp")).status_code == 405


async def test_a_request_goes_through_the_layers_of_the_api(
    parts: Parts, key: str
) -> None:
    transport = httpx.ASGITransport(create_app(parts, auth=True, rate_limit=2))
    headers = {"x-api-key": key, **ACCEPTED}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://wellhead", headers=headers
    ) as client:
        first = await client.post(
            "/mcp/", json=PING, headers={"x-request-id": "number-one"}
        )
        second = await client.post("/mcp", content=b"{")
        third = await client.post("/mcp", json=PING)

    assert first.json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert first.headers["x-request-id"] == "number-one"
    assert first.headers["ratelimit-limit"] == "2"
    assert (second.status_code, third.status_code) == (400, 429)
    assert "retry-after" in third.headers


@pytest.mark.parametrize("body", [b"{", b'"\xff"', b"[" * 100_000, b"1" * 5000])
async def test_what_is_no_json_is_no_crash(
    client: httpx.AsyncClient, body: bytes
) -> None:
    headers = {**ACCEPTED, "Content-Type": "application/json"}
    response = await client.post("/mcp", content=body, headers=headers)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32700


@pytest.mark.parametrize(
    "ident", ["docs/plan.md", "a b?c#d%2Fe", "ünï/日本", "..%2F..", "x" * 3000]
)
def test_an_address_names_one_entity(ident: str) -> None:
    entity = EntityName(
        readable_id="my-notes",
        connection_id=uuid4(),
        entity_type="File/Entity",
        entity_id=ident,
    )

    address = address_of(entity)

    assert entity_at(address) == entity
    assert entity_at(str(AnyUrl(address))) == entity


def test_an_address_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        entity_at("wellhead://my-notes")


def test_every_tool_and_argument_is_in_the_document() -> None:
    file = Path(__file__).parents[2] / "docs/mcp.md"
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", file.read_text("utf-8"), re.MULTILINE)
    described = {name: set(re.findall(r"`(\w+)`", said)) for name, said in rows}

    assert described == {
        name: set(tool.takes.model_fields) for name, tool in tools.TOOLS.items()
    }
