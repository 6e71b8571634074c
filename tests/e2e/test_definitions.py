"""A source that people declare, from its file to what is found, with real processes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.declared import DEFINITION
from tests.e2e.conftest import Program


class Tracker(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.headers["authorization"] == "Bearer right-token"
        ticket = {"id": 1, "title": "T1", "body": "It is the carburettor."}
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"tickets": [ticket]}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tracker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = tmp_path / "my.yaml"
    path.write_text(DEFINITION.replace("PORT", str(server.server_port)))
    yield path
    server.shutdown()
    server.server_close()


def test_a_declared_source_is_added_connected_searched_and_removed(
    served_program: Program, file: Path
) -> None:
    ask = served_program.ask
    assert ask("sources", "add", str(file))["short_name"] == "my_tracker"
    listed = [one["short_name"] for one in ask("sources", "list")]
    assert "my_tracker" in listed

    words = ("connections", "create", "my_tracker", "-c", "tickets")
    ask("collections", "create", "Tickets", "--readable-id", "tickets")
    refused = served_program.run(*words, "--credential", "token=wrong-token")
    assert refused.returncode == 1
    assert "wrong-token" not in refused.stderr
    made = ask(*words, "--credential", "token=right-token")
    job = ask("connections", "run", made["id"])
    assert ask("jobs", "watch", job["id"])["status"] == "completed"
    found = ask("search", "carburettor", "-c", "tickets", "--strategy", "keyword")
    assert [one["name"] for one in found["results"]] == ["T1"]

    file.write_text(file.read_text().replace("Tickets.", "All tickets."))
    kept = served_program.run("sources", "add", str(file))
    assert (kept.returncode, "--replace" in kept.stderr) == (1, True)
    ask("sources", "add", str(file), "--replace")
    shown = served_program.run("sources", "show", "my_tracker", "--definition")
    assert shown.stdout == file.read_text()
    used = served_program.run("sources", "remove", "my_tracker")
    assert (used.returncode, "1 connection uses" in used.stderr) == (1, True)


def test_a_file_that_is_wrong_is_told_by_line(program: Program, file: Path) -> None:
    file.write_text(file.read_text().replace("records:", "record:"))

    done = program.run("sources", "check", str(file))

    assert done.returncode == 1
    assert "  line 13: streams.tickets.list: unknown key 'record'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_is_added_without_a_server(program: Program, file: Path) -> None:
    program.ask("sources", "add", str(file), "--local")
    program.serve()
    listed = [one["short_name"] for one in program.ask("sources", "list")]
    assert "my_tracker" in listed
    program.ask("sources", "remove", "my_tracker", "--local")


def test_a_definition_is_checked_and_tried_first(program: Program, file: Path) -> None:
    checked = program.ask("sources", "check", str(file))
    assert checked["entity_types"] == ["MyTicket"]
    trial = ("sources", "try", str(file), "--credential")
    [read] = program.ask(*trial, "token=right-token")["entities"]
    assert (read["id"], read["text"]) == ("1", "It is the carburettor.")
    shown = program.run(*trial, "token=right-token", "--no-json").stdout
    assert shown == "--- MyTicket 1\nT1\n\nIt is the carburettor.\n"
    wrong = program.run(*trial, "token=wrong-token")
    assert (wrong.returncode, "answered 401" in wrong.stderr) == (1, True)
    assert "wrong-token" not in wrong.stderr
