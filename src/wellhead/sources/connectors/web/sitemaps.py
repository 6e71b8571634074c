"""Sitemaps: lists of pages, and lists of such lists, packed or not."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError, XMLPullParser

from wellhead.domain.errors import CredentialsError, EntityError
from wellhead.sources.open_web import Visitor, decode, normal
from wellhead.sources.open_web.addresses import host_of

MOST_BYTES = 50 * 2**20
"""What the protocol allows, unpacked."""
MOST_SITEMAPS = 1_000
_GZIP = b"\x1f\x8b"


class SitemapError(Exception):
    """One sitemap is none; what was found in it before is still good."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What one of them names, and what is wrong with it."""

    url: str
    pages: list[str]
    wrong: str | None = None


async def read_sitemaps(visitor: Visitor, urls: list[str]) -> AsyncGenerator[Sitemap]:
    """Yield all that these lead to, each once. Raises RetryableError.

    They may name other sitemaps on hosts of sitemaps that were named before.
    """
    waiting = list(dict.fromkeys(urls))
    known, hosts = set(waiting), set(map(host_of, waiting))
    while waiting:
        url = waiting.pop(0)
        try:
            _, answer = await visitor.follow(url, most_bytes=MOST_BYTES)
        except (EntityError, CredentialsError) as error:
            yield Sitemap(url, [], str(error))
            continue
        pages, others, wrong = await asyncio.to_thread(_read, answer.body, url)
        found = [one for one in others if host_of(one) in hosts and one not in known]
        known.update(found)
        waiting += found[: MOST_SITEMAPS - len(known) + len(found)]
        if len(known) > MOST_SITEMAPS:
            wrong = f"there are more than {MOST_SITEMAPS} sitemaps"
        yield Sitemap(url, pages, wrong and f"'{url}': {wrong}")


def _read(body: bytes, url: str) -> tuple[list[str], list[str], str | None]:
    """Return pages, sitemaps, and what is wrong."""
    pages: list[str] = []
    others: list[str] = []
    try:
        _parse(_unpacked(body), url, pages, others)
    except SitemapError as error:
        return pages, others, str(error)
    return pages, others, None


def _parse(body: bytes, url: str, pages: list[str], others: list[str]) -> None:
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text.startswith(b"<"):
        lines = (normal(line) for line in decode(text).splitlines())
        pages += [one for one in lines if one]
        if text and not pages:
            raise SitemapError("it is no sitemap")
        return
    # expat itself stops entity bombs
    parser: XMLPullParser[Any] = XMLPullParser(["start", "end"])
    try:
        parser.feed(text)
        _take(parser, url, pages, others)
        parser.close()
    except ParseError as error:
        raise SitemapError(f"it is not XML: {error}") from error


def _take(
    parser: "XMLPullParser[Any]", url: str, pages: list[str], others: list[str]
) -> None:
    events: Any = parser.read_events()
    for event, element in events:
        kind = element.tag.rpartition("}")[2]
        if event == "start" and kind in {"html", "rss", "feed"}:
            raise SitemapError(f"it is no sitemap, but <{kind}>")
        if event == "end" and kind in {"url", "sitemap"}:
            found = normal(_place(element), url)
            if found is not None:
                (pages if kind == "url" else others).append(found)
            element.clear()


def _place(element: Any) -> str:
    for one in element:
        if one.tag.rpartition("}")[2] == "loc":
            return (one.text or "").strip()
    return ""


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    opener = zlib.decompressobj(wbits=31)
    try:
        found = opener.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise SitemapError(f"it cannot be unpacked: {error}") from error
    if opener.unconsumed_tail:
        raise SitemapError(f"it holds more than {MOST_BYTES // 2**20} MB")
    if not opener.eof:
        raise SitemapError("it breaks off")
    return found
