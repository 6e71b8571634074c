"""What web sites do that a server of files never does: traps, outages, odd pages."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import stamina
from pydantic import ValidationError

from wellhead.domain.errors import ConfigError, CursorInvalidError, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    Seen,
    Upsert,
)
from wellhead.sources.connectors.web import WebSource
from wellhead.sources.open_web import PrivateAddressError, decode, normal
from wellhead.sources.open_web.transport import OpenTransport
from wellhead.sources.surroundings import Surroundings
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer

HOME = "https://site.example/"


def page(*links: str, text: str = "Words.", **headers: str) -> httpx.Response:
    anchors = "".join(f'<a href="{one}">on</a>' for one in links)
    body = f"<html><body><h1>Page</h1><p>{text}</p>{anchors}</body></html>"
    return httpx.Response(200, html=body, headers=headers)


class Free:
    async def turn(self) -> float:
        return 0.0

    async def hold(self, seconds: float) -> None:
        pass


class Site:
    """Answers by address; whatever has no answer of its own is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.transport: httpx.AsyncBaseTransport | None = None

    def respond(self, request: httpx.Request) -> Reply:
        url = str(request.url.copy_with(scheme="https", port=None))
        host = request.headers["host"]
        url = f"https://{host}{request.url.raw_path.decode()}"
        self.asked.append(url)
        found = self.answers.get(url.partition("?")[0], httpx.Response(404))
        return Reply(found(request) if callable(found) else found)

    def source(self, **config: Any) -> WebSource:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        around = Surroundings(transport=self.transport, limiter=Free(), sleep=sleep)
        return WebSource.create({"start_urls": [HOME], **config}, {}, around)

    async def read(
        self, cursor: dict[str, Any] | None = None, **config: Any
    ) -> list[Item]:
        one = self.source(**config)
        try:
            return [item async for item in one.read(cursor)]
        finally:
            await one.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    with stamina.set_testing(True, attempts=2):
        async with VendorServer(found.respond) as server:
            found.transport = server.transport
            yield found


def urls(items: Sequence[Item]) -> list[str]:
    found = [item.entity.source_id for item in items if isinstance(item, Upsert)]
    return [one.removeprefix(HOME) for one in found]


def cursor_of(items: Sequence[Item]) -> dict[str, Any]:
    last = items[-1]
    assert isinstance(last, Checkpoint)
    return last.token


async def test_a_calendar_without_end_is_left_after_a_while(site: Site) -> None:
    def day(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("day", "0"))
        return page(*(f"?day={number * 30 + n}" for n in range(30)), "../about")

    site.answers[HOME] = page("calendar?day=1", "about")
    site.answers[f"{HOME}calendar"] = day
    site.answers[f"{HOME}about"] = page()
    items = await site.read(max_depth=100, max_pages=50_000)

    assert "about" in urls(items)
    assert len(site.asked) < 500


async def test_a_maze_of_paths_is_bounded_by_the_number_of_pages(site: Site) -> None:
    class Maze(dict[str, httpx.Response]):
        def get(self, url: str, default: Any = None) -> httpx.Response:
            if url.endswith("robots.txt"):
                return httpx.Response(404)
            end = f"{len(site.asked):x}"
            return page(*(f"{end}-{n}/" for n in range(50)))

    site.answers = Maze()
    items = await site.read(max_pages=30)

    assert len(urls(items)) == 30
    assert items[-2] == ScopeEnd(complete=False)
    assert len(site.asked) < 40


async def test_a_loop_that_repeats_a_part_of_the_path_ends(site: Site) -> None:
    class Loop(dict[str, httpx.Response]):
        def get(self, url: str, default: Any = None) -> httpx.Response:
            return httpx.Response(404) if "robots" in url else page("a/b/")

    site.answers = Loop()
    items = await site.read(max_depth=100)

    assert urls(items) == ["", "a/b/", "a/b/a/b/", "a/b/a/b/a/b/"]
    assert items[-2] == ScopeEnd(complete=True)


async def test_session_ids_and_campaigns_make_no_second_page(site: Site) -> None:
    def first(request: httpx.Request) -> httpx.Response:
        ident = len(site.asked)
        return page(
            f"a?PHPSESSID={ident}&id=7", f"a;jsessionid={ident}?id=7", "a?id=7&utm_x=1"
        )

    site.answers = {HOME: first, f"{HOME}a": page("/?gclid=1")}

    assert urls(await site.read()) == ["", "a?id=7"]


