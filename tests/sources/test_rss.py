"""Feeds on a real web server: nginx."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import stamina
from pydantic import ValidationError
from tests.servers.web_servers import WebServer
from tests.sources.conftest import Connect

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CursorInvalidError, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    Upsert,
)
from wellhead.domain.jobs import JobStatus
from wellhead.sources.conformance import CHECKS
from wellhead.sources.connectors.rss import RSSSource
from wellhead.sources.connectors.rss.feed import read_feed
from wellhead.sources.surroundings import Surroundings

Make = Callable[..., RSSSource]


def rss(*entries: str, title: str = "News") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"'
        ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>{title}</title>{''.join(entries)}</channel></rss>"
    )


def entry(number: int, text: str = "content") -> str:
    return (
        f"<item><title>Entry {number}</title><guid isPermaLink='false'>id-{number}"
        f"</guid><link>https://news.example/{number}</link>"
        f"<description>&lt;p&gt;The {text} of {number}&lt;/p&gt;</description>"
        "<pubDate>Mon, 12 Jan 2026 10:00:00 +0100</pubDate></item>"
    )


ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">
<title>Journal</title><id>urn:journal</id><updated>2026-01-01T00:00:00Z</updated>
<entry><id>urn:1</id><title type="html">A &lt;b&gt;bold&lt;/b&gt; one
</title><link href="/posts/1"/><published>2026-01-02T03:04:05Z</published>
<updated>2026-02-02T03:04:05+02:00</updated><author><name>Ada</name></author>
<category term="rivers"/><summary>Short.</summary>
<content type="html">&lt;h2&gt;Part&lt;/h2&gt;&lt;p&gt;The whole content.&lt;/p&gt;
</content></entry></feed>"""


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def site(nginx: WebServer) -> WebServer:
    found = nginx.site()
    found.write("/feeds/news", rss(entry(2), entry(1)))
    found.write("/feeds/journal", ATOM)
    return found


@pytest.fixture
async def source(site: WebServer) -> AsyncIterator[Make]:
    made: list[RSSSource] = []

    def make(*paths: str) -> RSSSource:
        urls = [site.url(one) for one in paths or ("/feeds/news", "/feeds/journal")]
        around = Surroundings(allow_private=True)
        made.append(RSSSource.create({"urls": urls}, {}, around))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def read(one: RSSSource, cursor: dict[str, Any] | None = None) -> list[Item]:
    return [item async for item in one.read(cursor)]


def entities(items: list[Item]) -> dict[str, Entity]:
    found = [item.entity for item in items if isinstance(item, Upsert)]
    return {entity.source_id.partition(" ")[2]: entity for entity in found}


def cursor_of(items: list[Item]) -> dict[str, Any]:
    last = items[-1]
    assert isinstance(last, Checkpoint)
    return last.token


async def text_of(entity: Entity) -> str:
    assert entity.blob is not None
    path = await asyncio.to_thread(entity.blob.open)
    return path.read_text()


@pytest.mark.parametrize("check", CHECKS)
async def test_the_feeds_source_conforms(source: Make, check: str) -> None:
    assert await CHECKS[check](source) == []


async def test_entries_of_rss_and_atom_say_who_wrote_what_and_when(
    site: WebServer, source: Make
) -> None:
    found = entities(await read(source()))

    assert set(found) == {"id-2", "id-1", "urn:1"}
    first, post = found["id-1"], found["urn:1"]
    assert (first.name, first.url) == ("Entry 1", "https://news.example/1")
    assert str(first.created_at) == "2026-01-12 09:00:00+00:00"
    assert [step.name for step in first.breadcrumbs] == ["News"]
    assert "<p>The content of 1</p>" in await text_of(first)
    assert post.name == "A bold one"
    assert post.url == site.url("/posts/1").replace(site.part, "")
    assert str(post.created_at) == "2026-01-02 03:04:05+00:00"
    assert str(post.updated_at) == "2026-02-02 01:04:05+00:00"
    assert (post.raw["author"], post.raw["tags"]) == ("Ada", ["rivers"])
    text = await text_of(post)
    assert "<h2>Part</h2>" in text
    assert "Short." not in text


