"""Searches for somebody who may see a part: nothing tells of the rest.

What a person may not see must make no difference to anything that this person is told:
each way to ask is asked without it and with it. Planted mistakes show that each of them
would be noticed.
"""

import inspect
import json
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import text
from tests.api.conftest import client_of
from tests.api.told import AS_ANN, PROBES, Scene, set_out, told_by

from wellhead.api import deps
from wellhead.api.mcp import resources, server, tools
from wellhead.api.routes import search, search_legacy
from wellhead.search import classic, counting, instant
from wellhead.search.toolbox import Toolbox
from wellhead.store import entity_line, visible

SECRET = "midnight"  # noqa: S105  # what must not be shown
OTHERS = ("user:eve", "group:board")


@pytest.fixture
async def scene(parts: Any, app: Any, key: str, given: Any, put_entity: Any) -> Scene:
    connection = await given.connection(name="Papers of all", sync_immediately=False)
    made = Scene(parts, app, key, connection, put_entity)
    await set_out(made)
    return made


async def wrong_with(scene: Scene, probe: str) -> list[str]:
    """Return what is wrong with what ann is told."""
    before = await told_by(scene, probe)
    await scene.hide_more()
    told = await told_by(scene, probe)

    wrong = [] if told == before else ["what she may not see makes a difference"]
    private = (SECRET, *OTHERS, scene.connection["name"])
    return wrong + [f"tells {one}" for one in private if one in json.dumps(told)]


@pytest.mark.parametrize("probe", PROBES)
async def test_what_may_not_be_seen_makes_no_difference(
    scene: Scene, probe: str
) -> None:
    assert await wrong_with(scene, probe) == []
    if probe != "mcp_resources":
        assert "closed" in json.dumps(await told_by(scene, probe)), "she sees some"


@dataclass(frozen=True)
class Mistake:
    """A text in a function of the product that is replaced, and who must notice."""

    where: Any
    old: str
    new: str
    noticed_by: str

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        function = inspect.unwrap(self.where)
        source = textwrap.dedent(inspect.getsource(function))
        assert self.old in source, f"{self} is out of date"
        lines = source.replace(self.old, self.new).splitlines()
        start = next(
            n for n, line in enumerate(lines) if line.startswith(("def ", "async "))
        )
        made: dict[str, Any] = {}
        exec("\n".join(lines[start:]), function.__globals__, made)  # noqa: S102
        monkeypatch.setattr(function, "__code__", made[function.__name__].__code__)


FORGETS = (", principal=principal", "")
MISTAKES = (
    Mistake(search.search_instantly, *FORGETS, "instant"),
    Mistake(search.search_classically, *FORGETS, "classic"),
    Mistake(search.search_agentically, *FORGETS, "agentic"),
    Mistake(search.stream_agentic_search, *FORGETS, "agentic"),
    Mistake(search_legacy.search_as_before, *FORGETS, "former"),
    Mistake(search_legacy.search_by_address, *FORGETS, "former"),
    Mistake(search_legacy.stream_as_before, *FORGETS, "former"),
    Mistake(instant._answer, "query.principal)", "None)", "instant"),
    Mistake(instant._answer, "if query.principal is None else", "or", "instant"),
    Mistake(instant._answer, "query.principal)", "None)", "instant_preferences"),
    Mistake(search.search_instantly, *FORGETS, "instant_preferences"),
    Mistake(search.search_classically, *FORGETS, "classic_preferences"),
    Mistake(Toolbox._within, "self._asked.principal", "None", "agentic_preferences"),
    Mistake(
        *(classic._planned, "replace(query,", "replace(query, principal=None,"),
        "classic",
    ),
    Mistake(Toolbox._within, "self._asked.principal", "None", "agentic"),
    Mistake(counting.count_entities, "query.principal", "None", "agentic"),
    Mistake(tools._search, "asker.principal", "None", "mcp_tools"),
    Mistake(tools._read_entity, "asker.principal", "None", "mcp_tools"),
    Mistake(tools._list_collections, "asker.principal", "None", "mcp_tools"),
    Mistake(server.Tools.__init__, "tools_for(asker)", "TOOLS", "mcp_tools"),
    Mistake(entity_line.find, "values_of(principal)", "values_of(None)", "mcp_tools"),
    Mistake(resources.read_resource, "asker.principal", "None", "mcp_resources"),
    Mistake(
        resources._collection, "asker.principal is not None", "False", "mcp_resources"
    ),
)


