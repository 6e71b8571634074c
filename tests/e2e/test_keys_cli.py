"""Keys, organizations and the audit log from the command line, on real processes."""

import json

import httpx
from tests.e2e.conftest import Program


def test_a_lost_key_is_replaced_with_and_without_a_server(program: Program) -> None:
    file = program.data_dir / "api_key"
    desk = program.ask(
        *("keys", "create", "--local", "--organization", "Press"),
        *("--name", "desk", "--expires-in-days", "30"),
    )
    assert desk["file"] is None
    assert not file.exists()
    first = program.ask("keys", "create", "--local", "--name", "before any start")
    assert file.read_text().strip() == first["decrypted_key"]
    assert file.stat().st_mode & 0o777 == 0o600

    program.serve()
    assert file.read_text().strip() == first["decrypted_key"]  # no other was made
    assert _keys(program, first["decrypted_key"]) == {"before any start"}
    assert _keys(program, desk["decrypted_key"]) == {"desk"}

    program.ask("keys", "revoke", first["id"])
    assert _status(program, first["decrypted_key"]) == 403
    assert program.run("keys", "list").returncode == 1
    found = program.ask("keys", "create", "--local", "--name", "while it runs")
    assert found["file"] == str(file)
    assert _keys(program, file.read_text().strip()) == {"while it runs"}

    program.ask("organizations", "rename", "Reading room")
    lines = program.ask("audit", "--limit", "3")
    assert [(one["action"], one["actor"]["kind"]) for one in lines] == [
        ("organization.changed", "api_key"),
        ("api_key.created", "local"),
        ("api_key.revoked", "api_key"),
    ]
    assert found["decrypted_key"] not in json.dumps(lines)


def _ask(program: Program, key: str) -> httpx.Response:
    url = f"{program.served['url']}/api-keys"
    return httpx.get(url, headers={"x-api-key": key}, timeout=30)


def _status(program: Program, key: str) -> int:
    return _ask(program, key).status_code


def _keys(program: Program, key: str) -> set[str]:
    return {one["name"] for one in _ask(program, key).json()}
