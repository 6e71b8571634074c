"""The SFTP source: folder by folder, unchanged files told by time and size."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import quote

from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import (
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.downloads import Downloads
from wellhead.sources.paths import storable
from wellhead.sources.remote_files import (
    ENTITY_TYPE,
    FilesConfig,
    RemoteFile,
    RemoteFiles,
)


class SFTPConfig(FilesConfig):
    host: str = Field(min_length=1, title="Host", description="Name of the server.")
    port: int = Field(22, ge=1, le=65_535, title="Port", description="Usually 22.")
    path: str = Field(
        ".", min_length=1, title="Path", description="Folder; by default the home."
    )
    host_key: str | None = Field(
        None,
        title="Host key",
        description=(
            "Fingerprint of the server's key, SHA256:…; without it the server must "
            "be among the known hosts of the user that Wellhead runs as."
        ),
    )

    @field_validator("host_key")
    @classmethod
    def _is_fingerprint(cls, host_key: str | None) -> str | None:
        if host_key is not None and not host_key.startswith("SHA256:"):
            raise ValueError("must begin with SHA256:, as ssh-keygen -l shows it")
        return host_key


class SFTPCredentials(Config):
    username: str = Field(min_length=1, title="User name", description="On the server.")
    password: str | None = Field(
        None,
        title="Password",
        description="Or a private key; without both, keys of the server's own user.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
    private_key: str | None = Field(
        None,
        title="Private key",
        description="Content of the key file.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )
    passphrase: str | None = Field(
        None,
        title="Passphrase",
        description="Of an encrypted private key.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class SFTPSource(Source):
    """Everything is one scope; a folder that is closed to us makes it incomplete."""

    info = SourceInfo(
        short_name="sftp",
        name="SFTP",
        description="Files of a server that is reached by SSH.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files",),
        tested=Tested.REAL_SERVER,
    )
    config_model = SFTPConfig
    credentials_model = SFTPCredentials
    config: SFTPConfig
    credentials: SFTPCredentials

    def __init__(self, config: SFTPConfig, credentials: SFTPCredentials) -> None:
        super().__init__(config, credentials)
        self._downloads = Downloads()
        self._root = config.path.rstrip("/") or "/"
        self._opened: Any = None

    async def check(self) -> None:
        await self._list_root()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """List every folder: there is no cursor, and no content is fetched."""
        await self._list_root()
        is_complete = True
        yield ScopeStart()
        async with aclosing(self._walk()) as items:
            async for item in items:
                is_gap = isinstance(item, Failure) and item.ref is None
                is_complete = is_complete and not is_gap
                yield item
        yield ScopeEnd(complete=is_complete)

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Walk to the folders of the named files only."""
        await self._list_root()
        missing = {ref.key: ref for ref in refs}
        ways = {part for ref in refs for part in _folders(ref.source_id)}
        has_gap = False
        async with aclosing(self._walk(ways)) as items:
            async for item in items:
                has_gap = has_gap or (isinstance(item, Failure) and not item.ref)
                key = item.key if isinstance(item, Upsert) else None
                if isinstance(item, Failure) and item.ref is not None:
                    key = item.ref.key
                if key in missing:
                    del missing[key]
                    yield item
        for ref in missing.values():
            gap = Failure(ref, "The folder it was in cannot be read")
            yield gap if has_gap else Delete(ref)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
        await asyncio.to_thread(self._downloads.close)

    @property
    def _session(self) -> Any:
        """The connection, whose library is an extra."""
        if self._opened is None:
            try:
                made = import_module("wellhead.sources.connectors.sftp.session")
            except ImportError as error:
                raise ConfigError(
                    "SFTP is not installed: pip install 'wellhead[sftp]'"
                ) from error
            config, secrets = self.config, self.credentials
            login = made.Login(
                host=config.host,
                port=config.port,
                host_key=config.host_key,
                user=secrets.username,
                password=secrets.password,
                private_key=secrets.private_key,
                passphrase=secrets.passphrase,
            )
            self._opened = made.Session(login)
            self._closed_folder = made.FolderError
        return self._opened

    async def _list_root(self) -> None:
        session = self._session
        try:
            await session.list(self._root)
        except self._closed_folder as error:
            what = "does not exist" if error.is_gone else f"cannot be read: {error}"
            raise ConfigError(f"The folder '{self.config.path}' {what}") from error

    async def _walk(self, ways: set[str] | None = None) -> AsyncGenerator[Item]:
        files = RemoteFiles(self.config, self._place(), self._downloads)
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                lines = await self._session.list(f"{self._root}/{folder}")
            except self._closed_folder as error:
                if not folder or not error.is_gone:  # else removed meanwhile
                    where = f"The folder '/{_named(folder)}'"
                    yield Failure(None, f"{where} cannot be read: {error}")
                continue
            below = []
            for line in sorted(lines, key=lambda one: str(one.name)):
                place = folder + line.name
                path = _named(place)
                for item in self._items(files, place, path, line):
                    yield item
                is_way = ways is None or path in ways
                if line.is_folder and is_way and files.enter(f"{path}/"):
                    below.append(f"{place}/")
            folders += reversed(below)

    def _items(
        self, files: RemoteFiles, place: str, path: str, line: Any
    ) -> Iterator[Item]:
        if not line.is_told and files.enter(f"{path}/"):
            yield Failure(None, f"The server does not say what '/{path}' is")
        if line.is_file and files.take(path):
            yield self._item(files, place, line)

    def _item(self, files: RemoteFiles, place: str, line: Any) -> Item:
        modified = None
        if line.changed is not None:
            modified = datetime.fromtimestamp(line.changed, UTC)
        whole = f"{self._root}/{place}"
        file = RemoteFile(
            path=_named(place),
            size=line.size,
            version=f"{line.changed}-{line.size}",
            modified=modified,
            url=self._url(whole),
        )
        return files.item(file, partial(self._session.download, whole))

    def _url(self, whole: str) -> str:
        config = self.config
        port = "" if config.port == 22 else f":{config.port}"
        way = quote(whole.removeprefix("./"), errors="surrogateescape")
        return f"sftp://{config.host}{port}/{way.lstrip('/')}"

    def _place(self) -> Breadcrumb:
        return Breadcrumb(self.config.host, self.config.host, "Server")


def _named(place: str) -> str:
    return "/".join(map(storable, place.split("/")))


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