@pytest.mark.soak  # of the tests above, not of the program
@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=lambda one: f"{one.where.__name__}-{one.new}"
)
async def test_a_mistake_is_noticed(
    scene: Scene, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake.plant(monkeypatch)

    assert await wrong_with(scene, mistake.noticed_by) != []


async def _found_by(scene: Scene, **headers: str) -> list[str]:
    async with client_of(scene.app, **{"x-api-key": scene.key}, **headers) as client:
        response = await client.post(f"{scene.path}/instant", json={"query": "vault"})
    assert response.status_code == 200, response.text
    return sorted(one["name"] for one in response.json()["results"])


async def _take_from_all(scene: Scene) -> None:
    """Change access in the ledger alone, as if the index had not heard of it yet."""
    async with scene.parts.db.begin() as connection:
        await connection.execute(
            text(
                "UPDATE entity SET meta = meta"
                """ || '{"viewers": ["user:eve"], "is_public": false}'"""
            )
        )


async def test_the_ledger_has_the_last_word(scene: Scene) -> None:
    assert await _found_by(scene, **AS_ANN) != []
    await _take_from_all(scene)

    assert await _found_by(scene, **AS_ANN) == []
    assert len(await _found_by(scene)) == 7


async def test_a_ledger_that_does_not_look_is_noticed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    values_of = "values_of(principal)"
    Mistake(visible.verified_versions, values_of, "values_of(None)", "").plant(
        monkeypatch
    )
    await _take_from_all(scene)

    assert await _found_by(scene, **AS_ANN) != []


async def test_users_and_groups_are_told_apart(scene: Scene) -> None:
    await scene.hide_more()
    for headers, found in (
        ({"X-As-User": "ann"}, ["diary", "notice"]),
        ({"X-As-Groups": "staff"}, ["label", "notice", *["rules"] * 4]),
        ({"X-As-Groups": "x, board ,y"}, ["diary", "notice"]),
        ({"X-As-User": "Ann", "X-As-Groups": "ann"}, ["notice"]),
        ({"X-As-User": "staff"}, ["notice", *["vault of others"] * 3]),
        ({"X-As-User": "Ann"}, ["notice"]),
        ({"X-As-User": "%61nn"}, ["diary", "notice"]),
        ({"X-As-User": "nobody", "X-As-Unlisted": "hide"}, ["notice"]),
        (
            {"X-As-User": "b", "X-As-Unlisted": "show"},
            ["notice", *["vault untold"] * 3],
        ),
    ):
        assert await _found_by(scene, **headers) == found, headers


async def test_a_principal_that_makes_no_sense_is_refused(scene: Scene) -> None:
    """It is never taken for nobody, who sees everything."""
    for headers, where in (
        ([("X-As-User", "")], "header.x-as-user"),
        ([("X-As-User", "%20")], "header.x-as-user"),
        ([("X-As-User", "ann"), ("X-As-User", "eve")], "header.x-as-user"),
        ([("X-As-User", "%ff")], "header.x-as-user"),
        ([("X-As-User", "a%00")], "header.x-as-user"),
        ([("X-As-User", "a\\{0}")], "header.x-as-user"),
        ([("X-As-User", "a" * 2_000)], "header.x-as-user"),
        ([("X-As-User", "ann"), ("X-As-Groups", "a,,b")], "header.x-as-groups"),
        ([("X-As-Groups", "")], "header.x-as-groups"),
        ([("X-As-Groups", "a," * 1_000 + "a")], "header.x-as-groups"),
        ([("X-As-Unlisted", "show")], "header.x-as-user"),
        ([("X-As-User", "a"), ("X-As-Unlisted", "yes")], "header.x-as-unlisted"),
    ):
        async with client_of(scene.app, **{"x-api-key": scene.key}) as client:
            for method, path in (
                ("POST", f"{scene.path}/instant"),
                ("POST", f"{scene.path}/agentic/stream"),
                ("GET", scene.path),
                ("POST", "/mcp"),
            ):
                response = await client.request(
                    *(method, path),
                    params={"query": "q"},
                    json={"query": "q"},
                    headers=headers,
                )
                assert response.status_code == 422, (headers, path, response.text)
                assert [*response.json()["errors"][0]] == [where]


async def refused_elsewhere(app: Any, key: str) -> dict[str, int]:
    """Return what each route that asks for a key answers to somebody's search."""
    answered = {}
    async with client_of(app, **{"x-api-key": key}, **AS_ANN) as client:
        for route in iter_route_contexts(app.routes):
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                path = str(route.path).replace("{", "").replace("}", "")
                response = await client.request(method, path, json={})
                answered[f"{method} {route.path}"] = response.status_code
    return answered


HONOUR_IT = ("/collections/{readable_id}/search", "/mcp", "/collections/internal")
WITHOUT_A_KEY = ("/docs", "/openapi.json", "/health", "/entities/definitions")
WITH_A_SESSION = ("/connect/", "/console", "/source-connections/callback")
ONCE = ("/source-connections/authorize",)


async def test_whatever_shows_the_whole_refuses_principals(app: Any, key: str) -> None:
    """A new route does so by itself."""
    answered = await refused_elsewhere(app, key)

    assert len(answered) > 100
    for route, status in answered.items():
        path = route.partition(" ")[2]
        if path == "/" or path.startswith(
            (*HONOUR_IT, *WITHOUT_A_KEY, *WITH_A_SESSION, *ONCE)
        ):
            continue
        assert status == 403, route


async def test_a_door_that_lets_principals_pass_is_noticed(
    app: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Mistake(deps._caller_of, "refuse_principal(request)", "pass", "").plant(monkeypatch)

    answered = await refused_elsewhere(app, key)
    assert answered["GET /collections"] == 200
