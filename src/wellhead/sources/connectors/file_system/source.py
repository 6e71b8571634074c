"""The file system source: a full listing each time, by stat only."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import (
    Delete,
    Failure,
    Item,
    Listed,
    Ref,
    ScopeEnd,
    ScopeStart,
)
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.connectors.file_system.permissions import Permissions
from wellhead.sources.connectors.file_system.walk import (
    ENTITY_TYPE,
    Choice,
    Walk,
    open_root,
)
from wellhead.sources.paths import Exclude, Globs, Include, LargestFile


class FileSystemConfig(Config):
    path: str = Field(
        min_length=1,
        title="Path",
        description="Folder or file on the server, absolute or beginning with ~.",
    )
    include: Include = Field(default_factory=list)
    exclude: Exclude = Field(default_factory=list)
    follow_symlinks: bool = Field(
        default=False,
        title="Follow symbolic links",
        description="Read what symbolic links point at; each folder is read once.",
    )
    use_ignore_files: bool = Field(
        default=True,
        title="Respect ignore files",
        description="Leave out what .gitignore and .ignore files name.",
    )
    include_hidden: bool = Field(
        default=False,
        title="Include hidden files",
        description="Also read files and folders whose name begins with a dot.",
    )
    max_file_mb: LargestFile = 200
    read_permissions: bool = Field(
        default=False,
        title="Read permissions",
        description="Keep who may read each file, by owner, group and mode.",
    )

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not path.startswith("~") and not Path(path).is_absolute():
            raise ValueError("must be absolute or begin with ~")
        return path

    @field_validator("read_permissions")
    @classmethod
    def _goes_no_way_round(cls, wanted: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic's way
        if wanted and info.data.get("follow_symlinks"):
            raise ValueError("cannot be combined with follow_symlinks")
        return wanted


class FileSystemSource(Source):
    """Everything is one scope; unchanged files are never opened."""

    info = SourceInfo(
        short_name="file_system",
        name="Files and folders",
        description="Documents, code and other files of a folder on the server.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Files",),
        tells_access=True,
        tested=Tested.REAL_SERVER,
    )
    config_model = FileSystemConfig
    config: FileSystemConfig

    async def check(self) -> None:
        await asyncio.to_thread(self._walk)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:  # noqa: ARG002
        """Yield every file; there is no cursor, a listing costs little."""
        walk = await asyncio.to_thread(self._walk)
        yield ScopeStart()
        async with aclosing(_items(walk)) as items:
            async for item in items:
                yield item
        yield ScopeEnd(complete=walk.is_complete)

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Walk only to the named files; nothing is deleted when a folder is closed."""
        missing = {ref.source_id: ref for ref in refs}
        walk = await asyncio.to_thread(self._walk, frozenset(missing))
        async with aclosing(_items(walk)) as items:
            async for item in items:
                if isinstance(item, Listed):
                    missing.pop(item.source_id, None)
                    yield item
                elif isinstance(item, Failure) and item.ref is not None:
                    missing.pop(item.ref.source_id, None)
                    yield item
        for ref in missing.values():
            if walk.is_complete and not walk.is_empty:
                yield Delete(ref)
            else:
                yield Failure(ref, "The folder it was in cannot be read")

    def _walk(self, only: frozenset[str] | None = None) -> Walk:
        """Begin a walk; raises ConfigError when there is nothing to walk over."""
        config = self.config
        try:
            path = Path(config.path).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"The path '{config.path}' has no home folder") from error
        choice = Choice(
            globs=Globs.of(config.include, config.exclude),
            follow_symlinks=config.follow_symlinks,
            use_ignore_files=config.use_ignore_files,
            include_hidden=config.include_hidden,
            max_bytes=config.max_file_mb * 1024 * 1024,
            only=only,
            permissions=Permissions() if config.read_permissions else None,
        )
        return Walk(open_root(path), choice)


async def _items(walk: Walk) -> AsyncGenerator[Item]:
    pages = walk.pages()
    try:
        while page := await asyncio.to_thread(_next, pages):
            for item in page:
                yield item
    finally:
        walk.stop()


def _next(pages: Iterator[list[Item]]) -> list[Item]:
    return next(pages, [])
