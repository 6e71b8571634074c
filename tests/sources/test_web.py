"""The web source on a real web server: nginx."""

import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import stamina
from tests.servers.web_servers import WebServer
from tests.sources.conftest import Connect

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, RetryableError
from wellhead.domain.items import Checkpoint, Delete, Failure, Item, ScopeEnd, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.sources.conformance import CHECKS
from wellhead.sources.connectors.web import WebSource
from wellhead.sources.surroundings import Surroundings

Make = Callable[..., WebSource]


class Free:
    """A limiter that lets everybody go at once."""

    async def turn(self) -> float:
        return 0.0

    async def hold(self, seconds: float) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def site(nginx: WebServer) -> WebServer:
    """Three pages, a document, and what is nobody's page."""
    found = nginx.site()
    found.page("/index.html", "The first page.", "guide/", "notes.txt", "logo.png")
    found.page("/guide/index.html", "How to begin.", "../", "more.html#part")
    found.page("/guide/more.html", "How to go on.", "/elsewhere/x.html", "#top")
    found.write("/notes.txt", "Plain content.")
    found.write("/logo.png", b"\x89PNG")
    return found


@pytest.fixture
async def source(site: WebServer) -> AsyncIterator[Make]:
    made: list[WebSource] = []

    def make(**config: Any) -> WebSource:
        given = {"start_urls": [site.url()], "include": [f"{site.part}/"], **config}
        around = Surroundings(allow_private=True, limiter=Free())
        made.append(WebSource.create(given, {}, around))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def read(
    one: WebSource,
    cursor: dict[str, Any] | None = None,
    items: list[Item] | None = None,
) -> list[Item]:
    """Return what is read; given a list, what came before an error is in it."""
    items = [] if items is None else items
    async for item in one.read(cursor):
        items.append(item)  # kept when it raises
    return items


def entities(site: WebServer, items: list[Item]) -> dict[str, Entity]:
    return {
        item.entity.source_id.removeprefix(site.url("")): item.entity
        for item in items
        if isinstance(item, Upsert)
    }


def cursor_of(items: list[Item]) -> dict[str, Any]:
    last = items[-1]
    assert isinstance(last, Checkpoint)
    return last.token


@pytest.mark.parametrize("check", CHECKS)
async def test_the_web_source_conforms(source: Make, check: str) -> None:
    assert await CHECKS[check](source) == []


async def test_pages_are_read_with_their_headings_and_without_menus(
    site: WebServer, source: Make
) -> None:
    items = await read(source())
    found = entities(site, items)

    assert set(found) == {"/", "/guide/", "/guide/more.html", "/notes.txt"}
    more = found["/guide/more.html"]
    assert more.name == "About /guide/more.html"
    assert more.text is not None
    assert "# Heading of /guide/more.html" in more.text
    assert "How to go on." in more.text
    assert "to #top" not in more.text
    assert "All rights reserved" not in more.text
    assert more.url == site.url("/guide/more.html")
    assert [step.name for step in more.breadcrumbs][1:] == [
        site.part.strip("/"),
        "guide",
    ]
    assert items[-2] == ScopeEnd(complete=True)
    notes = found["/notes.txt"]
    assert notes.blob is not None
    assert notes.blob.size == len("Plain content.")
    assert not any(path == "/logo.png" for path, _ in site.asked())


async def test_a_second_job_costs_a_304_for_each_page_and_finds_what_changed(
    site: WebServer, connect: Connect
) -> None:
    config = {"start_urls": [site.url()], "include": [f"{site.part}/"]}
    bench = await connect("web", config, {})
    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    assert (first.counts.inserted, first.counts.failed) == (4, 0)

    site.asked()
    second = await bench.sync()
    assert second.status is JobStatus.COMPLETED, second.error
    assert (second.counts.inserted, second.counts.updated) == (0, 0)
    statuses = [status for path, status in site.asked() if "robots" not in path]
    assert statuses == [304] * 4

    site.page("/guide/index.html", "How to begin anew.", "new.html")
    site.page("/guide/new.html", "What is new.")
    site.remove("/notes.txt")
    third = await bench.sync()
    assert third.status is JobStatus.COMPLETED, third.error
    counts = third.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 1)
    shown = await bench.world()
    assert site.url("/notes.txt") not in shown
    assert "begin anew" in shown[site.url("/guide/")]
    # no page leads to it any more, but it is still there
    assert site.url("/guide/more.html") in shown


