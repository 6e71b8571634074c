"""What the webhooks commands ask the API, and what they say."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from wellhead.app.cli import make_app, server
from wellhead.app.cli.server import CommandError, Server

HOOK = {
    "id": "ep_1",
    "url": "https://example.com/hooks",
    "filter_types": ["sync.failed"],
    "disabled": False,
    "description": None,
    "health_status": "healthy",
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z",
}
ATTEMPT = {
    "id": "atmpt_1",
    "message_id": "msg_1",
    "endpoint_id": "ep_1",
    "response": "oh no",
    "response_status_code": 500,
    "status": "failed",
    "timestamp": "2026-01-02T03:04:05Z",
}
MESSAGE = {
    "id": "msg_1",
    "event_type": "sync.failed",
    "payload": {"collection_readable_id": "notes", "error": "gone"},
    "timestamp": "2026-01-02T03:04:05Z",
}
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/webhooks/subscriptions"): [HOOK],
    ("POST", "/webhooks/subscriptions"): HOOK,
    ("GET", "/webhooks/subscriptions/ep_1"): {
        **HOOK,
        "secret": "whsec_x",
        "delivery_attempts": [ATTEMPT],
    },
    ("PATCH", "/webhooks/subscriptions/ep_1"): HOOK,
    ("DELETE", "/webhooks/subscriptions/ep_1"): HOOK,
    ("POST", "/webhooks/subscriptions/ep_1/recover"): {"id": "r", "status": "running"},
    ("GET", "/webhooks/messages"): [MESSAGE],
    ("GET", "/webhooks/messages/msg_1"): {**MESSAGE, "delivery_attempts": [ATTEMPT]},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []

    def react(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=ANSWERS[request.method, request.url.path])

    @contextmanager
    def connect(_url: str | None, _data_dir: Path | None) -> Iterator[Server]:
        transport = httpx.MockTransport(react)
        with httpx.Client(transport=transport, base_url="http://wellhead") as client:
            yield Server(client)

    monkeypatch.setattr(server, "connect", connect)
    return requests


def run(*words: str) -> str:
    done = CliRunner().invoke(make_app(), ["webhooks", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_creating_shows_the_secret(asked: list[httpx.Request]) -> None:
    made = json.loads(run("create", "https://example.com/hooks"))

    assert made["secret"] == "whsec_x"  # noqa: S105  # no secret of anybody
    assert json.loads(asked[0].content) == {
        "url": "https://example.com/hooks",
        "event_types": ["sync.completed", "sync.failed"],
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "https://example.com/hooks"),
        (["show", "ep_1"], "oh no"),
        (["disable", "ep_1"], "Disabled ep_1"),
        (["enable", "ep_1"], "Enabled ep_1"),
        (["delete", "ep_1", "--yes"], "Deleted ep_1"),
        (["recover", "ep_1", "--since", "2026-01-01"], "being sent again"),
        (["messages"], "notes · gone"),
        (["messages", "msg_1"], "oh no"),
    ],
)
def test_people_are_told(
    asked: list[httpx.Request], words: list[str], said: str
) -> None:
    assert said in run(*words, "--no-json")
    assert asked


def test_times_are_sent_with_their_zone(asked: list[httpx.Request]) -> None:
    run("recover", "ep_1", "--since", "2026-01-01T00:00:00+0200")
    run("enable", "ep_1", "--since", "2026-01-01")

    since = datetime.fromisoformat(json.loads(asked[0].content)["since"])
    assert since == datetime(2025, 12, 31, 22, tzinfo=UTC)
    later = datetime.fromisoformat(json.loads(asked[1].content)["recover_since"])
    assert later.utcoffset() is not None


def test_recovering_needs_a_beginning(asked: list[httpx.Request]) -> None:
    done = CliRunner().invoke(make_app(), ["webhooks", "recover", "ep_1"])

    assert isinstance(done.exception, CommandError)
    assert asked == []
