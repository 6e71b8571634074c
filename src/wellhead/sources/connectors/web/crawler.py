"""Reading a site: visit by visit, and what each of them means for what is kept."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.sources.connectors.web.config import WebConfig
from wellhead.sources.connectors.web.crawl import (
    FILE,
    NOTHING,
    PAGE,
    Crawl,
    Known,
)
from wellhead.sources.connectors.web.pages import Page
from wellhead.sources.connectors.web.robots import Robots
from wellhead.sources.connectors.web.sitemaps import read_sitemaps
from wellhead.sources.connectors.web.visits import (
    Visit,
    document_item,
    look,
    page_item,
)
from wellhead.sources.http import GoneError, TooLargeError
from wellhead.sources.open_web import PrivateAddressError, Visitor
from wellhead.sources.open_web.visitor import ROBOT

MOST_CHECKED = 5
MOST_STEPS = 5
MOST_ILL = 5
"""After so many visits in a row that failed, the site is not to be had now."""


class Crawler:
    """Does the work of a WebSource."""

    def __init__(self, config: WebConfig, visitor: Visitor) -> None:
        self._config = config
        self._visitor = visitor
        self._robots = Robots(visitor)
        self._ill = 0

    async def check(self) -> None:
        """Look at the first start pages and sitemaps; raises ConfigError."""
        self._robots.keeps_pace = False
        for url in self._config.starts[:MOST_CHECKED]:
            await self._check_start(url)
        named = self._config.sitemaps[:MOST_CHECKED]
        async with aclosing(read_sitemaps(self._visitor, named)) as found:
            async for sitemap in found:
                if sitemap.wrong is not None:
                    raise ConfigError(sitemap.wrong)
                if sitemap.url == named[-1]:
                    break

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        crawl = Crawl.begin(self._config)
        if cursor is not None:
            crawl = Crawl.resume(self._config, cursor)
        yield ScopeStart()
        if cursor is None or not crawl.is_resumed(cursor):
            async with aclosing(self._plan(crawl)) as items:
                async for item in items:
                    yield item
        while (next_one := crawl.take()) is not None:
            for item in await self._visit(crawl, *next_one):
                yield item
            if crawl.is_due():
                yield Checkpoint(crawl.token())
        for item in self._settled(crawl):
            yield item
        yield ScopeEnd(complete=crawl.is_whole)
        yield Checkpoint(crawl.cursor())

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            try:
                yield await self._fetched(ref)
            except GoneError:
                yield Delete(ref)
            except (EntityError, CredentialsError) as error:
                yield Failure(ref, str(error))

    async def _fetched(self, ref: Ref) -> Item:
        url = ref.source_id
        if not await self._robots.allows(url):
            return Delete(ref)
        visit = await look(self._visitor, url, {})
        if visit.target is not None and not visit.is_moved:
            return Failure(ref, f"It leads to '{visit.target}' for now")
        match self._item(visit):
            case Upsert() as item if item.key == ref.key:
                return item
            case Failure(ref=about) as failure if about == ref:
                return failure
        return Delete(ref)

    async def _check_start(self, url: str) -> None:
        at = url
        for _ in range(MOST_STEPS + 1):
            try:
                if not await self._robots.allows(at):
                    raise ConfigError(_forbidden(at))
                visit = await look(self._visitor, at, {})
            except (EntityError, CredentialsError) as error:
                raise ConfigError(_unusable(url, error)) from error
            if visit.target is None:
                break
            at = visit.target
        else:
            raise ConfigError(f"'{url}' redirects more than {MOST_STEPS} times")
        if visit.page is None and not visit.is_document:
            kind = visit.headers.get("content-type", "of no type")
            raise ConfigError(f"'{at}' is {kind}, which is not read")

    async def _plan(self, crawl: Crawl) -> AsyncGenerator[Item]:
        urls = list(self._config.sitemaps)
        if self._config.use_robots_sitemaps:
            for start in self._config.starts:
                named = await self._allowed_sitemaps(start)
                urls += [one for one in named if one not in urls]
        found: list[str] = []
        async with aclosing(read_sitemaps(self._visitor, urls)) as sitemaps:
            async for sitemap in sitemaps:
                found += sitemap.pages[: 4 * self._config.max_pages]
                if sitemap.wrong is not None:
                    yield Failure(None, f"A sitemap cannot be read: {sitemap.wrong}")
        if not found and not crawl.starts and not crawl.pages:
            raise ConfigError("The sitemaps name no page")
        crawl.plan(found)

    async def _allowed_sitemaps(self, start: str) -> list[str]:
        try:
            return await self._robots.sitemaps(start)
        except PrivateAddressError as error:
            raise ConfigError(str(error)) from error

    async def _visit(self, crawl: Crawl, url: str, depth: int) -> list[Item]:
        """Look at one address, and say what follows."""
        known = crawl.pages.get(url, Known(NOTHING, depth))
        try:
            if not await self._robots.allows(url):
                if url in crawl.starts:
                    raise ConfigError(_forbidden(url))
                return self._nothing(crawl, url, Known(NOTHING, depth))
            visit = await look(self._visitor, url, known.headers())
        except RetryableError as error:
            return self._ill_server(crawl, url, depth, error)
        except (EntityError, CredentialsError) as error:
            return self._refused(crawl, url, depth, error)
        self._ill = 0
        return await self._found(crawl, visit, depth)

    async def _found(self, crawl: Crawl, visit: Visit, depth: int) -> list[Item]:
        if visit.is_same:
            return _same(crawl, visit.url)
        if visit.target is not None:
            return self._elsewhere(crawl, visit, visit.target, depth)
        if visit.page is not None:
            return await self._page(crawl, visit, visit.page, depth)
        if visit.is_document and self._config.read_documents:
            return self._keep(crawl, visit, FILE, depth)
        return self._nothing(crawl, visit.url, visit.known(NOTHING, depth))

    async def _page(
        self, crawl: Crawl, visit: Visit, page: Page, depth: int
    ) -> list[Item]:
        url, found = visit.url, list[Item]()
        canonical = page.canonical
        if canonical not in {None, url} and crawl.territory.holds(str(canonical)):
            found += await self._canonical(crawl, str(canonical), depth)
        for link in page.links:
            crawl.add(link, depth + 1)
        is_alias = canonical not in {None, url} and crawl.keeps(str(canonical))
        if is_alias or not page.is_indexed or not crawl.territory.wants(url):
            return found + self._nothing(crawl, url, visit.known(NOTHING, depth))
        return found + self._keep(crawl, visit, PAGE, depth)

    async def _canonical(self, crawl: Crawl, url: str, depth: int) -> list[Item]:
        """See whether the page is there that another one calls the right one.

        That page's own wish for a third one does not count.
        """
        if url in crawl.pages or url in crawl.done or not crawl.has_room_for(url):
            return []
        try:
            if not await self._robots.allows(url):
                return []
            visit = await look(self._visitor, url, {})
        except (EntityError, CredentialsError, RetryableError):
            return []
        page = visit.page
        if page is None or not page.is_indexed:
            return []
        for link in page.links:
            crawl.add(link, depth + 1)
        return self._keep(crawl, visit, PAGE, depth)

    def _keep(self, crawl: Crawl, visit: Visit, kind: str, depth: int) -> list[Item]:
        url, item = visit.url, self._item(visit)
        before = crawl.record(url, visit.known(kind, depth))
        gone = _deleted(url, before) if before != kind else []
        return [*gone, *([item] if item is not None else [])]

    def _item(self, visit: Visit) -> Upsert | Failure | None:
        if visit.page is not None:
            return page_item(visit, visit.page) if visit.page.is_indexed else None
        if visit.is_document:
            most = self._config.max_file_mb
            return document_item(self._visitor, visit, max_mb=most)
        return None

    def _nothing(self, crawl: Crawl, url: str, known: Known) -> list[Item]:
        return _deleted(url, crawl.record(url, known))

    def _elsewhere(
        self, crawl: Crawl, visit: Visit, target: str, depth: int
    ) -> list[Item]:
        """What moved for good is there no more; what did not is only away."""
        if visit.url in crawl.starts:
            crawl.move_start(target)
        else:
            crawl.add(target, depth)
        if visit.is_moved:
            return self._nothing(crawl, visit.url, Known(NOTHING, depth))
        return _seen(visit.url, crawl.leave(visit.url, depth))

    def _refused(
        self, crawl: Crawl, url: str, depth: int, error: Exception
    ) -> list[Item]:
        """Tell what is gone from what is only not for us."""
        if url in crawl.starts and not isinstance(error, TooLargeError):
            raise ConfigError(_unusable(url, error)) from error
        self._ill = 0
        if isinstance(error, PrivateAddressError):
            return self._nothing(crawl, url, Known(NOTHING, depth))
        if isinstance(error, GoneError):
            crawl.miss(url, depth)
            return []
        crawl.has_gap = True
        before = crawl.leave(url, depth)
        if isinstance(error, TooLargeError):
            return [Failure(Ref(PAGE, url), str(error), FailureClass.PERMANENT)]
        return _seen(url, before)

    def _ill_server(
        self, crawl: Crawl, url: str, depth: int, error: RetryableError
    ) -> list[Item]:
        self._ill += 1
        if self._ill >= MOST_ILL or url in crawl.starts or error.after is not None:
            raise error
        crawl.has_gap = True
        return [Failure(Ref(crawl.leave(url, depth) or PAGE, url), str(error))]

    def _settled(self, crawl: Crawl) -> list[Item]:
        """Say what is gone, unless it is so much that the site may err."""
        lost = crawl.lost()
        if crawl.are_too_many(lost):
            return [
                Failure(
                    None,
                    f"{len(lost)} pages are not found any more, for example "
                    f"'{lost[0]}': a full listing has to agree before they go",
                )
            ]
        return [item for url in lost for item in _deleted(url, crawl.forget(url))]


def _same(crawl: Crawl, url: str) -> list[Item]:
    known = crawl.pages[url]
    return _seen(url, crawl.record(url, replace(known, misses=0)))


def _deleted(url: str, before: str) -> list[Item]:
    return [Delete(Ref(before, url))] if before else []


def _seen(url: str, before: str) -> list[Item]:
    return [Seen(Ref(before, url))] if before else []


def _forbidden(url: str) -> str:
    return f"The robots.txt of '{url}' does not let {ROBOT} in"


def _unusable(url: str, error: Exception) -> str:
    return f"'{url}' cannot be read: {error}"
