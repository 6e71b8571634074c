"""Servers with folders that run here: WsgiDAV and OpenSSH."""

import getpass
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.servers.line import line_to
from tests.servers.process import PROGRAMS, free_port, running
from tests.servers.store import Store

Require = Callable[[str | Path], str]
LOGIN = {"username": "ada", "password": "s3cret-of-ada"}


@pytest.fixture(scope="session")
def webdav(
    require: Require, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    port, folder = free_port(), tmp_path_factory.mktemp("webdav")
    root = folder / "files"
    root.mkdir()
    users = {LOGIN["username"]: {"password": LOGIN["password"]}}
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "server": "cheroot",
        "provider_mapping": {"/": str(root)},
        "http_authenticator": {"domain_controller": None},
        "simple_dc": {"user_mapping": {"*": users}},
    }
    (folder / "dav.json").write_text(json.dumps(settings))
    command = [require(PROGRAMS / "wsgidav"), "-c", "dav.json"]
    with running(command, port, folder), line_to(port) as line:
        here = f"http://127.0.0.1:{line.port}"
        yield Store(
            short_name="webdav",
            config={"url": here},
            secrets=LOGIN,
            wrong={**LOGIN, "password": "wrong-s3cret"},
            missing={"url": f"{here}/no-such-folder"},
            told="refused the credentials: 401",
            line=line,
            root=lambda one: {"url": f"{here}/{one}"},
            is_below=True,
            **_on_disk(root),
        )


def _on_disk(root: Path) -> dict[str, Any]:
    """Change the files behind the server's back, as its other users do."""

    def put(path: str, content: bytes) -> None:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    return {"put_at": put, "delete_at": lambda path: (root / path).unlink()}


@pytest.fixture(scope="session")
def sftp(require: Require, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Debian's OpenSSH, for the user that runs the tests, with a key."""
    require(Path("/usr/sbin/sshd"))
    port, folder = free_port(), tmp_path_factory.mktemp("sftp")
    root = folder / "files"
    root.mkdir()
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in
    keys = {}
    for name in ("host", "user", "wrong"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        (folder / name).write_bytes(key.export_private_key())
        (folder / name).chmod(0o600)
        keys[name] = key
    (folder / "known").write_bytes(keys["user"].export_public_key())
    settings = (
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/known\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"PidFile none\nSubsystem sftp internal-sftp\nMaxAuthTries 20\n"
    )
    (folder / "sshd.conf").write_text(settings)
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd.conf")]
    login = {"username": getpass.getuser()}
    with running(command, port, folder), line_to(port) as line:
        yield Store(
            short_name="sftp",
            config={
                "host": "127.0.0.1",
                "port": line.port,
                "host_key": keys["host"].get_fingerprint(),
                "path": str(root),
            },
            secrets={**login, "private_key": (folder / "user").read_text()},
            wrong={**login, "private_key": (folder / "wrong").read_text()},
            missing={"path": f"{root}/no-such-folder"},
            told="refused the credentials: Permission denied",
            line=line,
            root=lambda one: {"path": f"{root}/{one}"},
            is_below=True,
            **_on_disk(root),
        )
