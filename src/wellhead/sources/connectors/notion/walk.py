"""The way through a workspace: its databases, their rows, other pages, recent changes.

Search lists by the time of the last change, so a page that is edited while it is listed
could slip by. It is met at the end, where the recent changes are.
"""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wellhead.domain.errors import EntityError
from wellhead.domain.items import Checkpoint, Failure
from wellhead.sources.connectors.notion.entities import ref_of
from wellhead.sources.connectors.notion.listing import (
    DATA_SOURCES,
    NEWEST_FIRST,
    OLDEST_FIRST,
    PAGES,
    is_cut,
    is_lost,
    rows,
    search,
)
from wellhead.sources.connectors.notion.places import parent_of
from wellhead.sources.connectors.notion.values import time_of
from wellhead.sources.http import ApiClient, Page
from wellhead.sources.http.judge import moment_of

OVERLAP = timedelta(minutes=30)
"""A change may be a while on its way into the search, and times are whole minutes."""
CUT = "Notion's search ended before it had shown everything"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
ROWS, PAGES_LEFT, RECENT = "rows", "pages", "recent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a reading has come; it is the token of a checkpoint."""

    until: str
    """When this reading began, by Notion's clock."""
    since: str | None = None
    """Changes before this are known; None in a full listing."""
    part: str = ROWS
    data_source: str = ""
    page: str | None = None
    is_cut: bool = False
    """A page of this list said that Notion does not show all of it."""

    def at(self, part: str, page: str | None = None, data_source: str = "") -> "Place":
        return replace(
            self, part=part, page=page, data_source=data_source, is_cut=False
        )

    def behind(self, page: Page, part: str) -> "Place":
        """Return the place behind a page of the search."""
        was_cut = is_cut(page) or (self.part == part and self.is_cut)
        return replace(self.at(part, page.next), is_cut=was_cut)

    @property
    def is_listing(self) -> bool:
        return self.since is None

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(asdict(self))


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a list showed, and when."""

    thing: Any
    at: datetime | None


Step = Found | Failure | Checkpoint
Steps = AsyncGenerator[Step, None]


async def walk(client: ApiClient, place: Place) -> Steps:
    """Go from a place to the end."""
    if place.is_listing:
        async for step in _everything(client, place):
            yield step
    async for step in _recent(client, place):
        yield step


async def _everything(client: ApiClient, place: Place) -> Steps:
    known: set[str] = set()
    async for step in _data_sources(client):
        ref = ref_of(step.thing) if isinstance(step, Found) else None
        if ref is not None:
            known.add(ref.source_id)
        yield step
    if place.part == ROWS:
        async for step in _all_rows(client, place, known):
            yield step
        place = place.at(PAGES_LEFT)
        yield place.checkpoint
    if place.part == PAGES_LEFT:
        async for step in _pages(client, place, known):
            yield step


async def _data_sources(client: ApiClient) -> Steps:
    was_cut = False
    async for page in search(client, kind=DATA_SOURCES):
        for found in _of(page):
            yield found
        was_cut = was_cut or is_cut(page)
    if was_cut:
        yield Failure(None, CUT)


async def _all_rows(client: ApiClient, place: Place, known: set[str]) -> Steps:
    for one in sorted(known):
        if one >= place.data_source:
            async for step in _rows(client, place, one):
                yield step


async def _rows(client: ApiClient, place: Place, data_source: str) -> Steps:
    start = place.page if data_source == place.data_source else None
    try:
        async for page in rows(client, data_source, start=start):
            for found in _of(page):
                yield found
            if is_lost(page):
                yield Failure(None, f"database {data_source} is not shown to its end")
            if page.next is not None:
                yield place.at(ROWS, page.next, data_source).checkpoint
    except EntityError as error:
        yield Failure(None, f"the rows of a database are not shown: {error}")


async def _pages(client: ApiClient, place: Place, known: set[str]) -> Steps:
    """List pages but the rows of known databases, which come from these."""
    oldest = _FOR_EVER
    async for page in search(client, kind=PAGES, start=place.page):
        for found in _of(page):
            oldest = edited(found.thing)
            if not is_row_of(found.thing, known):
                yield found
        place = place.behind(page, PAGES_LEFT)
        if page.next is not None:
            yield place.checkpoint
    if place.is_cut:
        async for step in from_the_other_end(client, until=oldest):
            yield step


async def from_the_other_end(
    client: ApiClient, *, until: datetime = _FOR_EVER
) -> Steps:
    """List all pages, the longest unchanged first, up to those edited after `until`."""
    was_cut = False
    async for page in search(client, kind=PAGES, direction=OLDEST_FIRST):
        for found in _of(page):
            if edited(found.thing) > until:
                return
            yield found
        was_cut = was_cut or is_cut(page)
    if was_cut:
        yield Failure(None, CUT)


async def _recent(client: ApiClient, place: Place) -> Steps:
    """List what was edited since the last reading, or since this one began."""
    back_to = datetime.fromisoformat(place.since or place.until) - OVERLAP
    start = place.page if place.part == RECENT else None
    async for page in search(client, direction=NEWEST_FIRST, start=start):
        for found in _of(page):
            if edited(found.thing) < back_to:
                return
            yield found
        place = place.behind(page, RECENT)
        if page.next is not None:
            yield place.checkpoint
    if place.is_cut:
        yield Failure(None, CUT)


def edited(thing: Any) -> datetime:
    """Return when something was edited; what does not tell is as good as new."""
    try:
        return time_of(thing["last_edited_time"]) or _FOR_EVER
    except (KeyError, TypeError, ValueError):
        return _FOR_EVER


def is_row_of(thing: Any, known: set[str]) -> bool:
    if ref_of(thing) is None:
        return False
    kind, ident = parent_of(thing) or ("", "")
    return kind == "data_source_id" and ident in known


def _of(page: Page) -> Iterator[Found]:
    at = moment_of(page.answer.headers)
    return (Found(thing, at) for thing in page.records)
