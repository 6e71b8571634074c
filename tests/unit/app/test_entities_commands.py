"""What `wellhead entities delete --again` does with lists that do not fit."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from wellhead.app.cli import make_app, server
from wellhead.app.cli.server import Server

HERE = "7b0c1f0a-8f0e-4a53-a9a2-0c6a4f7d9a10"
YOUNGER = "7b0c1f0a-8f0e-4a53-a9a2-0c6a4f7d9a11"

Call = Callable[..., Result]


def entry(connection: str, key: str) -> dict[str, str]:
    return {
        "source_connection_id": connection,
        "entity_type": "File",
        "entity_key": key * 32,
        "erased_at": "2026-01-02T03:04:05Z",
    }


class Api:
    """Knows one collection with one connection, and remembers what was erased."""

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.refusal = 404

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"readable_id": "notes"})
        asked = dict(request.url.params)
        if asked.get("source_connection_id") != HERE:
            return httpx.Response(self.refusal, json={"detail": "not found"})
        self.erased.append(asked["entity_key"])
        told = {"was_stored": True, "may_return": False}
        return httpx.Response(200, json=asked | told)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    @contextmanager
    def connect(_url: str | None, _data_dir: Path | None) -> Iterator[Server]:
        transport = httpx.MockTransport(made)
        with httpx.Client(transport=transport, base_url="http://wellhead") as client:
            yield Server(client)

    monkeypatch.setattr(server, "connect", connect)
    return made


@pytest.fixture
def again(api: Api, tmp_path: Path) -> Call:
    def run(listed: str, *more: str) -> Result:
        kept = tmp_path / "erased.json"
        kept.write_text(listed)
        words = ["entities", "delete", "notes", "--again", str(kept), "--yes", *more]
        return CliRunner().invoke(make_app(), words)

    return run


def test_a_connection_younger_than_the_backup_keeps_nothing_from_being_erased(
    api: Api, again: Call
) -> None:
    listed = [entry(HERE, "a"), entry(YOUNGER, "b"), entry(HERE, "c")]

    done = again(json.dumps(listed), "--json")

    assert done.exit_code == 0, done.output
    assert api.erased == ["a" * 32, "c" * 32]
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [one["entity_key"] for one in told] == api.erased
    assert "b" * 32 in done.stderr
    assert YOUNGER in done.stderr


def test_a_server_in_trouble_ends_a_repetition(api: Api, again: Call) -> None:
    api.refusal = 503

    done = again(json.dumps([entry(YOUNGER, "b"), entry(HERE, "a")]))

    assert done.exit_code != 0
    assert api.erased == []


@pytest.mark.parametrize("listed", ["", "{bad", "{}", '"text"', "[1]", '[{"a": 1}]'])
def test_another_file_than_a_list_of_erasures_is_refused_in_words(
    api: Api, again: Call, listed: str
) -> None:
    done = again(listed)

    assert done.exit_code == 2, done.output
    assert "entities erased" in " ".join(done.output.split())
    assert api.erased == []


def test_a_list_of_erasures_that_is_not_there_is_named(api: Api) -> None:
    words = ["entities", "delete", "notes", "--again", "/not/there.json", "--yes"]

    done = CliRunner().invoke(make_app(), words)

    assert done.exit_code == 2, done.output
    assert "cannot be read" in " ".join(done.output.split())


def test_options_that_a_repetition_would_ignore_are_refused(
    api: Api, again: Call
) -> None:
    done = again(json.dumps([entry(HERE, "a")]), "--allow-return")

    assert done.exit_code == 2, done.output
    assert api.erased == []
