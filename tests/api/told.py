"""Every way to ask for somebody who may see a part, and all that is then told.

Each probe is asked twice: before and after there is more that this person may not see.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from mcp.shared.exceptions import McpError
from pydantic import AnyUrl
from tests.api.conftest import client_of
from tests.api.test_mcp import call, said, session_of
from tests.api.thinking import thinking
from tests.scripted_model import calls, plan

from wellhead.api.mcp.addresses import address_of, address_of_collection
from wellhead.domain.entities import Breadcrumb, EntityName
from wellhead.services.parts import Parts

FOLDER = Breadcrumb("folder", "Folder", "Folder")
VAULT = Breadcrumb("vault", "vault", "Note")
AS_ANN = {"X-As-User": "ann", "X-As-Groups": "staff"}
QUERY = "when does the vault open?"
ONLY_HIDDEN = [
    {"conditions": [{"field": "name", "operator": "contains", "value": "vault"}]}
]
HIDDEN, SHOWN = "vault__chunk_0", "notice__chunk_0"
_PASSING = {"duration_ms", "request_id", "ts", "call_id"}


@dataclass(frozen=True)
class Scene:
    """A collection, and what it takes to ask it."""

    parts: Parts
    app: Any
    key: str
    connection: Any
    put: Any

    @property
    def readable_id(self) -> str:
        return str(self.connection["readable_collection_id"])

    @property
    def path(self) -> str:
        return f"/collections/{self.readable_id}/search"

    def client(self, **headers: str) -> httpx.AsyncClient:
        return client_of(self.app, **{"x-api-key": self.key}, **AS_ANN, **headers)

    def uri(self, name: str) -> str:
        return address_of(
            EntityName(
                readable_id=self.readable_id,
                connection_id=self.connection["id"],
                entity_type="Note",
                entity_id=name,
            )
        )

    async def hide_more(self) -> None:
        """Put what ann may not see beside, inside, above and among what she may."""
        put, here = self.put, self.connection["id"]
        for name, access in (
            ("vault", {"viewers": ["user:eve"]}),
            ("vault of nobody", {"viewers": [], "is_public": False}),
            ("vault of others", {"viewers": ["group:user:ann", "user:staff", "ann"]}),
            ("vault untold", {}),
        ):
            texts = ["the vault opens at midnight", "vault vault", "by the door"]
            lately = _days_ago(0)
            await put(
                *(here, name, *texts), breadcrumbs=[FOLDER], created_at=lately, **access
            )
        inside = [FOLDER, Breadcrumb("notice", "notice", "Note")]
        await put(here, "vault key", "vault", breadcrumbs=inside, viewers=["user:eve"])


def _days_ago(days: int) -> datetime:
    return datetime(2026, 1, 2, tzinfo=UTC) - timedelta(days=days)


async def set_out(scene: Scene) -> None:
    put, here = scene.put, scene.connection["id"]
    await put(here, "notice", "the vault is closed", is_public=True, viewers=[])
    mine = ["user:ann", "user:eve", "group:board"]
    way = [FOLDER]
    await put(here, "diary", "vault? not today", breadcrumbs=way, viewers=mine)
    staff = ["group:staff"]
    rules = ("vault rules", "more", "the vault again", "and more")
    await put(
        *(here, "rules", *rules),
        breadcrumbs=way,
        viewers=staff,
        created_at=_days_ago(9),
    )
    # inside something that it may not see once it is there
    await put(here, "label", "vault label", breadcrumbs=[VAULT], viewers=staff)


async def _post(scene: Scene, path: str, **body: Any) -> Any:
    async with scene.client() as client:
        response = await client.post(path, json={"query": QUERY, **body})
    return _answered(response)


def _answered(response: httpx.Response) -> Any:
    headers = [one for one in response.headers.items() if one[0].startswith("x-search")]
    if response.text.startswith("data: "):
        frames = response.text.split("\n\n")[:-1]
        told: Any = [json.loads(one.removeprefix("data: ")) for one in frames]
    else:
        told = response.json()
    return [response.status_code, headers, told]


async def instant(scene: Scene) -> Any:
    pages: list[dict[str, Any]] = [
        {"limit": 2},
        {"limit": 2, "offset": 2},
        {"filter": ONLY_HIDDEN},
    ]
    return [
        await _post(scene, f"{scene.path}/instant", retrieval_strategy=one, **page)
        for one in ("hybrid", "semantic", "keyword")
        for page in pages
    ]


GROUPED: dict[str, Any] = {"group_by_entity": True}
RECENT: dict[str, Any] = {"recency_bias": 1}
IN_CONTEXT: dict[str, Any] = {"context": 5}
ALL = {**GROUPED, **RECENT, **IN_CONTEXT}


async def instant_preferences(scene: Scene) -> Any:
    pages: list[dict[str, Any]] = [
        GROUPED,
        RECENT,
        IN_CONTEXT,
        {**ALL, "limit": 2},
        {**ALL, "limit": 2, "offset": 2},
        {**ALL, "filter": ONLY_HIDDEN},
    ]
    return [
        await _post(scene, f"{scene.path}/instant", retrieval_strategy=one, **page)
        for one in ("hybrid", "semantic", "keyword")
        for page in pages
    ]


async def former(scene: Scene) -> Any:
    async with scene.client() as client:
        got = await client.get(scene.path, params={"query": QUERY})
        late = await client.get(scene.path, params={"query": QUERY, **RECENT})
    return [
        _answered(got),
        _answered(late),
        await _post(scene, scene.path, limit=2, offset=1, **RECENT),
        await _post(scene, scene.path),
        await _post(scene, scene.path, response_type="raw"),
        await _post(scene, f"{scene.path}/stream"),
    ]


async def classic(scene: Scene, **more: Any) -> Any:
    planned = plan("vault", "door", filter_groups=ONLY_HIDDEN)
    lines = (plan("vault"), plan("vault", "door"), planned)
    told = [await _post(scene, f"{scene.path}/classic", **more)]
    async with thinking(scene.parts, scene.key, *lines) as wired:
        for _ in lines:
            response = await wired.client.post(
                f"{scene.path}/classic", json={"query": QUERY, **more}, headers=AS_ANN
            )
            told.append(_answered(response))
    return [*told, wired.model.asked]


async def classic_preferences(scene: Scene) -> Any:
    return [
        await classic(scene, **one)
        for one in (ALL, {**ALL, "limit": 2, "offset": 1}, IN_CONTEXT)
    ]


async def agentic_preferences(scene: Scene) -> Any:
    return [await agentic(scene, **ALL), await agentic(scene, limit=2, **IN_CONTEXT)]


async def agentic(scene: Scene, **more: Any) -> Any:
    """What is answered, what is told on the way, and what the model is told."""
    ids = [HIDDEN, SHOWN, "rules__chunk_0", "label__chunk_0", "vault key__chunk_0"]
    lines = [
        calls(
            ("search", {"query": "vault", "limit": 50}),
            ("search", {"query": "x", "filter_groups": ONLY_HIDDEN}),
            ("count", {}),
            ("count", {"filter_groups": ONLY_HIDDEN}),
            ("read", {"entity_ids": ids, "neighbours": 5}),
        ),
        calls(
            *((tool, {"entity_id": one}) for tool in _RELATIVES for one in ids[:4]),
        ),
        calls(("get_children", {"entity_id": "folder"})),
        calls(("add_to_results", {"entity_ids": ids}), ("review_results", {})),
        calls(("return_results_to_user", {})),
    ]
    told = []
    for path in ("agentic", "agentic/stream"):
        async with thinking(scene.parts, scene.key, *lines) as wired:
            response = await wired.client.post(
                f"{scene.path}/{path}", json={"query": QUERY, **more}, headers=AS_ANN
            )
        told += [_answered(response), wired.model.told()]
    return told


_RELATIVES = ("get_children", "get_siblings", "get_parent")


async def mcp_tools(scene: Scene) -> Any:
    where = {"collection": scene.readable_id, "query": QUERY}
    hidden, shown = scene.uri("vault"), scene.uri("rules")
    told: list[Any] = []
    asked: list[tuple[str, dict[str, Any]]] = [
        ("search", {**where, "limit": 2}),
        ("search", {**where, "filter": ONLY_HIDDEN}),
        ("search", {**where, **ALL}),
        ("search", {**where, **ALL, "limit": 2, "offset": 1}),
        ("read_entity", {"uri": hidden}),
        ("read_entity", {"uri": hidden, "around_chunk": 1, "context": 5}),
        ("read_entity", {"uri": hidden, "from_chunk": 99}),
        ("read_entity", {"uri": shown}),
        ("list_collections", {}),
    ]
    async with scene.client() as client:
        for tool, given in asked:
            result = await call(client, tool, **given)
            told.append([said(result), result.structuredContent])
        async with session_of(client) as session:
            told += [one.name for one in (await session.list_tools()).tools]
            for tool, given in (
                ("list_source_connections", {"collection": scene.readable_id}),
                ("job_status", {"source_connection_id": scene.connection["id"]}),
            ):
                told.append(await _or_error(session.call_tool(tool, given)))
    return told


async def mcp_resources(scene: Scene) -> Any:
    told: list[Any] = []
    async with scene.client() as client, session_of(client) as session:
        listed = (await session.list_resources()).resources
        told += [one.description for one in listed]
        for address in (
            address_of_collection(scene.readable_id),
            scene.uri("vault"),
            scene.uri("rules"),
        ):
            told.append(await _or_error(session.read_resource(AnyUrl(address))))
    return told


async def _or_error(asking: Awaitable[Any]) -> str:
    try:
        return str((await asking).model_dump_json())
    except McpError as error:
        return str(error)


Probe = Callable[[Scene], Awaitable[Any]]
PROBES: dict[str, Probe] = {
    one.__name__: one
    for one in (
        *(instant, instant_preferences, former, classic, classic_preferences),
        *(agentic, agentic_preferences, mcp_tools, mcp_resources),
    )
}


async def told_by(scene: Scene, probe: str) -> Any:
    """Return all that is told, without what passing time changes."""
    return _lasting(await PROBES[probe](scene))


def _lasting(told: Any) -> Any:
    if isinstance(told, dict):
        return {
            name: _lasting(value)
            for name, value in told.items()
            if name not in _PASSING
        }
    return [_lasting(one) for one in told] if isinstance(told, list | tuple) else told
