"""Where a read of a site is: what was visited, what waits, and what is known of it."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from wellhead.domain.errors import CursorInvalidError
from wellhead.sources.connectors.web.config import Territory, WebConfig

PAGE = "WebPage"
FILE = "File"
NOTHING = ""
"""At this address is nothing to keep: it leads elsewhere, or asks not to be kept."""
FIRST_PAUSE = 50
"""Visits between checkpoints. Each holds all that is known, so they get rarer."""
MANY = 100
GREAT_SHARE = 0.25
"""So many and so large a part may not vanish without a full listing that agrees."""
MOST_MISSES = 20


@dataclass(slots=True)
class Known:
    """What the last visit of an address found."""

    kind: str
    """The type of its entity, or NOTHING."""
    depth: int
    etag: str = ""
    modified: str = ""
    misses: int = 0
    """How often in a row it was not found."""

    def headers(self) -> dict[str, str]:
        """Ask for it only if it is another one by now."""
        asked = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in asked.items() if value}


@dataclass(slots=True)
class Crawl:
    """Breadth first: what is near is read before what is far, or has no end."""

    config: WebConfig
    territory: Territory
    is_listing: bool = True
    """Whether this read shows all that there is, not only what changed."""
    has_gap: bool = False
    """Whether something that may lead on could not be read."""
    pages: dict[str, Known] = field(default_factory=dict)
    todo: deque[tuple[str, int]] = field(default_factory=deque)
    starts: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    _waiting: set[str] = field(default_factory=set)
    _live: int = 0
    _since: int = 0

    def __post_init__(self) -> None:
        self._live = sum(bool(one.kind) for one in self.pages.values())

    @classmethod
    def begin(cls, config: WebConfig) -> Self:
        return cls(config, Territory(config), starts=set(config.starts))

    @classmethod
    def resume(cls, config: WebConfig, token: dict[str, Any]) -> Self:
        """Go on with a read, or begin one that looks at what is known.

        Raises CursorInvalidError when other pages were chosen since.
        """
        if token.get("config") != config.digest():
            raise CursorInvalidError("other pages were chosen than the last time")
        todo = [(url, int(depth)) for url, depth in token.get("todo", ())]
        pages = {url: Known(*known) for url, known in token["pages"].items()}
        found = cls(
            config,
            Territory(config, set(token["hosts"])),
            is_listing=bool(token.get("is_listing", False)),
            has_gap=bool(token.get("has_gap", False)),
            pages=pages,
            starts=set(config.starts),
        )
        if cls.is_resumed(token):
            found.wait(todo)
        return found

    @staticmethod
    def is_resumed(token: dict[str, Any]) -> bool:
        """Whether the token comes from the midst of a read."""
        return "todo" in token

    def plan(self, sitemap_pages: Iterable[str]) -> None:
        """Begin with the start pages, then what sitemaps name, then what is known."""
        self.wait((url, 0) for url in self.config.starts)
        for url in sitemap_pages:
            self.add(url, 0)
        self.wait((url, known.depth) for url, known in self.pages.items())

    def add(self, url: str, depth: int) -> None:
        """Visit it later, if it is ours, new, and near enough."""
        if url in self.pages or url in self._waiting or depth > self.config.max_depth:
            return
        if not self.territory.holds(url) or not self.territory.leads_on(url):
            return
        if len(self.pages) + len(self.todo) >= 4 * self.config.max_pages + 1_000:
            self.has_gap = True  # without an end, perhaps
            return
        self.wait([(url, depth)])

    def move_start(self, url: str) -> None:
        """A start page says that it is elsewhere: that is the start page then."""
        self.starts.add(url)
        self.territory.admit(url)
        if url not in self.done and url not in self._waiting:
            self.todo.appendleft((url, 0))
            self._waiting.add(url)

    def take(self) -> tuple[str, int] | None:
        """Return what is to be visited next, None at the end."""
        while self.todo:
            url, depth = self.todo.popleft()
            self._waiting.discard(url)
            if url not in self.done and self.has_room_for(url):
                return url, depth
        return None

    def has_room_for(self, url: str) -> bool:
        """Tell whether one more may be kept; what is known has its place."""
        is_known = url in self.pages or url in self.starts
        if not is_known and self._live >= self.config.max_pages:
            self.has_gap = True
            return False
        return True

    def keeps(self, url: str) -> bool:
        known = self.pages.get(url)
        return known is not None and known.kind == PAGE and not known.misses

    def record(self, url: str, known: Known) -> str:
        """Note what a visit found; returns the type of what was there before."""
        before = self.pages[url].kind if url in self.pages else NOTHING
        self.pages[url] = known
        self.done.add(url)
        self._live += bool(known.kind) - bool(before)
        return before

    def leave(self, url: str, depth: int) -> str:
        """Nothing was found out: all stays as it was."""
        before = self.pages.get(url) or Known(NOTHING, depth)
        self.record(url, before)
        return before.kind

    def miss(self, url: str, depth: int) -> None:
        """It was not found; what that means is decided at the end."""
        before = self.pages.get(url) or Known(NOTHING, depth)
        self.record(url, Known(before.kind, before.depth, misses=before.misses + 1))
        if not before.kind and before.misses >= MOST_MISSES:
            del self.pages[url]

    def forget(self, url: str) -> str:
        """It is gone; if it comes back it is found at its old address."""
        known = self.pages[url]
        return self.record(url, Known(NOTHING, known.depth, misses=known.misses))

    @property
    def is_whole(self) -> bool:
        """Whether what was not seen is gone; a site without a page is no such proof."""
        return self.is_listing and not self.has_gap and self._live > 0

    def lost(self) -> list[str]:
        """Return what was there and is not any more."""
        return [url for url, one in self.pages.items() if one.kind and one.misses]

    def are_too_many(self, lost: list[str]) -> bool:
        return len(lost) > MANY and len(lost) > GREAT_SHARE * self._live

    def is_due(self) -> bool:
        """Tell whether a checkpoint is worth what it costs."""
        self._since += 1
        if self._since < max(FIRST_PAUSE, len(self.pages) // 4) or not self.todo:
            return False
        self._since = 0
        return True

    def token(self) -> dict[str, Any]:
        return self.cursor() | {
            "is_listing": self.is_listing,
            "has_gap": self.has_gap,
            "todo": [list(one) for one in self.todo],
        }

    def cursor(self) -> dict[str, Any]:
        """Return where the next read begins."""
        return {
            "config": self.config.digest(),
            "hosts": sorted(self.territory.hosts),
            "pages": {
                url: [one.kind, one.depth, one.etag, one.modified, one.misses]
                for url, one in self.pages.items()
            },
        }

    def wait(self, some: Iterable[tuple[str, int]]) -> None:
        """Visit these later, whatever is known of them."""
        for url, depth in some:
            if url not in self._waiting:
                self._waiting.add(url)
                self.todo.append((url, depth))