async def test_what_leaves_a_feed_is_kept_and_what_changes_is_updated(
    site: WebServer, connect: Connect
) -> None:
    urls = [site.url("/feeds/news"), site.url("/feeds/journal")]
    bench = await connect("rss", {"urls": urls}, {})
    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    assert (first.counts.inserted, first.counts.failed) == (3, 0)

    site.asked()
    second = await bench.sync()
    assert [status for _, status in site.asked()] == [304, 304]
    assert (second.counts.inserted, second.counts.updated) == (0, 0)

    site.write("/feeds/news", rss(entry(3), entry(2, "other content")))
    third = await bench.sync()
    counts = third.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 0)
    full = await bench.sync(force_full=True)
    assert full.status is JobStatus.COMPLETED, full.error
    assert full.counts.deleted == 0
    shown = await bench.world()
    assert {one.partition(" ")[2] for one in shown} == {"id-1", "id-2", "id-3", "urn:1"}
    assert "other content" in shown[f"{urls[0]} id-2"]

    # a feed that is not read any more takes its entries with it
    await bench.configure("rss", urls=urls[:1])
    fourth = await bench.sync()
    assert fourth.status is JobStatus.COMPLETED, fourth.error
    assert fourth.counts.deleted == 1
    assert {one.partition(" ")[2] for one in await bench.world()} == {
        "id-1",
        "id-2",
        "id-3",
    }


async def test_broken_xml_keeps_what_is_whole_and_says_so(
    site: WebServer, source: Make
) -> None:
    whole = rss(entry(3), entry(2), entry(1))
    site.write("/feeds/news", whole[: whole.index("of 1")])
    items = await read(source())

    assert set(entities(items)) == {"id-3", "id-2", "urn:1"}
    [gap] = [item for item in items if isinstance(item, Failure)]
    assert gap.ref is None
    assert "cut short: its XML is broken" in gap.reason
    assert site.url("/feeds/news") not in [
        url for url, marks in cursor_of(items)["seen"].items() if marks
    ]


async def test_one_dead_feed_does_not_stop_the_others(
    site: WebServer, source: Make
) -> None:
    items = await read(source("/feeds/none", "/feeds/news", "/gone.xml", "/closed/x"))

    assert set(entities(items)) == {"id-2", "id-1"}
    reasons = [item.reason for item in items if isinstance(item, Failure)]
    assert [one.rpartition("answered ")[2][:3] for one in reasons] == [
        "404",
        "410",
        "403",
    ]
    assert items[-2] == ScopeEnd(complete=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no feed"),
        ("{}", "is no feed"),
        ("<urlset/>", "is no feed"),
        (
            '<html><link rel="alternate" type="application/atom+xml" href="/f">',
            r"is a web page; its feed is at 'http://127.0.0.1:\d+/f'",
        ),
    ],
)
async def test_what_is_no_feed_is_said(
    site: WebServer, source: Make, content: str, told: str
) -> None:
    site.write("/feeds/odd", content)

    with pytest.raises(ConfigError, match=told):
        await source("/feeds/odd").check()
    with pytest.raises(ConfigError, match=told):
        await read(source("/feeds/odd"))


async def test_a_feed_that_is_not_there_is_named(source: Make) -> None:
    with pytest.raises(ConfigError, match=r"feeds/none' cannot be read: .* 404"):
        await read(source("/feeds/none"))


async def test_a_server_that_is_gone_may_be_asked_again(
    site: WebServer, source: Make
) -> None:
    site.line.cut_after(0)
    try:
        with pytest.raises(RetryableError, match="could not be asked"):
            await source("/feeds/news").check()
        with pytest.raises(RetryableError, match="could not be asked"):
            await read(source("/feeds/news"))
    finally:
        site.line.mend()


