"""The command tree, its help, its words and its logs."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
import typer.main

from wellhead.app import logs
from wellhead.app.cli import make_app
from wellhead.app.cli.follow import Pace, describe
from wellhead.app.cli.server import CommandError, RefusedError, Server

HEAVY = {"httpx", "lancedb", "fastapi", "sqlalchemy", "pydantic_settings", "psycopg"}


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(_commands(typer.main.get_command(make_app())))


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_says_what_it_does_with_an_example(path: str) -> None:
    command = COMMANDS[path]

    assert command.help
    assert f"wellhead {path}" in command.epilog
    has_json = any("--json" in parameter.opts for parameter in command.params)
    assert has_json or path == "worker"


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['wellhead', '--help']\n"
        "from wellhead.app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "Usage" in done.stdout
    assert not HEAVY & set(done.stderr.split())


def _server(answer: httpx.Response) -> Server:
    transport = httpx.MockTransport(lambda _request: answer)
    return Server(httpx.Client(transport=transport, base_url="http://wellhead"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404, json={"detail": "Collection not found"}), "not found"),
        (httpx.Response(422, json={"errors": [{"body.name": "short"}]}), "body.name"),
        (httpx.Response(502, text="<html>"), "502"),
        (httpx.Response(401, json={"detail": "No key"}), "WELLHEAD_API_KEY"),
    ],
)
def test_a_refusal_is_one_line(answer: httpx.Response, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        _server(answer).get("/")

    assert "\n" not in str(caught.value)
    assert caught.value.status == answer.status_code


def test_something_else_at_the_address_is_no_wellhead() -> None:
    with pytest.raises(CommandError, match="no Wellhead"):
        _server(httpx.Response(200, text="<html>")).get("/")


def test_a_job_is_described_in_one_line() -> None:
    job = {
        "status": "running",
        "phase": "syncing",
        "attempt": 2,
        "waiting_until": "2126-01-01T00:00:00",
        **{f"entities_{n}": 0 for n in ("updated", "deleted", "failed", "kept")},
        "entities_inserted": 1200,
    }

    said = describe(job, Pace().note(job))

    assert said.startswith("syncing · 1,200 inserted · 0/s · attempt 2 · waits")
    assert describe(job | {"status": "completed"}, 0).startswith("completed")


def test_logs_are_lines_of_json_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure(logging.INFO, secrets=["hush-hush"])
        structlog.get_logger("one").info("said", asked="hush-hush", job_id=7)
        logging.getLogger("two").warning("url %s", "a:hush-hush@b", extra={"n": 1})
        logging.getLogger("two").debug("not this")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [line["event"] for line in lines] == ["said", "url a:***@b"]
    assert (lines[0]["asked"], lines[0]["job_id"]) == ("***", 7)
    assert (lines[1]["logger"], lines[1]["level"], lines[1]["n"]) == (
        *("two", "warning"),
        1,
    )