async def test_redirects_that_go_round_end(site: Site) -> None:
    def to(place: str, status: int = 302) -> httpx.Response:
        return httpx.Response(status, headers={"location": place})

    site.answers = {
        HOME: page("a", "self", "nowhere"),
        f"{HOME}a": to("b"),
        f"{HOME}b": to("a", 301),
        f"{HOME}self": to("self"),
        f"{HOME}nowhere": to(""),
    }

    assert urls(await site.read()) == [""]
    site.answers[HOME] = to("/a")
    with pytest.raises(ConfigError, match="redirects more than"):
        await site.source().check()


async def test_a_site_on_another_name_is_followed_there(site: Site) -> None:
    moved = httpx.Response(301, headers={"location": "https://www.site.example/"})
    site.answers = {
        HOME: moved,
        "https://www.site.example/": page("/a", "https://other.example/"),
        "https://www.site.example/a": page(),
        "https://other.example/": page(),
    }
    items = await site.read()

    assert urls(items) == ["https://www.site.example/", "https://www.site.example/a"]
    assert not any("other" in one for one in site.asked)


async def test_further_hosts_are_read_if_they_are_named(site: Site) -> None:
    site.answers = {
        HOME: page("https://docs.site.example/", "https://evilsite.example/"),
        "https://docs.site.example/": page(),
        "https://evilsite.example/": page(),
    }
    items = await site.read(hosts=["*.site.example"])

    assert urls(items) == ["", "https://docs.site.example/"]


async def test_one_ill_page_fails_alone_and_its_site_is_not_listed_whole(
    site: Site,
) -> None:
    site.answers = {HOME: page("ill", "well"), f"{HOME}well": page(ETag='"1"')}
    site.answers[f"{HOME}ill"] = httpx.Response(500)
    first = await site.read()

    assert urls(first) == ["", "well"]
    [failure] = [item for item in first if isinstance(item, Failure)]
    assert failure.ref == Ref("WebPage", f"{HOME}ill")
    assert first[-2] == ScopeEnd(complete=False)

    # later: what was there is ill now, and stays
    site.answers[f"{HOME}well"] = httpx.Response(503)
    second = await site.read(cursor_of(first))
    assert not any(isinstance(item, Delete) for item in second)
    site.answers[f"{HOME}well"] = httpx.Response(304)
    third = await site.read(cursor_of(second))
    assert Seen(Ref("WebPage", f"{HOME}well")) in third


async def test_an_outage_ends_the_job_and_deletes_nothing(site: Site) -> None:
    names = [f"p{n}" for n in range(20)]
    site.answers = {HOME: page(*names)} | {f"{HOME}{one}": page() for one in names}
    cursor = cursor_of(await site.read())
    site.answers |= {f"{HOME}{one}": httpx.Response(502) for one in names}

    with pytest.raises(RetryableError, match="502"):
        await site.read(cursor)


async def test_a_page_that_comes_back_is_found_again(site: Site) -> None:
    site.answers = {HOME: page("a", ETag='"same"'), f"{HOME}a": page()}
    first = await site.read()
    site.answers[HOME] = httpx.Response(304)
    site.answers[f"{HOME}a"] = httpx.Response(404)
    second = await site.read(cursor_of(first))
    assert Delete(Ref("WebPage", f"{HOME}a")) in second

    site.answers[f"{HOME}a"] = page()
    third = await site.read(cursor_of(second))
    assert urls(third) == ["a"]


async def test_many_pages_at_once_need_a_full_listing_to_go(site: Site) -> None:
    names = [f"p{n}" for n in range(150)]
    site.answers = {HOME: page(*names)} | {f"{HOME}{one}": page() for one in names}
    first = await site.read()
    assert len(urls(first)) == 151
    site.answers = {HOME: page()}
    second = await site.read(cursor_of(first))

    assert not any(isinstance(item, Delete) for item in second)
    [gap] = [item for item in second if isinstance(item, Failure)]
    assert gap.ref is None
    assert "150 pages are not found any more" in gap.reason


