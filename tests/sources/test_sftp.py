"""What SFTP servers say that OpenSSH under one user cannot be made to."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError
from tests.servers.store import Store

from wellhead.domain.errors import ConfigError, CredentialsError
from wellhead.domain.items import Delete, Failure, Ref, ScopeEnd, Upsert
from wellhead.sources.connectors.sftp import SFTPSource

LOGIN = {"username": "ada", "password": "s3cret-of-ada"}


class Doors(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return {"username": username, "password": password} == LOGIN


class Closed(asyncssh.SFTPServer):
    """Lets nobody list a folder of that name, and tells nothing of what is "odd"."""

    def __init__(self, channel: Any, root: str) -> None:
        super().__init__(channel, chroot=root.encode())

    def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        if path.endswith(b"closed/"):
            raise asyncssh.SFTPPermissionDenied("not for you")
        return self._scan(path)

    async def _scan(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        async for one in super().scandir(path):
            if one.filename == b"odd":
                one.attrs = asyncssh.SFTPAttrs(size=1)
            yield one


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    for path in ("closed/one.md", "open/two.md"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(path)
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key],
        server_factory=Doors,
        sftp_factory=lambda channel: Closed(channel, str(tmp_path)),
    )
    port, fingerprint = listener.get_port(), key.get_fingerprint()
    yield {"host": "127.0.0.1", "port": port, "host_key": fingerprint}
    listener.close()
    await listener.wait_closed()


async def test_a_password_opens_and_a_closed_folder_keeps_from_deleting(
    config: dict[str, Any],
) -> None:
    source = SFTPSource.create(config, LOGIN)
    items = [item async for item in source.read(None)]
    shut, gone = Ref("File", "closed/one.md"), Ref("File", "open/no-such.md")
    unknown = [item async for item in source.fetch([shut])]
    deleted = [item async for item in source.fetch([gone])]
    await source.close()

    names = [item.entity.source_id for item in items if isinstance(item, Upsert)]
    [gap] = [item for item in items if isinstance(item, Failure)]
    assert names == ["open/two.md"]
    assert gap.ref is None
    assert gap.reason == "The folder '/closed/' cannot be read: not for you"
    assert items[-1] == ScopeEnd(complete=False)
    assert [item for item in unknown if isinstance(item, Failure) and item.ref] == [
        Failure(shut, "The folder it was in cannot be read")
    ]
    assert deleted == [Delete(gone)]


async def test_what_may_be_a_folder_makes_the_listing_incomplete(
    config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "closed/one.md").unlink()
    (tmp_path / "closed").rmdir()
    (tmp_path / "open/odd").mkdir()
    source = SFTPSource.create(config, LOGIN)
    items = [item async for item in source.read(None)]
    await source.close()

    [gap] = [item for item in items if isinstance(item, Failure)]
    assert gap == Failure(None, "The server does not say what '/open/odd' is")
    assert items[-1] == ScopeEnd(complete=False)


async def test_a_wrong_password_is_not_told(config: dict[str, Any]) -> None:
    source = SFTPSource.create(config, {**LOGIN, "password": "wrong-s3cret"})
    with pytest.raises(CredentialsError, match="refused the credentials") as told:
        await source.check()
    await source.close()

    assert "wrong-s3cret" not in str(told.value)


async def test_an_unknown_server_is_refused_with_its_key(sftp: Store) -> None:
    real = sftp.config["host_key"]
    for host_key in (None, "SHA256:another"):
        source = SFTPSource.create({**sftp.config, "host_key": host_key}, sftp.secrets)
        with pytest.raises(ConfigError) as told:
            await source.check()
        await source.close()
        assert real in str(told.value)


async def test_keys_that_are_none_are_refused(sftp: Store) -> None:
    with pytest.raises(ValidationError, match="SHA256"):
        SFTPSource.create({**sftp.config, "host_key": "AAAA"}, sftp.secrets)
    source = SFTPSource.create(sftp.config, {**sftp.secrets, "private_key": "no key"})
    with pytest.raises(CredentialsError, match="private key is unusable"):
        await source.check()
    await source.close()


async def test_without_its_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wellhead.sources.connectors.sftp.session", None)
    source = SFTPSource.create({"host": "files.example"}, LOGIN)

    with pytest.raises(ConfigError, match=r"pip install 'wellhead\[sftp\]'"):
        await source.check()
    await source.close()
