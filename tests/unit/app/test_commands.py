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
from wellhead.app.cli import COMMANDS as CLI_COMMANDS
from wellhead.app.cli import GROUPS, make_app
from wellhead.app.cli.follow import Pace, describe
from wellhead.app.cli.server import OPTIONS, CommandError, RefusedError, Server

HEAVY = {
    *("alembic", "dulwich", "fastapi", "httpx", "lancedb", "mcp", "numpy"),
    "procrastinate",
    *("psycopg", "pyarrow", "pydantic_settings", "rich", "sqlalchemy", "structlog"),
    *("uvicorn", "wellhead.app.cli.webhooks"),
}
SERVERS = ("wellhead.api.application", "wellhead.app.wiring", "wellhead.worker.loop")
LATE = {"alembic", "lancedb", "mcp", "numpy", "onnxruntime", "pyarrow", "tokenizers"}


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


whole: Any = typer.main.get_command(make_app())
COMMANDS = dict(_commands(whole))


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_says_what_it_does_with_an_example(path: str) -> None:
    command = COMMANDS[path]

    assert command.help
    assert f"wellhead {path}" in command.epilog
    has_json = any("--json" in parameter.opts for parameter in command.params)
    assert has_json or path in ("mcp", "worker")


def _loaded_by(program: str) -> tuple[str, set[str]]:
    """Return what a program prints, and every module that it loads."""
    program += "\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(done.stderr.split())


def test_a_command_loads_nothing_that_it_does_without() -> None:
    said, loaded = _loaded_by(
        "sys.argv = ['wellhead', 'jobs', 'list', '--help']\n"
        "from wellhead.app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass"
    )

    assert "Usage: wellhead jobs list" in said
    assert not HEAVY & loaded


def test_the_whole_help_loads_nothing_heavy() -> None:
    said, loaded = _loaded_by(
        "sys.argv = ['wellhead', '--help']\n"
        "from wellhead.app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass"
    )

    assert {word for word in GROUPS if word in said} == set(GROUPS)
    assert HEAVY & loaded == {"wellhead.app.cli.webhooks"}


def test_what_serves_is_loaded_without_the_index_and_the_embedder() -> None:
    _, loaded = _loaded_by("\n".join(f"import {one}" for one in SERVERS))

    assert set(SERVERS) <= loaded
    assert not LATE & loaded


def test_each_command_is_found_in_the_module_of_its_name() -> None:
    for name in (*CLI_COMMANDS, *GROUPS):
        alone: Any = typer.main.get_command(make_app(name))
        assert name in alone.commands
    assert list(whole.commands) == [*CLI_COMMANDS, *GROUPS]


def _server(answer: httpx.Response) -> Server:
    transport = httpx.MockTransport(lambda _request: answer)
    return Server(httpx.Client(transport=transport, base_url="http://wellhead"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404, json={"detail": "Collection not found"}), "not found"),
        (
            httpx.Response(422, json={"errors": [{"body.name": "short"}]}),
            "^name: short",
        ),
        (
            httpx.Response(422, json={"errors": [{"query.confirm_deletes": "few"}]}),
            "^--confirm-deletes: few",
        ),
        (
            httpx.Response(409, json={"detail": "run with confirm_deletes=3"}),
            "^run with --confirm-deletes 3$",
        ),
        (httpx.Response(502, text="<html>"), "502"),
        (httpx.Response(401, json={"detail": "No key"}), "WELLHEAD_API_KEY"),
    ],
)
def test_a_refusal_is_one_line(answer: httpx.Response, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        _server(answer).get("/")

    assert "\n" not in str(caught.value)
    assert caught.value.status == answer.status_code


def test_what_a_refusal_says_to_type_can_be_typed() -> None:
    options = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in parameter.opts
    }

    assert set(OPTIONS.values()) <= options


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