async def test_what_is_no_page_any_more_goes(site: Site) -> None:
    names = ("moved", "hidden", "picture", "pdf", "away")
    site.answers = {HOME: page(*names, ETag='"1"')}
    site.answers |= {f"{HOME}{one}": page() for one in names}
    cursor = cursor_of(await site.read())
    site.answers = {
        HOME: httpx.Response(304),
        f"{HOME}moved": httpx.Response(308, headers={"location": "/"}),
        f"{HOME}hidden": page(**{"X-Robots-Tag": "noindex"}),
        f"{HOME}picture": httpx.Response(200, headers={"content-type": "image/png"}),
        f"{HOME}pdf": httpx.Response(200, headers={"content-type": "application/pdf"}),
        f"{HOME}away": httpx.Response(302, headers={"location": "/login"}),
    }
    items = await site.read(cursor)

    gone = [item.ref.source_id for item in items if isinstance(item, Delete)]
    assert sorted(one.removeprefix(HOME) for one in gone) == [
        "hidden",
        "moved",
        "pdf",
        "picture",
    ]
    [document] = [item.entity for item in items if isinstance(item, Upsert)]
    assert (document.type, document.source_id) == ("File", f"{HOME}pdf")
    assert Seen(Ref("WebPage", f"{HOME}away")) in items


async def test_a_read_goes_on_from_each_checkpoint(site: Site) -> None:
    class Tree(dict[str, httpx.Response]):
        def get(self, url: str, default: Any = None) -> httpx.Response:
            place = url.removeprefix(HOME).strip("/")
            if len(place) > 6 or "robots" in url:
                return httpx.Response(404)
            return page(*(f"/{place}{digit}" for digit in "abc"))

    site.answers = Tree()
    items = await site.read(max_depth=4)
    everything = set(urls(items))
    assert len(everything) == 121
    tokens = [one.token for one in items[:-1] if isinstance(one, Checkpoint)]
    assert tokens
    for token in tokens:
        place = items.index(Checkpoint(token))
        rest = await site.read(token, max_depth=4)
        assert {*urls(items[:place]), *urls(rest)} == everything
        assert rest[-2] == ScopeEnd(complete=True)
        assert set(cursor_of(rest)["pages"]) == set(cursor_of(items)["pages"])


async def test_other_choices_begin_anew(site: Site) -> None:
    site.answers = {HOME: page()}
    cursor = cursor_of(await site.read())

    with pytest.raises(CursorInvalidError):
        await site.read(cursor, exclude=["blog/"])


async def test_a_server_without_robots_txt_is_not_entered_while_it_is_ill(
    site: Site,
) -> None:
    site.answers = {HOME: page(), f"{HOME}robots.txt": httpx.Response(503)}

    with pytest.raises(RetryableError, match=r"503 to GET /robots\.txt"):
        await site.read()
    assert HOME not in site.asked


async def test_the_pace_that_a_site_asks_for_is_kept(site: Site) -> None:
    rules = "User-agent: *\nCrawl-delay: 7\n"
    site.answers = {HOME: page("a", "b"), f"{HOME}robots.txt": page()}
    site.answers |= {f"{HOME}a": page(), f"{HOME}b": page()}
    site.answers[f"{HOME}robots.txt"] = httpx.Response(200, text=rules)
    await site.read()
    assert [round(one) for one in site.slept] == [7, 14]  # the test's clock stands

    site.slept.clear()
    await site.source().check()
    assert site.slept == []


async def test_a_busy_site_is_waited_for(site: Site) -> None:
    busy = [httpx.Response(429, headers={"retry-after": "9"}), page()]
    site.answers = {HOME: lambda _: busy.pop(0)}

    assert urls(await site.read()) == [""]
    assert 9 in site.slept


