"""One connection by SSH, opened when it is needed and again when it was lost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
)

_CONNECT_SECONDS = 20
_DOWNLOAD_SECONDS = 14 * 60  # a job's patience is 15 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where to connect, and as whom; `host_key` is a fingerprint that is trusted."""

    host: str
    port: int
    user: str
    host_key: str | None
    password: str | None = field(repr=False)
    private_key: str | None = field(repr=False)
    passphrase: str | None = field(repr=False)


class FolderError(Exception):
    """One folder cannot be listed; `is_gone` if there is none."""

    def __init__(self, reason: str, *, is_gone: bool) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a folder."""

    name: str
    is_folder: bool
    is_file: bool
    is_told: bool
    """Whether the server says what it is."""
    size: int
    changed: int | None


class Session:
    """Asks from the event loop; `download` is called in threads."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    async def list(self, path: str) -> list[Line]:
        """Return the folder's entries; raises FolderError for this folder alone."""
        with _translated(self._login):
            client = await self._open()
            try:
                names = await client.readdir(path)
            except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost):
                raise
            except asyncssh.SFTPError as error:
                is_gone = isinstance(error, asyncssh.SFTPNoSuchFile)
                raise FolderError(error.reason, is_gone=is_gone) from error
        return [_line(one) for one in names if one.filename not in {".", ".."}]

    def download(self, path: str, target: Path) -> None:
        """Write the content, from a thread; raises EntityError or RetryableError."""
        if self._loop is None:
            raise RetryableError("the connection was never opened")
        getting = self._get(path, str(target))
        fetching = asyncio.run_coroutine_threadsafe(getting, self._loop)
        try:
            fetching.result(_DOWNLOAD_SECONDS)
        except TimeoutError as error:
            fetching.cancel()
            raise EntityError(
                "It took too long to read", failure_class=FailureClass.TRANSIENT
            ) from error

    async def close(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    async def _get(self, path: str, target: str) -> None:
        with _translated(self._login):
            client = await self._open()
            try:
                await client.get(path, target)
            except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost):
                raise
            except asyncssh.SFTPError as error:
                is_gone = isinstance(error, asyncssh.SFTPNoSuchFile)
                raise EntityError(
                    "It is no longer there" if is_gone else f"Refused: {error.reason}",
                    failure_class=FailureClass.TRANSIENT,
                ) from error

    async def _open(self) -> asyncssh.SFTPClient:
        async with self._lock:
            if self._connection is not None and self._connection.is_closed():
                self._connection = self._client = None
            if self._connection is None or self._client is None:
                self._connection = await self._connect()
                self._client = await self._connection.start_sftp_client(
                    path_errors="surrogateescape"
                )
                self._loop = asyncio.get_running_loop()
            return self._client

    async def _connect(self) -> asyncssh.SSHClientConnection:
        login = self._login
        checker = _HostKeys(login.host_key)
        proof: dict[str, Any] = {}
        if login.private_key:
            proof["client_keys"] = [
                asyncssh.import_private_key(login.private_key, login.passphrase)
            ]
        if login.password:
            proof |= {
                "password": login.password,
                "client_keys": proof.get("client_keys"),
            }
        if proof:
            proof["agent_path"] = None  # the server's own keys only if none is given
        try:
            return await asyncssh.connect(
                login.host,
                login.port,
                username=login.user,
                client_factory=lambda: checker,
                connect_timeout=_CONNECT_SECONDS,
                login_timeout=_CONNECT_SECONDS,
                keepalive_interval=30,
                config=None,
                **proof,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise ConfigError(
                f"'{login.host}' is not known: if its key is {checker.seen}, say so in "
                "the field host key"
            ) from error


class _HostKeys(asyncssh.SSHClient):
    """Asked about a host that is in no list of known ones."""

    def __init__(self, trusted: str | None) -> None:
        self._trusted = trusted
        self.seen = "the right one"

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002  # part of the call
        addr: str,  # noqa: ARG002  # as above
        port: int,  # noqa: ARG002  # as above
        key: asyncssh.SSHKey,
    ) -> bool:
        self.seen = key.get_fingerprint()
        return self.seen == self._trusted


@contextmanager
def _translated(login: Login) -> Iterator[None]:
    place = f"'{login.host}:{login.port}'"
    try:
        yield
    except asyncssh.PermissionDenied as error:
        raise CredentialsError(f"{place} refused the credentials: {error}") from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise CredentialsError(f"The private key is unusable: {error}") from error
    except (asyncssh.Error, OSError) as error:
        text = str(error).strip() or type(error).__name__
        raise RetryableError(f"{place} cannot be reached: {text}") from error


def _line(one: asyncssh.SFTPName) -> Line:
    told = one.attrs
    return Line(
        name=str(one.filename),
        is_folder=told.type == asyncssh.FILEXFER_TYPE_DIRECTORY,
        is_file=told.type == asyncssh.FILEXFER_TYPE_REGULAR,
        is_told=told.type != asyncssh.FILEXFER_TYPE_UNKNOWN,
        size=told.size or 0,
        changed=told.mtime,
    )
