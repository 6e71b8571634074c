"""What can be configured about a web site, and which addresses that lets in."""

import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from mimetypes import guess_type
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from wellhead.domain.files import readable_suffix
from wellhead.sources.base import Config
from wellhead.sources.open_web.addresses import host_of, normal
from wellhead.sources.paths import Globs, Patterns

MOST_SAME_SEGMENTS = 3
MOST_QUERIES = 200
"""So many spellings of one path's query are followed: calendars and filters have no
end."""
_NO_PAGES = ("image/", "audio/", "video/", "font/", "application/zip", "text/css")
_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _addresses(given: list[str]) -> list[str]:
    for one in given:
        if not one.startswith(("http://", "https://")) or normal(one) is None:
            raise ValueError(f"'{one}' must begin with https:// and name a host")
    return given


def _hosts(given: list[str]) -> list[str]:
    for one in given:
        if _HOST.fullmatch(one.lower()) is None:
            raise ValueError(
                f"'{one}' is no host: write docs.example.com or *.example.com"
            )
    return [one.lower() for one in given]


Addresses = Annotated[list[str], AfterValidator(_addresses)]


class WebConfig(Config):
    start_urls: Addresses = Field(
        default_factory=list,
        max_length=20,
        title="Start pages",
        description="Addresses of pages from which links are followed.",
    )
    sitemaps: Addresses = Field(
        default_factory=list,
        max_length=20,
        title="Sitemaps",
        description="Addresses of sitemaps, or of indexes of them; .gz is fine.",
    )
    use_robots_sitemaps: bool = Field(
        default=True,
        title="Sitemaps of robots.txt",
        description="Also read the sitemaps that the start pages' robots.txt names.",
    )
    hosts: Annotated[list[str], AfterValidator(_hosts)] = Field(
        default_factory=list,
        max_length=100,
        title="Further hosts",
        description="Besides those above: docs.example.com, or *.example.com.",
    )
    include: Patterns = Field(
        default_factory=list,
        title="Include",
        description="Only pages whose path matches one of these, such as /docs/.",
    )
    exclude: Patterns = Field(
        default_factory=list,
        title="Exclude",
        description="No pages whose path matches one of these, such as /blog/*/amp.",
    )
    max_depth: int = Field(
        5,
        ge=0,
        le=100,
        title="Depth",
        description="How many links away from the start; 0 follows none.",
    )
    max_pages: int = Field(
        1_000,
        ge=1,
        le=50_000,
        title="Most pages",
        description="When there are so many, no further ones are added.",
    )
    read_documents: bool = Field(
        default=True,
        title="Documents",
        description="Also read linked PDF, Office and text files.",
    )
    max_file_mb: int = Field(
        50,
        ge=1,
        le=10_000,
        title="Largest document (MB)",
        description="Larger documents are reported as failed.",
    )

    @model_validator(mode="after")
    def _has_a_beginning(self) -> Self:
        if not self.start_urls and not self.sitemaps:
            raise ValueError("name a start page or a sitemap")
        return self

    @property
    def starts(self) -> list[str]:
        return [found for one in self.start_urls if (found := normal(one))]

    def digest(self) -> str:
        """Return what changes when other pages are chosen."""
        told = self.model_dump_json(exclude={"max_file_mb"})
        return blake2b(told.encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class Territory:
    """Which addresses are ours to visit, and which of them to keep."""

    config: WebConfig
    hosts: set[str] = field(default_factory=set)
    _globs: Globs = field(init=False)
    _queries: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self._globs = Globs.of(self.config.include, self.config.exclude)
        begins = (*self.config.starts, *self.config.sitemaps)
        self.hosts |= {host_of(one) for one in begins} | set(self.config.hosts)

    def admit(self, url: str) -> None:
        """A start page has moved here, so its host is one of ours."""
        self.hosts.add(host_of(url))

    def holds(self, url: str) -> bool:
        """Return whether it is on one of our hosts and wanted."""
        return self._is_ours(host_of(url)) and self.wants(url)

    def wants(self, url: str) -> bool:
        """Return whether its path is one that is kept."""
        parts = urlsplit(url)
        way = unquote(parts.path).lstrip("/") + (
            f"?{parts.query}" if parts.query else ""
        )
        # the first page has no name, and patterns need one
        return self._globs.take(way or "index")

    def leads_on(self, url: str) -> bool:
        """Return whether a link may be followed: no picture, and no trap."""
        parts = urlsplit(url)
        media = guess_type(parts.path)[0] or ""
        if media.startswith(_NO_PAGES) or media.endswith(("javascript", "x-tar")):
            return False
        if self._is_other_document(parts.path, media):
            return False
        steps = Counter(one for one in parts.path.split("/") if one)
        if any(count > MOST_SAME_SEGMENTS for count in steps.values()):
            return False
        if not parts.query:
            return True
        self._queries[parts.path] += 1
        return self._queries[parts.path] <= MOST_QUERIES

    def _is_other_document(self, way: str, media: str) -> bool:
        is_page = media in {"", "text/html", "application/xhtml+xml"}
        if is_page or readable_suffix(way) in {None, ".html", ".htm", ".xhtml"}:
            return False
        return not self.config.read_documents

    def _is_ours(self, host: str) -> bool:
        return host in self.hosts or any(
            one.startswith("*.") and host.endswith(one[1:]) for one in self.hosts
        )
