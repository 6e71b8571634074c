"""The WebDAV source: folder by folder, unchanged files told by their etag."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import Delete, Failure, Item, Ref, ScopeEnd, ScopeStart
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.connectors.webdav.listing import (
    TIMEOUT,
    FolderError,
    Found,
    Server,
)
from wellhead.sources.downloads import Downloads
from wellhead.sources.paths import storable
from wellhead.sources.remote_files import (
    ENTITY_TYPE,
    FilesConfig,
    RemoteFile,
    RemoteFiles,
)


class WebDAVConfig(FilesConfig):
    url: str = Field(
        title="URL",
        description=(
            "Address of a folder; in Nextcloud "
            "https://HOST/remote.php/dav/files/USER/FOLDER."
        ),
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
            raise ValueError("must begin with https:// or http://")
        if "@" in urlsplit(url).netloc:
            raise ValueError("must not hold credentials: they have their own fields")
        return url


class WebDAVCredentials(Config):
    username: str | None = Field(
        None, title="User name", description="Empty for what everyone may read."
    )
    password: str | None = Field(
        None,
        title="Password",
        description="In Nextcloud an app password (Settings, Security).",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class WebDAVSource(Source):
    """Everything is one scope; a folder that is closed to us makes it incomplete."""

    info = SourceInfo(
        short_name="webdav",
        name="WebDAV and Nextcloud",
        description="Files of Nextcloud, ownCloud and other WebDAV servers.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files",),
        tested=Tested.REAL_SERVER,
    )
    config_model = WebDAVConfig
    credentials_model = WebDAVCredentials
    config: WebDAVConfig
    credentials: WebDAVCredentials

    def __init__(self, config: WebDAVConfig, credentials: WebDAVCredentials) -> None:
        super().__init__(config, credentials)
        user = credentials.username
        auth = (user, credentials.password or "") if user else None
        self._server = Server(config.url, auth)
        self._downloads = Downloads()
        self._reader: httpx.Client | None = None

    async def check(self) -> None:
        async with self._server.client() as client:
            await self._prove_root(client)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """List every folder: there is no cursor, and no content is fetched."""
        self._open()
        is_complete = True
        async with self._server.client() as client:
            await self._prove_root(client)
            yield ScopeStart()
            async with aclosing(self._walk(client)) as items:
                async for item in items:
                    is_gap = isinstance(item, Failure) and item.ref is None
                    is_complete = is_complete and not is_gap
                    yield item
            yield ScopeEnd(complete=is_complete)

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Walk to the folders of the named files only."""
        self._open()
        missing = {ref.source_id: ref for ref in refs}
        ways = {part for one in missing for part in _folders(one)}
        has_gap = False
        async with self._server.client() as client:
            await self._prove_root(client)
            async with aclosing(self._walk(client, ways)) as items:
                async for item in items:
                    has_gap = has_gap or (isinstance(item, Failure) and not item.ref)
                    ref = _ref_of(item)
                    if ref is not None and ref.source_id in missing:
                        del missing[ref.source_id]
                        yield item
        for ref in missing.values():
            gap = Failure(ref, "The folder it was in cannot be read")
            yield gap if has_gap else Delete(ref)

    async def close(self) -> None:
        if self._reader is not None:
            await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._downloads.close)

    def _open(self) -> None:
        if self._reader is None:
            self._reader = httpx.Client(timeout=TIMEOUT)

    async def _prove_root(self, client: httpx.AsyncClient) -> None:
        url = self.config.url
        try:
            found = await self._server.list(client, "", depth=0)
        except FolderError as error:
            if error.status in {404, 410}:
                raise ConfigError(f"The folder '{url}' does not exist") from error
            raise ConfigError(f"'{url}' cannot be listed: {error}") from error
        if not found or not found[0].is_folder:
            raise ConfigError(f"'{url}' is not a folder of a WebDAV server")

    async def _walk(
        self, client: httpx.AsyncClient, ways: set[str] | None = None
    ) -> AsyncGenerator[Item]:
        files = RemoteFiles(self.config, self._place(), self._downloads)
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                listing = await self._server.list(client, folder)
            except FolderError as error:
                if not folder or error.status not in {404, 410}:  # removed meanwhile
                    where = f"The folder '/{folder}'"
                    yield Failure(None, f"{where} cannot be read: {error}")
                continue
            for found in listing:
                path = _named(found)
                if not found.is_folder:
                    for item in self._items(files, found, path):
                        yield item
                elif files.enter(f"{path}/") and (ways is None or path in ways):
                    folders.append(f"{found.place}/")

    def _items(self, files: RemoteFiles, found: Found, path: str) -> Iterator[Item]:
        if found.refused:
            if files.enter(f"{path}/"):
                yield Failure(None, f"'/{path}' cannot be read: {found.refused}")
        elif files.take(path):
            yield self._item(files, found)

    def _item(self, files: RemoteFiles, found: Found) -> Item:
        moment = found.modified.isoformat() if found.modified else ""
        file = RemoteFile(
            path=_named(found),
            size=found.size,
            version=found.etag or f"{moment}-{found.size}",
            modified=found.modified,
            url=self._url(found),
        )
        assert self._reader is not None  # noqa: S101  # opened before anything is read
        return files.item(
            file, partial(self._server.download, self._reader, found.place)
        )

    def _url(self, found: Found) -> str:
        """Return the page that Nextcloud has for a file, else its address."""
        base, is_cloud, _ = self.config.url.partition("/remote.php/")
        if found.file_id and is_cloud:
            return f"{base}/index.php/f/{found.file_id}"
        return self._server.url + found.place

    def _place(self) -> Breadcrumb:
        parts = urlsplit(self.config.url)
        name = parts.path.rstrip("/").rpartition("/")[2] or parts.hostname or "/"
        return Breadcrumb(self.config.url, name, "Folder")


def _named(found: Found) -> str:
    return "/".join(map(storable, found.path.split("/")))


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _ref_of(item: Item) -> Ref | None:
    if isinstance(item, Failure):
        return item.ref
    entity = getattr(item, "entity", None)
    return None if entity is None else Ref(entity.type, entity.source_id)