async def test_single_pages_are_fetched_anew(site: Site) -> None:
    site.answers = {
        HOME: page(),
        f"{HOME}moved": httpx.Response(301, headers={"location": "/"}),
        f"{HOME}closed": httpx.Response(403),
    }
    one = site.source()
    refs = [Ref("WebPage", f"{HOME}{name}") for name in ("", "gone", "moved", "closed")]
    there, gone, moved, closed = [item async for item in one.fetch(refs)]
    await one.close()

    assert isinstance(there, Upsert)
    assert gone == Delete(refs[1])
    assert moved == Delete(refs[2])
    assert isinstance(closed, Failure)
    assert closed.ref == refs[3]


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        ("Grüße".encode(), "text/html", "Grüße"),
        ("Grüße".encode("latin-1"), "text/html; charset=ISO-8859-1", "Grüße"),
        ("“so”".encode("cp1252"), "text/html; charset=iso-8859-1", "“so”"),
        ('<meta charset="koi8-r">Привет'.encode("koi8-r"), "text/html", "Привет"),
        ("Grüße".encode("utf-16"), "text/html", "Grüße"),
        ("Grüße".encode(), "text/html; charset=nonsense", "Grüße"),
        ("Grüße".encode("latin-1"), "text/html; charset=utf-8", "Grüße"),
        (b"caf\xe9 \x81", "text/html", "café \ufffd"),
    ],
)
def test_text_is_read_as_it_is_meant(body: bytes, content_type: str, told: str) -> None:
    assert told in decode(body, content_type)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("../a b?q=ü#part", "https://h.example/x/a%20b?q=%C3%BC"),
        ("HTTPS://H.Example:443/%7Eme", "https://h.example/%7Eme"),
        ("//other.example", "https://other.example/"),
        ("http://bücher.example:8080/", "http://xn--bcher-kva.example:8080/"),
        ("/a\n b", "https://h.example/a%20b"),
        ("mailto:me@h.example", None),
        ("javascript:void(0)", None),
        ("https://user:pw@h.example/", None),
        ("http://[broken/", None),
        ("/" + "x" * 2_000, None),
    ],
)
def test_an_address_has_one_spelling(address: str, told: str | None) -> None:
    assert normal(address, "https://h.example/x/y/") == told


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "\x00\x01",
        "<p>" * 50_000,
        "<a href='x'>" * 20_000,
        "<!-- never closed",
        '<?xml version="1.0" encoding="utf-16"?><html><body>x</body></html>',
    ],
)
async def test_pages_that_are_none_are_still_read(site: Site, body: str) -> None:
    site.answers[HOME] = httpx.Response(200, html=body)
    items = await site.read(max_pages=1)

    assert urls(items) == [""]
    assert [item for item in items if isinstance(item, Failure)] == []


async def test_too_large_a_page_fails_for_good(site: Site) -> None:
    large = httpx.Response(200, html="x" * (11 * 2**20))
    site.answers = {HOME: page("large"), f"{HOME}large": large}
    items = await site.read()

    [failure] = [item for item in items if isinstance(item, Failure)]
    assert failure.ref == Ref("WebPage", f"{HOME}large")
    assert "larger than" in failure.reason


async def test_a_name_that_changes_its_meaning_gains_nothing() -> None:
    meanings = [["93.184.216.34", "10.0.0.1"], ["169.254.169.254"], []]

    async def lookup(host: str, port: int) -> Sequence[str]:
        return meanings.pop()

    transport = OpenTransport(allow_private=False, lookup=lookup)
    for url in (
        "http://inner.example/",
        "https://cloud.example/",
        "http://two.example",
    ):
        with pytest.raises(PrivateAddressError, match="is not on the internet"):
            await transport.handle_async_request(httpx.Request("GET", url))
    await transport.aclose()
    for url in ("http://127.0.0.1:9/", "http://[::1]/", "http://0x7f.1/"):
        transport = OpenTransport(allow_private=False)
        with pytest.raises(PrivateAddressError):
            await transport.handle_async_request(httpx.Request("GET", url))


async def test_a_redirect_into_the_own_network_is_not_followed(site: Site) -> None:
    class Inside(httpx.AsyncBaseTransport):
        """The open way to all but the site, which leads to the test's server."""

        def __init__(self, to_site: httpx.AsyncBaseTransport) -> None:
            self.to_site, self.open = to_site, OpenTransport(allow_private=False)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            is_site = request.url.host == "site.example"
            way = self.to_site if is_site else self.open
            return await way.handle_async_request(request)

    assert site.transport is not None
    site.transport = Inside(site.transport)
    inner = httpx.Response(302, headers={"location": "http://127.0.0.1:1/secret"})
    site.answers = {HOME: page("inner", "b"), f"{HOME}inner": inner, f"{HOME}b": page()}
    assert urls(await site.read(hosts=["127.0.0.1"])) == ["", "b"]

    site.answers[HOME] = inner
    with pytest.raises(ConfigError, match="not on the internet"):
        await site.read()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "name a start page or a sitemap"),
        ({"start_urls": ["site.example"]}, "must begin with https"),
        ({"start_urls": ["https://me:pw@site.example"]}, "must begin with https"),
        ({"start_urls": [HOME], "hosts": ["https://x"]}, "is no host"),
        ({"start_urls": [HOME], "max_pages": 0}, "greater than or equal to 1"),
    ],
)
def test_a_config_is_refused_with_a_reason(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        WebSource.create(config, {})