async def test_an_entry_that_has_left_its_feed_is_not_said_to_be_gone(
    site: WebServer, source: Make
) -> None:
    feed = site.url("/feeds/news")
    refs = [Ref("FeedEntry", f"{feed} id-{number}") for number in (1, 7)]
    there, left = [item async for item in source().fetch(refs)]

    assert isinstance(there, Upsert)
    assert isinstance(left, Failure)


async def test_other_feeds_begin_anew(source: Make) -> None:
    cursor = cursor_of(await read(source()))

    with pytest.raises(CursorInvalidError):
        await read(source("/feeds/news"), cursor)


async def test_private_addresses_need_the_operators_leave(site: WebServer) -> None:
    one = RSSSource.create({"urls": [site.url("/feeds/news")]}, {})
    with pytest.raises(ConfigError, match="WELLHEAD_SOURCES_ALLOW_PRIVATE=true"):
        await read(one)
    await one.close()


def odd(body: str | bytes) -> dict[str, Entity]:
    data = body if isinstance(body, bytes) else body.encode()
    found = read_feed(data, "https://h.example/feed", "application/xml")
    return entities([Upsert(one) for one in found.entries])


def test_entries_without_an_id_are_told_apart() -> None:
    found = odd(
        rss(
            "<item><title>One</title><link>https://h.example/1</link></item>",
            "<item><title>Two</title></item>",
            "<item><description>Three</description></item>",
            "<item/>",
        )
    )
    assert [one.name for one in found.values()][:3] == ["One", "Two", "Three"]
    assert len(found) == 4
    assert all(one.name for one in found.values())


def test_a_title_is_text_or_markup_as_its_feed_says() -> None:
    plain = ATOM.replace('type="html">A &lt;b&gt;', 'type="text">2 &lt; 3 &gt; 1, ')
    assert odd(plain)["urn:1"].name == "2 < 3 > 1, bold</b> one"
    named = rss(entry(1).replace("Entry 1", "Q &amp;amp; A: 1 &amp;lt; 2"))
    assert odd(named)["id-1"].name == "Q & A: 1 < 2"


def test_of_two_entries_with_one_id_the_first_counts() -> None:
    found = odd(rss(entry(1, "newer"), entry(1, "older"), entry(2)))
    assert set(found) == {"id-1", "id-2"}


@pytest.mark.parametrize(
    "body",
    [
        rss(entry(1)).replace("utf-8", "iso-8859-1").encode("latin-1"),
        rss(entry(1)).replace("utf-8", "no-such-charset").encode(),
        b"\n\n" + rss(entry(1)).encode(),
        rss(entry(1)).replace("12 Jan 2026 10:00", "99 Foo 0000 77:77").encode(),
        rss(entry(1)).replace("<link>", "<link>javascript:").encode(),
    ],
)
def test_odd_feeds_are_read_as_well_as_they_can_be(body: bytes) -> None:
    assert [*odd(body)] == ["id-1"] or b"\n\n" in body


def test_scripts_of_an_entry_are_left_out() -> None:
    text = "&lt;script&gt;steal()&lt;/script&gt;&lt;p onclick='x()'&gt;good&lt;/p&gt;"
    [found] = odd(rss(entry(1, text))).values()
    assert found.blob is not None
    page = found.blob.open().read_text()
    assert "good" in page
    assert "steal" not in page
    assert "onclick" not in page


def test_a_bomb_of_entities_does_not_go_off() -> None:
    levels = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">'
        for n in range(12)
    )
    bomb = f"<!DOCTYPE rss [{levels}]>" + rss(entry(1, "&l11;")).partition("?>")[2]
    found = odd(bomb)
    assert sum(one.blob.size for one in found.values() if one.blob) < 100_000


def test_an_external_entity_is_not_read() -> None:
    outer = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    found = odd(outer + rss(entry(1, "&x;")).partition("?>")[2])
    for one in found.values():
        assert one.blob is not None
        assert "root:" not in one.blob.open().read_text()


@pytest.mark.parametrize(
    ("urls", "told"),
    [([], "at least 1"), (["news.example/feed"], "must begin with https")],
)
def test_a_config_is_refused_with_a_reason(urls: list[str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RSSSource.create({"urls": urls}, {})
