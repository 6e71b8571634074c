"""Files on other machines as entities: what is chosen, how they are named."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.errors import FailureClass
from wellhead.domain.files import is_readable
from wellhead.domain.items import Failure, Item, Ref, Upsert
from wellhead.sources.base import Config
from wellhead.sources.downloads import Downloads
from wellhead.sources.paths import Exclude, Globs, Include, LargestFile

ENTITY_TYPE = "File"


class FilesConfig(Config):
    """Which files are read; connectors add where they are."""

    include: Include = Field(default_factory=list)
    exclude: Exclude = Field(default_factory=list)
    max_file_mb: LargestFile = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as a listing tells it; `path` is the whole one, without "/" before."""

    path: str
    size: int
    version: str
    modified: datetime | None
    url: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class RemoteFiles:
    """Makes items of the listed files of one place, such as a bucket."""

    def __init__(
        self, config: FilesConfig, place: Breadcrumb, downloads: Downloads
    ) -> None:
        self._globs = Globs.of(config.include, config.exclude)
        self._max_mb = config.max_file_mb
        self._place = place
        self._downloads = downloads

    def enter(self, folder: str) -> bool:
        """Return whether anything below the folder ("a/b/") can be wanted."""
        return self._globs.enter(folder)

    def take(self, path: str) -> bool:
        """Return whether the file is wanted, its folders included."""
        if not is_readable(path) or not self._globs.take(path):
            return False
        return all(map(self._globs.enter, _folders(path)))

    def item(self, file: RemoteFile, write: Callable[[Path], None]) -> Item:
        """Return the file as an entity whose content `write` fetches."""
        if file.size > self._max_mb * 1024 * 1024:
            return Failure(
                Ref(ENTITY_TYPE, file.path),
                f"Larger than {self._max_mb} MB",
                FailureClass.PERMANENT,
                source_version=file.version,
            )
        return Upsert(
            Entity(
                type=ENTITY_TYPE,
                source_id=file.path,
                name=file.name,
                blob=self._downloads.blob(file.name, file.size, write),
                source_version=file.version,
                updated_at=file.modified,
                breadcrumbs=self._way_to(file.path),
                url=file.url,
                raw=_raw(file),
            )
        )

    def _way_to(self, path: str) -> tuple[Breadcrumb, ...]:
        steps = (folder.rstrip("/") for folder in _folders(path))
        folders = (Breadcrumb(one, one.rpartition("/")[2], "Folder") for one in steps)
        return (self._place, *folders)


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) + "/" for depth in range(1, len(parts))]


def _raw(file: RemoteFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "version": file.version,
        "modified": file.modified.isoformat() if file.modified else None,
    }
