"""What sources of object stores share: buckets, read by complete listings."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import obstore
from obstore.exceptions import InvalidPathError
from obstore.store import ObjectStore
from pydantic import Field, field_validator

from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import EntityError
from wellhead.domain.items import (
    ROOT_SCOPE,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
)
from wellhead.sources.base import Source
from wellhead.sources.downloads import Downloads
from wellhead.sources.object_trouble import translated, translated_for_one
from wellhead.sources.remote_files import FilesConfig, RemoteFile, RemoteFiles

_CLIENT = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(minutes=14),  # of a whole object; a job's patience is 15
}
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(minutes=1)}
_PAGE_SIZE = 1_000


class ObjectStoreConfig(FilesConfig):
    prefixes: list[str] = Field(
        default_factory=list,
        title="Prefixes",
        description="Only objects below these folders, such as reports/2026.",
    )
    endpoint: str | None = Field(
        None,
        title="Endpoint",
        description="Address of a compatible store; by default the vendor's own.",
    )
    anonymous: bool = Field(
        default=False,
        title="Anonymous",
        description="Ask without credentials, for what everyone may read.",
    )

    @field_validator("prefixes")
    @classmethod
    def _are_apart(cls, prefixes: list[str]) -> list[str]:
        """Leave out what lies below another one."""
        folders = sorted({one.strip("/") + "/" for one in prefixes if one.strip("/")})
        kept: list[str] = []
        for one in folders:
            if not kept or not one.startswith(kept[-1]):
                kept.append(one)
        if any(len(one.encode()) > 600 for one in kept):
            raise ValueError("prefixes have at most 600 bytes")
        return [one.rstrip("/") for one in kept]

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str | None) -> str | None:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError("must begin with https:// or http://")
        return endpoint.rstrip("/") if endpoint else None

    @property
    def places(self) -> list[str | None]:
        """The prefixes to list, None for everything."""
        return [*self.prefixes] or [None]

    def options(self, **given: Any) -> dict[str, Any]:
        """Return the options of a client: the given ones, and what all share."""
        is_plain = (self.endpoint or "").startswith("http://")
        client = {**_CLIENT, "allow_http": is_plain}
        if self.anonymous:
            given = {"skip_signature": True}
        return {**given, "client_options": client, "retry_config": _RETRIES}


class ObjectStoreSource(Source):
    """Each prefix is a scope; unchanged objects are told by their etag, unopened."""

    config: ObjectStoreConfig

    def __init__(self, config: Any, credentials: Any) -> None:
        super().__init__(config, credentials)
        self._downloads = Downloads()

    @property
    @abstractmethod
    def place(self) -> Breadcrumb:
        """What holds the objects."""

    @abstractmethod
    def open_store(self) -> ObjectStore:
        """Return the client; no request is made yet."""

    @abstractmethod
    def url_of(self, key: str) -> str:
        """Return where people see the object; the key is quoted."""

    async def check(self) -> None:
        with translated(self._name):
            store = self.open_store()
            for prefix in self.config.places:
                listing = obstore.list(store, prefix, chunk_size=1)
                with suppress(InvalidPathError):  # a job tells of odd keys
                    await anext(aiter(listing), None)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """List everything: there is no cursor, and no content is fetched."""
        with translated(self._name):
            store = self.open_store()
        is_complete = True
        yield ScopeStart()
        for prefix in self.config.places:
            scope = ROOT_SCOPE if prefix is None else _scope(prefix)
            if prefix is not None:
                yield ScopeStart(scope)
            has_gap = False
            async with aclosing(self._listing(store, prefix)) as items:
                async for item in items:
                    has_gap = has_gap or (isinstance(item, Failure) and not item.ref)
                    yield item
            is_complete = is_complete and not has_gap
            if prefix is not None:
                yield ScopeEnd(scope, complete=not has_gap)
        yield ScopeEnd(complete=is_complete)

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Ask for each object; what is not chosen any more counts as gone."""
        with translated(self._name):
            store = self.open_store()
        files = self._files()
        for ref in refs:
            if not self._is_chosen(files, ref.source_id):
                yield Delete(ref)
                continue
            try:
                with translated_for_one():
                    found = await obstore.head_async(store, ref.source_id)
            except EntityError as error:
                is_gone = isinstance(error.__context__, FileNotFoundError)
                yield Delete(ref) if is_gone else Failure(ref, str(error))
            else:
                yield self._item(store, files, dict(found))

    async def close(self) -> None:
        await asyncio.to_thread(self._downloads.close)

    @property
    def _name(self) -> str:
        return f"The {self.place.entity_type.lower()} '{self.place.name}'"

    def _files(self) -> RemoteFiles:
        return RemoteFiles(self.config, self.place, self._downloads)

    def _is_chosen(self, files: RemoteFiles, key: str) -> bool:
        prefixes = self.config.prefixes
        is_below = any(key.startswith(f"{one}/") for one in prefixes)
        return files.take(key) and (is_below or not prefixes)

    async def _listing(
        self, store: ObjectStore, prefix: str | None
    ) -> AsyncGenerator[Item]:
        """List flat; where a key cannot be named, go folder by folder around it."""
        files = self._files()
        pages = self._pages(store, prefix)
        try:
            async for page in pages:
                for one in page:
                    if self._is_chosen(files, one["path"]):
                        yield self._item(store, files, one)
        except InvalidPathError:
            folders = self._folder_by_folder(store, files, prefix)
            async with aclosing(folders) as items:
                async for item in items:
                    yield item

    async def _pages(
        self, store: ObjectStore, prefix: str | None
    ) -> AsyncGenerator[list[dict[str, Any]]]:
        listing = aiter(obstore.list(store, prefix, chunk_size=_PAGE_SIZE))
        while True:
            with translated(self._name):
                page = await anext(listing, None)
            if page is None:
                return
            yield [dict(one) for one in page]

    async def _folder_by_folder(
        self, store: ObjectStore, files: RemoteFiles, prefix: str | None
    ) -> AsyncGenerator[Item]:
        folders = [prefix]
        while folders:
            folder = folders.pop()
            try:
                with translated(self._name):
                    found = await obstore.list_with_delimiter_async(store, folder)
            except InvalidPathError as error:
                where = f"'{folder}'" if folder else "top"
                reason = str(error).partition("\n")[0]
                yield Failure(
                    None,
                    f"The folder {where} holds a key that cannot be read, so none of "
                    f"its own objects was: rename it. {reason}",
                )
                continue
            for one in found["objects"]:
                if self._is_chosen(files, one["path"]):
                    yield self._item(store, files, dict(one))
            below = sorted(found["common_prefixes"], reverse=True)
            folders += [one for one in below if files.enter(f"{one}/")]

    def _item(
        self, store: ObjectStore, files: RemoteFiles, told: dict[str, Any]
    ) -> Item:
        key, modified, size = told["path"], told["last_modified"], told["size"]
        etag = (told["e_tag"] or "").strip('"')
        file = RemoteFile(
            path=key,
            size=size,
            version=etag or f"{modified.isoformat()}-{size}",
            modified=modified,
            url=self.url_of(quote(key)),
        )
        return files.item(file, partial(_download, store, key))


def _download(store: ObjectStore, key: str, target: Path) -> None:
    with translated_for_one(), target.open("wb") as file:
        for part in obstore.get(store, key).stream():
            file.write(part)


def _scope(prefix: str) -> str:
    """Return the prefix as one step of a scope's path."""
    return prefix.replace("%", "%25").replace("/", "%2F")
