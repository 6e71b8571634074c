"""Trying a definition shows what would be stored, of one stream if asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wellhead.app.cli.definition_trial import Trial, told, tried
from wellhead.app.cli.server import CommandError

DEFINITION = """\
wellhead: 1
short_name: my_tracker
name: My tracker
description: Boards and their tickets.
base_url: http://127.0.0.1:PORT
credentials:
  token: {title: Token, description: Made in the settings.}
auth: {kind: bearer, token: token}
check: {path: /boards}
streams:
  boards:
    type: MyBoard
    list: {path: /boards}
    name: "{name}"
    text: "Board {name}"
  tickets:
    type: MyTicket
    for_each: boards
    list: {path: "/boards/{parent.id}/tickets"}
    name: "{title}"
    text: "{title}"
    parts:
      remarks: {path: "/remarks/{id}", text: "- {text}"}
    updated: changed
"""
ANSWERS = {
    "/boards": [{"id": 1, "name": "B1"}, {"id": 2, "name": "B2"}, {"name": "odd"}],
    "/boards/1/tickets": [{"id": 11, "title": "T11", "changed": "2026-01-01"}],
    "/boards/2/tickets": [{"id": 21, "title": "T21", "changed": "2026-01-01"}],
    "/remarks/11": [{"text": "one"}, {"text": "two"}],
    "/remarks/21": [],
}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(ANSWERS[self.path]).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = tmp_path / "my.yaml"
    path.write_text(DEFINITION.replace("PORT", str(server.server_port)))
    yield path
    server.shutdown()
    server.server_close()


def test_the_first_entities_are_shown_with_their_texts(file: Path) -> None:
    found = tried(Trial(file=file, credentials=["token=t0ken"], limit=2))

    assert [one["name"] for one in found["entities"]] == ["B1", "T11"]
    assert found["entities"][1]["text"] == "T11\n\n- one\n\n- two\n"
    assert found["entities"][1]["breadcrumbs"] == ["B1"]
    assert "--- MyTicket 11\nT11\n" in told(found)


def test_one_stream_is_chosen(file: Path) -> None:
    trial = Trial(file=file, credentials=["token=t0ken"], stream="tickets")
    found = tried(trial)

    assert [one["name"] for one in found["entities"]] == ["T11", "T21"]
    assert found["failures"] == ["a record of MyBoard is odd: it has no 'id'"]
    assert "--- failed: a record of MyBoard" in told(found)


def test_what_is_wrong_is_told_in_a_line(file: Path) -> None:
    with pytest.raises(CommandError, match="no stream 'cards'; known: boards, tickets"):
        tried(Trial(file=file, credentials=["token=t0ken"], stream="cards"))
    with pytest.raises(CommandError, match="token: Field required"):
        tried(Trial(file=file))
    with pytest.raises(CommandError, match="cannot be read"):
        tried(Trial(file=file.with_name("absent.yaml")))
