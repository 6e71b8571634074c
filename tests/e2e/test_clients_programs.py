"""The public command line and the TypeScript client, against a running server."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv-clients"
SCRIPTS = ROOT / "tests" / "clients"
SECONDS = 60
STUB_KEY = json.dumps({"stub_key": "stub"})


@dataclass(frozen=True)
class Commands:
    """The `airweave` command of a person whose home is empty."""

    program: str
    environment: dict[str, str]

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=self.environment | more,
        )

    def ask(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 1
        return str(json.loads(done.stderr)["error"]["message"])


@pytest.fixture(scope="module")
def commands(
    require: Callable[[str | Path], str],
    served_to_clients,
    tmp_path_factory: pytest.TempPathFactory,
) -> Commands:
    return Commands(
        require(INSTALLED / "bin" / "airweave"),
        {
            "PATH": os.defpath,
            "HOME": str(tmp_path_factory.mktemp("home")),
            "AIRWEAVE_BASE_URL": served_to_clients.served["url"],
            "AIRWEAVE_API_KEY": served_to_clients.key,
            "AIRWEAVE_COLLECTION": "from-the-terminal",
        },
    )


@pytest.fixture(scope="module")
def added(commands: Commands, served_to_clients) -> Any:
    """A source added to a new collection, whose first job is over."""
    made = commands.ask(
        "collections", "create", "--name", "Typed", "--readable-id", "from-the-terminal"
    )
    assert made["readable_id"] == "from-the-terminal"
    connection = commands.ask(
        *("sources", "add", "stub", "--name", "A stub"),
        *("--credentials", STUB_KEY, "--config", '{"entity_count": 9}'),
    )
    assert connection["sync"]["last_job"]["status"] == "pending"
    _until_over(served_to_clients, connection["id"])
    return connection


def _until_over(served: Any, connection_id: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while True:
        [job, *_] = served.get(f"/source-connections/{connection_id}/jobs").json()
        if job["completed_at"] is not None:
            assert job["status"] == "completed"
            return job
        assert time.monotonic() < deadline, job["status"]
        time.sleep(0.1)


def test_its_collections(commands: Commands, added: Any) -> None:
    [listed] = commands.ask("collections", "list")

    assert (listed["name"], listed["status"]) == ("Typed", "ACTIVE")
    one = commands.ask("collections", "get", "from-the-terminal")
    assert (one["id"], one["vector_size"]) == (listed["id"], 384)
    assert added["readable_collection_id"] == one["readable_id"]
    assert "404" in commands.refused("collections", "get", "not-there")
    assert "422" in commands.refused("collections", "create", "--name", "abc")


def test_its_sources(commands: Commands, added: Any, served_to_clients) -> None:
    [listed] = commands.ask("sources", "list")
    assert (listed["id"], listed["status"]) == (added["id"], "active")

    job = commands.ask("sources", "sync", added["id"], "--force")
    assert job["status"] == "pending"
    whole = served_to_clients.get(
        f"/source-connections/{added['id']}/jobs/{job['id']}"
    ).json()
    assert whole["mode"] == "full"
    _until_over(served_to_clients, added["id"])
    assert commands.ask("sources", "sync", added["id"])["id"] != job["id"]
    _until_over(served_to_clients, added["id"])
    assert "Source 'nope' not found" in commands.refused("sources", "add", "nope")


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(
    "how",
    [
        ["--mode", "instant", "--strategy", "neural"],
        ["--mode", "instant", "--strategy", "keyword"],
        ["--mode", "classic"],
        [],
    ],
    ids=["neural", "keyword", "classic", "default"],
)
def test_its_search(commands: Commands, how: list[str]) -> None:
    only = '{"conditions": [{"field": "name", "operator": "not_equals", "value": "x"}]}'

    found = commands.ask("search", "the", "-k", "3", "--filter", only, *how)

    assert len(found["results"]) == 3
    assert found["results"][0]["airweave_system_metadata"]["source_name"] == "stub"


@pytest.mark.usefixtures("added")
def test_its_agent_says_what_is_missing(commands: Commands) -> None:
    message = commands.refused("search", "the", "--mode", "agentic", "--thinking")

    assert "No LLM provider configured" in message


def test_its_login_with_a_key_is_kept(commands: Commands, served_to_clients) -> None:
    url = served_to_clients.served["url"]
    answers = [("API key", served_to_clients.key), ("Base URL", url), ("Default", "")]
    no_key = {**commands.environment}
    del no_key["AIRWEAVE_API_KEY"]

    _typed([commands.program, "auth", "login", "--api-key"], answers, no_key)

    done = subprocess.run(
        [commands.program, "auth", "status"],
        check=True,
        capture_output=True,
        env=no_key,
    )
    status = json.loads(done.stdout)
    assert (status["authenticated"], status["auth_source"]) == (
        True,
        "config (API key)",
    )
    assert commands.ask("auth", "status")["auth_source"] == "env (API key)"
    assert "--yes" in commands.refused("auth", "logout")
    assert "interactive terminal" in commands.refused("auth", "login")


def _typed(
    words: list[str], answers: list[tuple[str, str]], environment: dict[str, str]
) -> None:
    """Run a program at a terminal, typing each answer once its question is there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            shown, deadline = "", time.monotonic() + SECONDS
            for question, answer in answers:
                while question not in shown:
                    assert time.monotonic() < deadline, shown
                    if select.select([ours], [], [], 1)[0]:
                        shown += os.read(ours, 4096).decode(errors="replace")
                shown = ""
                os.write(ours, f"{answer}\r".encode())
            while process.poll() is None:
                assert time.monotonic() < deadline, shown
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        shown += os.read(ours, 4096).decode(errors="replace")
                    except OSError:  # it has left the terminal
                        break
        finally:
            os.close(ours)
        assert process.wait(SECONDS) == 0, shown


def test_the_typescript_client(
    require: Callable[[str | Path], str], served_to_clients, tmp_path: Path
) -> None:
    node = require("node")
    require(INSTALLED / "node_modules" / "@airweave" / "sdk")  # `make clients`, by npm
    environment = {"NODE_PATH": str(INSTALLED / "node_modules"), "PATH": os.defpath}
    done = subprocess.run(
        [
            node,
            str(SCRIPTS / "typescript.cjs"),
            served_to_clients.served["url"],
            served_to_clients.key,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr

    said = json.loads(done.stdout)
    assert "stub" in said["sources"]
    assert (said["source"], said["listed"]) == ("stub", [True])
    assert (said["first"]["status"], said["first"]["entities_inserted"]) == (
        "completed",
        9,
    )
    assert (said["second"]["status"], said["second"]["entities_inserted"]) == (
        "completed",
        0,
    )
    assert (said["conflict"], said["missing"], said["invalid"]) == (409, 404, 422)
    assert (said["connections"], said["entities"]) == (1, 9)
    assert said["refreshed"] == "completed"
    assert said["renamed"] == "Renamed there"
    assert len(said["found"]["results"]) == 3
    assert said["found"]["results"][0]["score"] > 0
    assert said["filtered"]["results"] == []
    assert said["legacy"]["response_type"] == "raw"
    assert said["legacy"]["status"] == "success"
    assert len(said["legacy"]["results"]) == 2
    assert said["removed"]
    assert said["dropped"]
