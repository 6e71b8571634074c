"""Messages of the Model Context Protocol between stdin, stdout and a server's /mcp."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import httpx

from wellhead.app.cli.server import (
    CommandError,
    explain,
    find_url,
    opened,
)
from wellhead.app.home import TakenError
from wellhead.app.settings import Settings, load

PATH = "/mcp"
VERSION = "MCP-Protocol-Version"
PATIENCE_SECONDS = 10
"""How long a server that went away has to come back, and answers to get through."""
STARTING_SECONDS = 60
"""How long another command may take to start the server that both use."""
GONE = "the server has ended: start `wellhead serve`, and ask again"
NO_JSON, NO_MESSAGE, NO_ANSWER = -32700, -32600, -32603
"""The protocol's own codes."""


def run(
    url: str | None, data_dir: Path | None, behalf: Mapping[str, str] | None = None
) -> None:
    """Carry messages until stdin ends; start a server if there is none."""
    signal.signal(signal.SIGTERM, _leave)
    settings = load(url=url, data_dir=data_dir)
    with ExitStack() as stack:
        where = _find_or_start(settings, stack)
        Pipe(settings, where, stack, behalf).carry(sys.stdin.buffer)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # agents are impatient


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending what it started
    sys.exit(0)


def _find_or_start(settings: Settings, stack: ExitStack) -> str:
    """Agents start several at once: all use the server that one of them starts."""
    until = time.monotonic() + STARTING_SECONDS
    while True:
        where = find_url(settings)
        if where is not None:
            return where
        from wellhead.app.background import running  # takes as long as a server's start

        try:
            return stack.enter_context(running(settings)).url
        except TakenError:
            if time.monotonic() > until:
                raise


class Pipe:
    """Posts each line of one side and writes each answer as a line to the other.

    `behalf` are headers that name for whom the agent asks.

    The server has no sessions, so lines need not wait for each other.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        stack: ExitStack,
        behalf: Mapping[str, str] | None = None,
    ) -> None:
        self._settings, self._stack = settings, stack
        self._server = stack.enter_context(opened(settings, url))
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **(behalf or {}),
        }
        self._writing = threading.Lock()

    def carry(self, lines: Iterable[bytes]) -> None:
        under_way: list[threading.Thread] = []
        for line in lines:
            if not line.strip():
                continue
            # a daemon: whoever ends this program does not wait for answers
            thread = threading.Thread(target=self._pass_on, args=(line,), daemon=True)
            thread.start()
            under_way = [*(one for one in under_way if one.is_alive()), thread]
        until = time.monotonic() + PATIENCE_SECONDS
        for thread in under_way:
            thread.join(max(0.0, until - time.monotonic()))

    def _pass_on(self, line: bytes) -> None:
        answer = self.answer(line)
        if answer is None:
            return
        with self._writing:
            sys.stdout.buffer.write(json.dumps(answer).encode("ascii") + b"\n")
            sys.stdout.buffer.flush()

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """Return the answer to a message, None to one that wants none."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return _error(None, NO_JSON, "this line is no JSON")
        if not isinstance(message, dict):
            return _error(None, NO_MESSAGE, "send one message on each line")
        answer = self._ask(message, line)
        return answer if "method" in message and message.get("id") is not None else None

    def _ask(self, message: dict[str, Any], line: bytes) -> dict[str, Any]:
        ident, method = message.get("id"), message.get("method")
        try:
            response = self._post(line)
        except CommandError as error:
            return _failure(ident, method, str(error))
        found = _answered(response)
        if found is None:
            return _failure(ident, method, explain(response))
        if method == "initialize" and "result" in found:
            self._headers[VERSION] = str(found["result"].get("protocolVersion"))
        return {**found, "id": ident}

    def _post(self, line: bytes) -> httpx.Response:
        """Send it again only where it was never received."""
        try:
            return self._server.send(PATH, line, self._headers)
        except CommandError as error:
            if not isinstance(error.__cause__, httpx.ConnectError):
                raise
        return self._post_elsewhere(line)

    def _post_elsewhere(self, line: bytes) -> httpx.Response:
        """Look for the server that took the place of the one that has gone."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            where = find_url(self._settings)
            if where is not None:
                server = self._stack.enter_context(opened(self._settings, where))
                try:
                    response = server.send(PATH, line, self._headers)
                except CommandError:
                    if time.monotonic() > until:
                        raise
                else:
                    self._server = server
                    return response
            elif time.monotonic() > until:
                raise CommandError(GONE)
            time.sleep(0.5)


def _answered(response: httpx.Response) -> dict[str, Any] | None:
    """Return what the protocol's server answered, None if something else did."""
    try:
        found = response.json()
    except ValueError:
        return None
    if not isinstance(found, dict) or "jsonrpc" not in found:
        return None
    return found


def _failure(ident: Any, method: Any, said: str) -> dict[str, Any]:
    """Tell it where the agent reads it: of a tool it is a result."""
    if method != "tools/call":
        return _error(ident, NO_ANSWER, said)
    result = {"content": [{"type": "text", "text": said}], "isError": True}
    return {"jsonrpc": "2.0", "id": ident, "result": result}


def _error(ident: Any, code: int, said: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": ident, "error": {"code": code, "message": said}}
