"""What `wellhead search` asks the server for."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from wellhead.app.cli import make_app, server
from wellhead.app.cli.server import Server

Call = Callable[..., Result]
RESULTS = [
    {
        "name": "Pumps",
        "textual_representation": "The pump",
        "relevance_score": 1.0,
        "breadcrumbs": [],
        "web_url": None,
        "context": {"before": ["the one before"], "after": ["the one after"]},
    }
]


@pytest.fixture
def asked() -> list[Any]:
    return []


@pytest.fixture
def headers() -> list[Any]:
    return []


@pytest.fixture
def search(
    asked: list[Any], headers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Call:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"readable_id": "notes"})
        asked.append(json.loads(request.content))
        names = {
            name: request.headers.get(name) for name in ("X-As-User", "X-As-Groups")
        }
        headers.append(names)
        told = (
            {"X-Search-Fallback": "keyword; no embedder"} if names["X-As-User"] else {}
        )
        return httpx.Response(200, json={"results": RESULTS}, headers=told)

    @contextmanager
    def connected(_url: str | None, _data_dir: Path | None) -> Iterator[Server]:
        transport = httpx.MockTransport(answer)
        yield Server(httpx.Client(transport=transport, base_url="http://wellhead"))

    monkeypatch.setattr(server, "connect_or_start", connected)
    command = ["search", "pump", "--collection", "notes"]
    return lambda *words: CliRunner().invoke(make_app(), [*command, *words])


def test_nothing_is_filtered_unless_told(search: Call, asked: list[Any]) -> None:
    assert search("--offset", "20", "--strategy", "keyword").exit_code == 0

    assert asked == [
        {
            "query": "pump",
            "limit": 10,
            "offset": 20,
            "retrieval_strategy": "keyword",
            "filter": None,
            "group_by_entity": False,
            "recency_bias": 0,
            "context": 0,
        }
    ]


def test_documents_recent_ones_and_context_are_asked_for(
    search: Call, asked: list[Any]
) -> None:
    shown = search("--by-entity", "--recency", "0.5", "--context", "2", "--no-json")

    wanted = {"group_by_entity": True, "recency_bias": 0.5, "context": 2}
    assert {name: asked[0][name] for name in wanted} == wanted
    assert re.search(r"the one before\n +The pump\n +the one after", shown.stdout)


def test_what_was_searched_otherwise_is_said_beside_the_answer(search: Call) -> None:
    done = search("--as-user", "ann")

    assert "searched otherwise than asked: keyword; no embedder" in done.stderr
    assert json.loads(done.stdout) == {"results": RESULTS}


def test_it_asks_for_somebody_whatever_their_name(
    search: Call, headers: list[Any]
) -> None:
    search()
    search("--as-user", "änn", "--as-group", "a, b", "--as-group", "c")

    assert headers == [
        {"X-As-User": None, "X-As-Groups": None},
        {"X-As-User": "%C3%A4nn", "X-As-Groups": "a%2C%20b,c"},
    ]


def test_conditions_add_up(search: Call, asked: list[Any]) -> None:
    search("-f", "name contains my plan", "-f", "breadcrumbs.name in Docs,Old docs")

    [group] = asked[0]["filter"]
    assert group["conditions"] == [
        {"field": "name", "operator": "contains", "value": "my plan"},
        {
            "field": "breadcrumbs.name",
            "operator": "in",
            "value": ["Docs", "Old docs"],
        },
    ]


def test_a_whole_filter_is_passed_on(search: Call, asked: list[Any]) -> None:
    whole = [{"conditions": [{"field": "name", "operator": "equals", "value": "a"}]}]
    search("--filter", json.dumps(whole))

    assert asked[0]["filter"] == whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-f", "name equals"], "FIELD OPERATOR VALUE"),
        (["-f", "[{"], "no JSON"),
        (["-f", "[]", "-f", "name equals a"], "once"),
    ],
)
def test_what_is_no_filter_is_refused_at_once(
    search: Call, asked: list[Any], words: list[str], said: str
) -> None:
    done = search(*words)

    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
    assert asked == []
