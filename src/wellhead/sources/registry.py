"""Which sources exist: built in, shipped as definitions, and of installed packages."""

import importlib
import logging
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from wellhead.domain.errors import NotFoundError
from wellhead.sources.base import Source, SourceInfo
from wellhead.sources.declared.shipped import shipped
from wellhead.sources.declared.source import DeclaredSource

ENTRY_POINT_GROUP = "wellhead.sources"
CONNECTORS = "wellhead.sources.connectors"
BUILT_IN: tuple[str, ...] = (
    "file_system.source:FileSystemSource",
    "git.source:GitSource",
    "github.source:GitHubSource",
    "notion.source:NotionSource",
    "slack.source:SlackSource",
    "postgresql.source:PostgreSQLSource",
    "postgresql.search:PostgreSQLSearchSource",
    "sqlite.source:SQLiteSource",
    "s3:S3Source",
    "gcs:GCSSource",
    "azure_blob:AzureBlobSource",
    "webdav.source:WebDAVSource",
    "sftp.source:SFTPSource",
    "web.source:WebSource",
    "rss.source:RSSSource",
    "imap.source:IMAPSource",
    "timed:TimedSource",
    "stub:StubSource",
    "incremental_stub:IncrementalStubSource",
    "exception_stub:ExceptionStubSource",
    "file_stub:FileStubSource",
    "bulk_stub:BulkStubSource",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registry:
    """The catalogue of sources, by short name."""

    by_name: dict[str, type[Source]]
    declared: dict[str, type[DeclaredSource]] = field(default_factory=dict)
    """Those that people added while the program runs; see `services/definitions.py`.
    They never take the place of others."""
    ignored: set[str] = field(default_factory=set)
    """Digests of definitions that this program does not take; told once."""

    @classmethod
    def load(cls, *, include_demo: bool) -> "Registry":
        """Gather the built-in sources and the entry points of other packages.

        A package that cannot be imported is left out with a warning, and none can
        take the short name of a built-in source.
        """
        ours: list[type[Source]] = [*map(_built_in, BUILT_IN), *shipped()]
        found = {one.info.short_name: one for one in ours}
        for one in _installed():
            if found.setdefault(one.info.short_name, one) is not one:
                log.warning(
                    "source ignored: its short name is taken",
                    extra={"short_name": one.info.short_name, "source": repr(one)},
                )
        return cls(
            {
                name: one
                for name, one in found.items()
                if include_demo or not one.info.is_demo
            }
        )

    def all(self) -> tuple[type[Source], ...]:
        """Return every source, sorted by its name for people."""
        return tuple(
            sorted(
                {**self.declared, **self.by_name}.values(),
                key=lambda one: (one.info.name.casefold(), one.info.short_name),
            )
        )

    def get(self, short_name: str) -> type[Source]:
        """Return one source; raises NotFoundError."""
        found = self.by_name.get(short_name) or self.declared.get(short_name)
        if found is None:
            raise NotFoundError(f"Source '{short_name}' not found")
        return found


def _built_in(path: str) -> type[Source]:
    module, _, name = path.partition(":")
    loaded = importlib.import_module(f"{CONNECTORS}.{module}")
    source: type[Source] = getattr(loaded, name)
    return source


def _installed() -> list[type[Source]]:
    found = []
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            loaded = point.load()
        except Exception:  # other people's code: it must not stop us
            log.warning(
                "source ignored: it cannot be imported",
                extra={"entry_point": point.value},
                exc_info=True,
            )
            continue
        if _is_source(loaded):
            found.append(loaded)
        else:
            log.warning(
                "source ignored: not a Source with an info",
                extra={"entry_point": point.value},
            )
    return found


def _is_source(loaded: object) -> bool:
    return (
        isinstance(loaded, type)
        and issubclass(loaded, Source)
        and isinstance(getattr(loaded, "info", None), SourceInfo)
    )
