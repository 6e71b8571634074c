"""`wellhead mcp`: the configuration it prints, and the messages it carries."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from wellhead.app.cli import mcp_pipe
from wellhead.app.cli.mcp import Agent, config_of
from wellhead.app.cli.mcp_pipe import Pipe
from wellhead.app.settings import Settings, load

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}
Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer every request with this status and body, on an address of its own."""
    started: list[HTTPServer] = []

    def start(status: int, body: bytes) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Answer)
        started.append(server)
        Thread(target=server.serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Callable[[str], Pipe]]:
    with ExitStack() as stack:

        def of(url: str) -> Pipe:
            settings: Settings = load(url=url, data_dir=tmp_path)
            return Pipe(settings, url, stack)

        yield of


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def test_an_answer_is_passed_on_to_what_it_answers(serve: Any, pipe: Any) -> None:
    one = pipe(serve(200, _line({"jsonrpc": "2.0", "id": "server-error", "error": {}})))

    assert one.answer(_line(CALL)) == {"jsonrpc": "2.0", "id": 7, "error": {}}
    assert one.answer(_line({"jsonrpc": "2.0", "method": "notifications/x"})) is None
    assert one.answer(b"{")["error"]["code"] == -32700
    assert one.answer(b"[]")["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b'{"detail": "Invalid API key"}', "WELLHEAD_API_KEY"),
        (503, b'{"detail": "The database is not available"}', "The database is not"),
        (200, b"<html>", "answered 200"),
    ],
)
def test_a_refusal_is_told_where_the_agent_reads_it(
    serve: Any, pipe: Any, status: int, body: bytes, said: str
) -> None:
    one = pipe(serve(status, body))

    called = one.answer(_line(CALL))
    listed = one.answer(_line({**CALL, "method": "tools/list"}))

    assert called["result"]["isError"] is True
    assert said in called["result"]["content"][0]["text"]
    assert said in listed["error"]["message"]


def test_a_server_that_has_gone_is_looked_for(
    serve: Any, pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_pipe, "PATIENCE_SECONDS", 0)
    one = pipe("http://127.0.0.1:9")
    assert "is the server running" in str(one.answer(_line(CALL)))

    back = serve(200, _line({"jsonrpc": "2.0", "id": 7, "result": {}}))
    monkeypatch.setattr(mcp_pipe, "find_url", lambda _: back)
    assert one.answer(_line(CALL))["result"] == {}
    monkeypatch.setattr(mcp_pipe, "find_url", lambda _: None)
    assert one.answer(_line(CALL))["result"] == {}


@pytest.mark.parametrize("agent", Agent)
def test_a_configuration_runs_this_program(agent: Agent, tmp_path: Path) -> None:
    made = config_of(agent, ["/bin/wellhead"], "http://elsewhere:8001", tmp_path)

    [(kind, servers)] = made.items()
    assert kind == ("servers" if agent is Agent.VSCODE else "mcpServers")
    assert servers["wellhead"]["command"] == "/bin/wellhead"
    assert servers["wellhead"]["args"] == [
        *("mcp", "--url", "http://elsewhere:8001"),
        *("--data-dir", str(tmp_path.resolve())),
    ]
    assert "WELLHEAD_API_KEY" in servers["wellhead"]["env"]
    bound = config_of(agent, ["/bin/wellhead"], None, None, ["--as-user", "ann"])
    [servers] = bound.values()
    assert servers["wellhead"]["args"] == ["mcp", "--as-user", "ann"]
