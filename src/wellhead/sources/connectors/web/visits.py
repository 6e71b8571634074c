"""One visit of one address: what is there, and what it is as an entity."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

import httpx

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.errors import FailureClass
from wellhead.domain.files import readable_suffix
from wellhead.domain.items import Failure, Ref, Upsert
from wellhead.sources.connectors.web.crawl import FILE, PAGE, Known
from wellhead.sources.connectors.web.pages import Page, read_page
from wellhead.sources.http import Call, RefusedError, blob, bodies
from wellhead.sources.open_web import Visitor, normal
from wellhead.sources.open_web.visitor import REDIRECTS

MOST_PAGE_BYTES = 10 * 2**20
MEGABYTE = 2**20
_HTML = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")
_FOR_GOOD = frozenset({301, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What an address answered that was no refusal."""

    url: str
    headers: httpx.Headers = field(repr=False)
    is_same: bool = False
    """As at the last visit."""
    page: Page | None = None
    is_document: bool = False
    target: str | None = None
    """Where it leads instead."""
    is_moved: bool = False
    """Whether it does so for good."""

    def known(self, kind: str, depth: int) -> Known:
        etag = self.headers.get("etag", "")
        return Known(kind, depth, etag, self.headers.get("last-modified", ""))


async def look(visitor: Visitor, url: str, headers: Mapping[str, str]) -> Visit:
    """Ask for it. A document's content is left where it is."""

    async def take(response: httpx.Response, what: str) -> tuple[Visit, bytes]:
        visit = _judged(url, response)
        if visit.page is None:
            return visit, b""
        return visit, await bodies.read(response, most_bytes=MOST_PAGE_BYTES, what=what)

    visit, body = await visitor.take(url, take, headers)
    if visit.page is None:
        return visit
    told = visit.headers.get("content-type", ""), visit.headers.get("x-robots-tag", "")
    page = await asyncio.to_thread(read_page, body, url, *told)
    return replace(visit, page=page)


def _judged(url: str, response: httpx.Response) -> Visit:
    status, headers = response.status_code, response.headers
    if status == 304:
        return Visit(url=url, headers=headers, is_same=True)
    if status in REDIRECTS:
        target = normal(headers.get("location", ""), url)
        if target is None or target == url:
            raise RefusedError(f"'{url}' leads to itself or nowhere", status=status)
        return Visit(
            url=url, headers=headers, target=target, is_moved=status in _FOR_GOOD
        )
    if status != 200:
        raise RefusedError(f"'{url}' answered {status}", status=status)
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in _HTML:
        return Visit(url=url, headers=headers, page=_UNREAD)
    is_document = readable_suffix(_name(url), media) is not None
    return Visit(url=url, headers=headers, is_document=is_document)


_UNREAD = Page(title="", text="", canonical=None, links=(), is_indexed=True)


def page_item(visit: Visit, page: Page) -> Upsert:
    url = visit.url
    return Upsert(
        Entity(
            type=PAGE,
            source_id=url,
            name=page.title or _name(url) or url,
            text=page.text or page.description or page.title or url,
            updated_at=page.changed_at,
            breadcrumbs=_way_to(url),
            url=url,
            raw={
                "title": page.title,
                "description": page.description,
                "language": page.language,
            },
        )
    )


def document_item(visitor: Visitor, visit: Visit, *, max_mb: int) -> Upsert | Failure:
    url, headers = visit.url, visit.headers
    told = headers.get("content-length", "")
    is_packed = headers.get("content-encoding", "identity") != "identity"
    size = int(told) if told.isdecimal() and not is_packed else None
    version = headers.get("etag") or headers.get("last-modified")
    if size is not None and size > max_mb * MEGABYTE:
        return Failure(
            Ref(FILE, url),
            f"Larger than {max_mb} MB",
            FailureClass.PERMANENT,
            source_version=version,
        )
    name = _name(url) or "document"
    content = blob(
        visitor.client(url),
        Call(url=url),
        name=name,
        size=size or 0,
        media_type=headers.get("content-type"),
        most_bytes=max_mb * MEGABYTE,
    )
    return Upsert(
        Entity(
            type=FILE,
            source_id=url,
            name=name,
            blob=replace(content, is_size_guessed=size is None),
            source_version=version,
            breadcrumbs=_way_to(url),
            url=url,
            raw={"media_type": headers.get("content-type", "")},
        )
    )


def _name(url: str) -> str:
    """Return the last step of the way, as people read it."""
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    return unquote(last, errors="replace").replace("\x00", "")


def _way_to(url: str) -> tuple[Breadcrumb, ...]:
    parts = urlsplit(url)
    site = f"{parts.scheme}://{parts.netloc}/"
    way, found = site, [Breadcrumb(site, parts.netloc, "Site")]
    for step in parts.path.split("/")[:-1]:
        if step:
            way = f"{way}{step}/"
            name = unquote(step, errors="replace").replace("\x00", "")
            found.append(Breadcrumb(way, name, "Folder"))
    return tuple(found)
