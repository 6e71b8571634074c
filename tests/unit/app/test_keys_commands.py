"""What commands ask and say about keys, organizations and the audit log."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from wellhead.app.cli import make_app, server
from wellhead.app.cli.server import CommandError, Server

KEY = {
    "id": "0f1e2d3c-0000-4000-8000-000000000001",
    "name": "ci",
    "prefix": "aB3xYz",
    "created_at": "2026-01-02T03:04:05Z",
    "expiration_date": None,
    "last_used_date": None,
    "decrypted_key": None,
}
MADE = {**KEY, "decrypted_key": "aB3xYz-all-of-it"}
OWN = {"id": "org-1", "name": "Default", "created_at": "2026-01-02T03:04:05Z"}
LINE = {
    "id": 7,
    "at": "2026-01-02T03:04:05Z",
    "actor": {"kind": "api_key", "name": "ci (aB3xYz…)", "key_id": KEY["id"]},
    "action": "collection.deleted",
    "subject": {"kind": "collection", "id": "notes"},
    "details": {"name": "Notes"},
}
ANSWERS: dict[str, Any] = {
    "GET /api-keys": [KEY],
    "POST /api-keys": MADE,
    "DELETE /api-keys": KEY,
    f"POST /api-keys/{KEY['id']}/rotate": MADE,
    "GET /organizations": [OWN],
    "PUT /organizations/org-1": {**OWN, "name": "Reading room"},
    "GET /audit-log": [LINE],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What a server that answers as above was asked."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        found = ANSWERS[f"{request.method} {request.url.path}"]
        return httpx.Response(200, json=found)

    @contextmanager
    def connect(*_: object) -> Iterator[Server]:
        transport = httpx.MockTransport(answer)
        with httpx.Client(transport=transport, base_url="http://w") as client:
            yield Server(client)

    monkeypatch.setattr(server, "connect", connect)
    return requests


Run = Callable[..., str]


@pytest.fixture
def run(asked: list[httpx.Request]) -> Run:
    def invoke(*words: str) -> str:
        done = CliRunner().invoke(make_app(), list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return invoke


def test_keys_are_listed_by_their_first_characters(run: Run) -> None:
    said = run("keys", "list", "--no-json")

    assert "aB3xYz…" in said
    assert "never" in said
    assert "None" not in said


@pytest.mark.parametrize(
    ("words", "days"),
    [((), 90), (("--days", "7"), 7), (("--expires-in-days", "365"), 365)],
)
def test_a_key_lives_as_long_as_was_asked(
    run: Run, asked: list[httpx.Request], words: tuple[str, ...], days: int
) -> None:
    said = run("keys", "create", "--name", "ci", "--no-json", *words)

    assert json.loads(asked[0].content) == {"name": "ci", "expiration_days": days}
    assert "aB3xYz-all-of-it  (shown only now)" in said


def test_a_key_is_rotated_and_revoked(run: Run) -> None:
    assert "aB3xYz-all-of-it" in run("keys", "rotate", KEY["id"] or "", "--no-json")
    assert "Revoked aB3xYz… (ci)" in run("keys", "revoke", KEY["id"] or "", "--no-json")


def test_a_key_for_another_organization_is_made_on_the_machine(run: Run) -> None:
    with pytest.raises(CommandError, match="add --local"):
        run("keys", "create", "--organization", "Press")


def test_the_own_organization_is_renamed(run: Run) -> None:
    assert "Default" in run("organizations", "list", "--no-json")
    assert "Reading room" in run("organizations", "rename", "Reading room", "--no-json")


def test_the_audit_log_is_one_line_for_each_change(
    run: Run, asked: list[httpx.Request]
) -> None:
    said = run("audit", "--action", "collection.deleted", "--no-json")

    assert dict(asked[0].url.params) == {"limit": "50", "action": "collection.deleted"}
    for word in ("ci (aB3xYz…)", "collection.deleted", "collection notes"):
        assert word in said
    assert json.loads(run("audit", "--json")) == [LINE]