async def test_what_robots_txt_forbids_is_not_visited(
    site: WebServer, nginx: WebServer, source: Make
) -> None:
    rules = f"User-agent: *\nDisallow: {site.part}/*more\nCrawl-delay: 0\n"
    nginx.write("/robots.txt", rules)
    try:
        site.asked()
        found = entities(site, await read(source()))
        asked = {path for path, _ in site.asked()}
        nginx.write("/robots.txt", f"User-agent: Wellhead\nDisallow: {site.part}\n")
        with pytest.raises(ConfigError, match=r"robots\.txt of .* does not let"):
            await source().check()
        with pytest.raises(ConfigError, match=r"robots\.txt of .* does not let"):
            await read(source())
    finally:
        nginx.remove("/robots.txt")

    assert "/guide/" in found
    assert "/guide/more.html" not in asked


async def test_a_packed_sitemap_of_sitemaps_names_pages_that_nothing_leads_to(
    site: WebServer, source: Make
) -> None:
    def listing(kind: str, of: str, *places: str) -> str:
        found = "".join(f"<{of}><loc>{site.url(one)}</loc></{of}>" for one in places)
        space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        return f'<?xml version="1.0"?><{kind} {space}>{found}</{kind}>'

    site.page("/alone.html", "Nothing leads here.")
    site.write("/plain.txt", f"{site.url('/guide/more.html')}\n")
    pages = listing("urlset", "url", "/alone.html", "/no-such.html")
    site.write("/pages.xml.gz", gzip.compress(pages.encode()))
    index = listing(
        "sitemapindex", "sitemap", "/pages.xml.gz", "/plain.txt", "/all.xml"
    )
    site.write("/all.xml", index)
    one = source(start_urls=[], sitemaps=[site.url("/all.xml")], max_depth=0)
    await one.check()
    items = await read(one)

    assert set(entities(site, items)) == {"/alone.html", "/guide/more.html"}
    assert items[-2] == ScopeEnd(complete=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<html><body>Not found, politely</body></html>", "no sitemap, but <html>"),
        ("<urlset><url><loc>", "is not XML"),
        (b"\x1f\x8b\x08\x00broken", "cannot be unpacked|breaks off"),
        (gzip.compress(b"<urlset></urlset>", mtime=0)[:-9], "breaks off"),
    ],
)
async def test_what_is_no_sitemap_is_said(
    site: WebServer, source: Make, content: str | bytes, told: str
) -> None:
    site.write("/sitemap.xml", content)
    one = source(sitemaps=[site.url("/sitemap.xml")])

    with pytest.raises(ConfigError, match=told):
        await one.check()
    items = await read(one)
    [gap] = [item for item in items if isinstance(item, Failure)]
    assert gap.ref is None
    assert "sitemap cannot be read" in gap.reason
    assert "/guide/" in entities(site, items)


async def test_depth_number_and_patterns_bound_what_is_read(
    site: WebServer, source: Make
) -> None:
    near = await read(source(max_depth=1))
    assert set(entities(site, near)) == {"/", "/guide/", "/notes.txt"}
    assert near[-2] == ScopeEnd(complete=True)

    few = await read(source(max_pages=2))
    assert set(entities(site, few)) == {"/", "/guide/"}
    assert few[-2] == ScopeEnd(complete=False)

    chosen = await read(source(exclude=["more.*"], read_documents=False))
    assert set(entities(site, chosen)) == {"/", "/guide/"}

    # the start page is looked at for links only
    guide = await read(source(include=[f"{site.part}/guide/"]))
    assert set(entities(site, guide)) == {"/guide/", "/guide/more.html"}


