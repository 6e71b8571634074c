"""A source of an installed package, connected in a browser as its users do it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.authorization_server import CLIENT, NOTES, AuthorizationServer, serve

Program = Any  # the fixture's own class
ROOT = Path(__file__).parents[2]
PACKAGE = """
from tests.authorization_server import AuthorizationServer
from tests.oauth_sources import notes_source

NotesSource = notes_source(AuthorizationServer(port={port}))
"""
ENTRY_POINTS = "[wellhead.sources]\ntracker = notes_package:NotesSource\n"
METADATA = "Metadata-Version: 2.1\nName: notes-package\nVersion: 1.0\n"


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with serve() as one:
        yield one


@pytest.fixture
def connected(
    program: Program, provider: AuthorizationServer, tmp_path: Path
) -> Program:
    """A server that has the package, and whose operator registered a client."""
    (tmp_path / "notes_package.py").write_text(PACKAGE.format(port=provider.port))
    about = tmp_path / "notes_package-1.0.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (about / "METADATA").write_text(METADATA)
    (program.data_dir / "oauth_clients.toml").write_text(
        f'[tracker]\nclient_id = "{CLIENT.id}"\nclient_secret = "{CLIENT.secret}"\n'
    )
    program.more["PYTHONPATH"] = f"{tmp_path}:{ROOT}"
    program.serve()
    return program


def _follow_the_link(program: Program, *words: str) -> Any:
    """Run a command that waits for consent, and give it; return what it printed."""
    stderr = program.data_dir / "stderr"
    before = len(stderr.read_text())
    command = program.start(*words)

    def links() -> list[str]:
        lines = stderr.read_text()[before:].splitlines()
        return [one.strip() for one in lines if "/authorize/" in one]

    program.until(links, "the command prints a link")
    page = httpx.get(links()[0], follow_redirects=True)
    assert "Access was granted" in page.text, page.text
    assert command.wait(60) == 0, stderr.read_text()
    assert command.stdout is not None
    return json.loads(command.stdout.read())


def test_consent_begins_a_sync_and_can_be_given_again(
    connected: Program, provider: AuthorizationServer
) -> None:
    program = connected
    name = program.ask("collections", "create", "My notes")["readable_id"]

    made = _follow_the_link(program, "connections", "create", "tracker", "-c", name)
    [job] = program.ask("jobs", "list", "-c", name)
    assert program.ask("jobs", "watch", job["id"])["entities_inserted"] == len(NOTES)
    provider.expire()
    again = program.ask("sync", "tracker", "-c", name)
    assert (again["job"]["status"], provider.renewals) == ("completed", 1)

    provider.revoke()
    assert program.run("sync", "tracker", "-c", name).returncode == 1
    shown = program.ask("connections", "show", made["id"])
    assert shown["status"] == "needs_reauth"
    assert shown["entities"]["total_entities"] == len(NOTES)
    command = f"wellhead connections authorize {made['id']}"
    assert [one["command"] for one in shown["next_steps"]] == [command]

    well = _follow_the_link(program, "connections", "authorize", made["id"])
    assert well["status"] in ("active", "syncing")
    newest = program.ask("jobs", "list", "-c", name)[0]
    assert program.ask("jobs", "watch", newest["id"])["entities_deleted"] == 0
    logged = (program.data_dir / "stderr").read_text()
    secret = [CLIENT.secret, *(one.access_token for one in provider.tokens)]
    assert not [one for one in secret if one in logged]
