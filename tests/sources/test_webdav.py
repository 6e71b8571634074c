"""What WebDAV servers say that a small one never does."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from tests.servers.scripted import Script, scripted

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, RetryableError
from wellhead.domain.items import Delete, Failure, Item, Ref, ScopeEnd, Upsert
from wellhead.sources.connectors.webdav import WebDAVSource

ROOT = "/remote.php/dav/files/ada/"


def folder(*lines: str) -> tuple[int, dict[str, str], str]:
    spaces = 'xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"'
    body = f'<?xml version="1.0"?><d:multistatus {spaces}>{"".join(lines)}'
    return 207, {"content-type": "application/xml"}, f"{body}</d:multistatus>"


def line(href: str, *, is_folder: bool = False, properties: str = "") -> str:
    kind = "<d:collection/>" if is_folder else ""
    prop = f"<d:prop><d:resourcetype>{kind}</d:resourcetype>{properties}</d:prop>"
    status = "<d:status>HTTP/1.1 200 OK</d:status>"
    nothing = (
        "<d:propstat><d:prop><d:getcontentlength>9</d:getcontentlength></d:prop>"
        "<d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
    )
    stat = f"<d:propstat>{prop}{status}</d:propstat>{nothing}"
    return f"<d:response><d:href>{href}</d:href>{stat}</d:response>"


ITSELF = line(ROOT, is_folder=True)


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as one:
        one.answers[ROOT] = folder(ITSELF)
        yield one


async def read(script: Script) -> list[Item]:
    source = WebDAVSource.create({"url": script.url + ROOT}, {})
    try:
        return [item async for item in source.read(None)]
    finally:
        await source.close()


def entities(items: list[Item]) -> list[Entity]:
    return [item.entity for item in items if isinstance(item, Upsert)]


async def test_nextcloud_shows_a_file_on_a_page(script: Script) -> None:
    told = (
        "<d:getetag>&quot;e1&quot;</d:getetag><oc:fileid>42</oc:fileid>"
        "<d:getcontentlength>7</d:getcontentlength>"
        "<d:getlastmodified>Mon, 12 Jan 2026 10:00:00 GMT</d:getlastmodified>"
    )
    script.answers[ROOT] = folder(
        ITSELF, line(f"{ROOT}Notes%20(1).md", properties=told)
    )
    [entity] = entities(await read(script))

    assert (entity.source_id, entity.source_version) == ("Notes (1).md", "e1")
    assert entity.url == f"{script.url}/index.php/f/42"
    assert entity.blob is not None
    assert entity.blob.size == 7
    assert entity.updated_at is not None
    assert entity.updated_at.isoformat() == "2026-01-12T10:00:00+00:00"


async def test_a_closed_folder_makes_the_listing_incomplete(script: Script) -> None:
    below = [line(f"{ROOT}{one}/", is_folder=True) for one in ("closed", "gone")]
    script.answers[ROOT] = folder(ITSELF, *below, line(f"{ROOT}open.md"))
    script.answers[f"{ROOT}closed/"] = (403, {}, "")
    items = await read(script)

    assert [one.source_id for one in entities(items)] == ["open.md"]
    [gap] = [item for item in items if isinstance(item, Failure)]
    assert (gap.ref, gap.reason) == (
        None,
        "The folder '/closed/' cannot be read: 403 Forbidden",
    )
    assert items[-1] == ScopeEnd(complete=False)


def refused(href: str, status: str) -> str:
    """Return a line of an answer that says of one place that it cannot be told."""
    return (
        f"<d:response><d:href>{href}</d:href>"
        f"<d:status>HTTP/1.1 {status}</d:status></d:response>"
    )


@pytest.mark.parametrize(
    "odd",
    [
        refused(f"{ROOT}shut/", "403 Forbidden"),
        f"<d:response><d:href>{ROOT}shut/</d:href><d:propstat><d:prop><d:resourcetype/>"
        "</d:prop><d:status>HTTP/1.1 403 Forbidden</d:status></d:propstat>"
        "</d:response>",
    ],
)
async def test_a_place_that_is_refused_within_an_answer_is_no_file(
    script: Script, odd: str
) -> None:
    script.answers[ROOT] = folder(ITSELF, odd, line(f"{ROOT}open.md"))
    items = await read(script)

    assert [one.source_id for one in entities(items)] == ["open.md"]
    [gap] = [item for item in items if isinstance(item, Failure)]
    assert (gap.ref, gap.reason) == (None, "'/shut' cannot be read: 403 Forbidden")
    assert items[-1] == ScopeEnd(complete=False)


async def test_what_is_gone_within_an_answer_is_gone(script: Script) -> None:
    script.answers[ROOT] = folder(ITSELF, refused(f"{ROOT}old.md", "404 Not Found"))
    items = await read(script)

    assert entities(items) == []
    assert items[-1] == ScopeEnd(complete=True)


async def test_an_answer_about_something_else_is_no_empty_folder(
    script: Script,
) -> None:
    script.answers[ROOT] = folder(ITSELF, line(f"{ROOT}below/", is_folder=True))
    script.answers[f"{ROOT}below/"] = folder(line("/proxied/below/", is_folder=True))
    items = await read(script)

    [gap] = [item for item in items if isinstance(item, Failure)]
    assert gap.ref is None
    assert gap.reason.startswith("The folder '/below/' cannot be read: ")
    assert items[-1] == ScopeEnd(complete=False)


async def test_addresses_outside_of_the_folder_are_never_asked(script: Script) -> None:
    elsewhere = [
        line("http://other.example/secret/", is_folder=True),
        line("/remote.php/dav/files/eve/", is_folder=True),
        line(f"{ROOT}a/b/", is_folder=True),  # not directly below
        line(f"{ROOT}../", is_folder=True),
        line(f"{ROOT}./", is_folder=True),
        line(f"{script.url}{ROOT}mine.md"),
    ]
    script.answers[ROOT] = folder(ITSELF, *elsewhere)

    assert [one.source_id for one in entities(await read(script))] == ["mine.md"]
    assert set(script.asked) == {ROOT}


async def test_an_answer_that_breaks_off_is_asked_for_again(script: Script) -> None:
    status, headers, body = folder(ITSELF, line(f"{ROOT}one.md"))
    script.answers[f"{ROOT}below/"] = (status, headers, body[:-30])
    script.answers[ROOT] = folder(ITSELF, line(f"{ROOT}below/", is_folder=True))

    with pytest.raises(RetryableError, match="broke off its answer"):
        await read(script)


async def test_a_busy_server_says_how_long_to_wait(script: Script) -> None:
    script.answers[ROOT] = (429, {"retry-after": "7"}, "")

    with pytest.raises(RetryableError, match="busy: 429") as told:
        await read(script)
    assert told.value.after == 7


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((301, {"location": "https://new.example/dav?t=1"}, ""), "new.example/dav'"),
        ((405, {}, ""), "cannot be listed: 405"),
        (folder(line(ROOT)), "is not a folder"),
        (folder(), "is not a folder"),
    ],
)
async def test_an_address_that_is_no_folder_is_named(
    script: Script, answer: tuple[int, dict[str, str], str], told: str
) -> None:
    script.answers[ROOT] = answer

    with pytest.raises(ConfigError, match=told):
        await read(script)


async def test_a_file_in_a_closed_folder_is_not_taken_for_gone(script: Script) -> None:
    script.answers[ROOT] = folder(ITSELF, line(f"{ROOT}closed/", is_folder=True))
    script.answers[f"{ROOT}closed/"] = (403, {}, "")
    source = WebDAVSource.create({"url": script.url + ROOT}, {})
    ref = Ref("File", "closed/one.md")
    shut = [item async for item in source.fetch([ref])]
    script.answers[f"{ROOT}closed/"] = folder(
        line(f"{ROOT}closed/", is_folder=True), line(f"{ROOT}closed/other.md")
    )
    open_again = [item async for item in source.fetch([ref])]
    await source.close()

    assert shut == [Failure(ref, "The folder it was in cannot be read")]
    assert open_again == [Delete(ref)]


@pytest.mark.parametrize("url", ["ftp://cloud.example", "https://", "https://a:b@c.d/"])
def test_an_address_is_checked(url: str) -> None:
    with pytest.raises(ValidationError):
        WebDAVSource.create({"url": url}, {})