async def test_pages_that_moved_are_kept_once_at_their_new_place(
    site: WebServer, source: Make
) -> None:
    site.page("/index.html", "All ways.", "moved/new.html", "away/new.html")
    site.page("/new.html", "The one place.")
    items = await read(source(start_urls=[site.url("/moved/index.html")]))

    assert set(entities(site, items)) == {"/index.html", "/new.html"}


async def test_a_page_has_one_entity_at_its_canonical_address(
    site: WebServer, source: Make
) -> None:
    rel = '<link rel="canonical" href="{}">'
    site.page(
        "/index.html", "All.", "a.html?print=1", "a.html?utm_source=mail", "lost.html"
    )
    site.page("/a.html", "The page.", head=rel.format("a.html"))
    site.page("/lost.html", "Its twin is gone.", head=rel.format("never.html"))
    found = entities(site, await read(source()))

    assert set(found) == {"/", "/a.html", "/lost.html"}


async def test_wishes_of_a_page_are_kept_to(site: WebServer, source: Make) -> None:
    hidden = '<meta name="robots" content="noindex">'
    shut = '<meta name="robots" content="nofollow">'
    site.page("/index.html", "All.", "hidden.html", "shut.html")
    site.page("/hidden.html", "Not to be kept.", "behind.html", head=hidden)
    site.page("/behind.html", "Behind it.")
    site.page("/shut.html", "Leads nowhere.", "guide/", head=shut)
    found = entities(site, await read(source()))

    assert set(found) == {"/", "/behind.html", "/shut.html"}


async def test_a_page_that_refuses_us_is_not_taken_for_gone(
    site: WebServer, source: Make
) -> None:
    site.page("/index.html", "All.", "closed/x.html", "guide/", "gone.html", "no.html")
    first = await read(source())
    assert first[-2] == ScopeEnd(complete=False)
    assert not any(isinstance(item, Failure) for item in first)

    site.remove("/guide/index.html")  # the folder alone is refused: 403
    site.remove("/guide/more.html")
    second = await read(source(), cursor_of(first))
    gone = [item.ref.source_id for item in second if isinstance(item, Delete)]
    assert gone == [site.url("/guide/more.html")]


async def test_a_server_that_is_gone_deletes_nothing(
    site: WebServer, source: Make
) -> None:
    cursor = cursor_of(await read(source()))
    site.line.cut_after(0)
    items: list[Item] = []
    try:
        with pytest.raises(RetryableError, match="could not be asked"):
            await source().check()
        with pytest.raises(RetryableError):
            await read(source(), cursor, items)
    finally:
        site.line.mend()
    assert not any(isinstance(item, Delete | ScopeEnd) for item in items)


async def test_a_start_page_that_is_not_there_is_named(
    site: WebServer, source: Make
) -> None:
    one = source(start_urls=[site.url("/no-such.html")])
    with pytest.raises(ConfigError, match=r"no-such\.html' cannot be read: .* 404"):
        await one.check()
    with pytest.raises(ConfigError, match=r"no-such\.html' cannot be read: .* 404"):
        await read(one)


async def test_private_addresses_need_the_operators_leave(site: WebServer) -> None:
    one = WebSource.create({"start_urls": [site.url()]}, {})
    with pytest.raises(ConfigError, match="WELLHEAD_SOURCES_ALLOW_PRIVATE=true"):
        await one.check()
    with pytest.raises(ConfigError, match="WELLHEAD_SOURCES_ALLOW_PRIVATE=true"):
        await read(one)
    await one.close()
    assert site.asked() == []


async def test_it_says_who_it_is(site: WebServer, source: Make) -> None:
    await read(source())
    log = (site.folder / "access.log").read_text().splitlines()

    assert '"Wellhead/' in log[-1]
    assert "(+https://" in log[-1]
