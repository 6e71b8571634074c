"""A feed taken apart: its entries as entities, and what is wrong with it."""

import calendar
import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from io import BytesIO
from typing import Any

import feedparser

from wellhead.domain.entities import Blob, Breadcrumb, Entity
from wellhead.sources.http import bodies

ENTRY = "FeedEntry"
MOST_NAME = 120
_HARMLESS = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)


class NoFeedError(Exception):
    """What the address gave is no feed; says what it is instead."""


@dataclass(frozen=True, slots=True)
class Feed:
    entries: list[Entity]
    wrong: str | None
    """Why there may be more entries than could be read."""


def read_feed(body: bytes, url: str, content_type: str) -> Feed:
    """Read RSS of any version, or Atom. Raises NoFeedError."""
    told = {"content-type": content_type, "content-location": url}
    # without a name: feedparser would else open files and addresses
    found = feedparser.parse(BytesIO(body), response_headers=told)
    trouble = found.get("bozo_exception")
    is_broken = bool(found.bozo) and not isinstance(trouble, _HARMLESS)
    if not found.get("version"):
        raise NoFeedError(_instead(found, trouble if is_broken else None))
    # where the XML ends too soon the last entry may be half of one
    listed = found.entries[:-1] if is_broken else found.entries
    where = Breadcrumb(url, _one_line(found.feed.get("title", "")) or url, "Feed")
    entries: dict[str, Entity] = {}
    for one in listed:
        ident = _ident(one)
        if ident not in entries:  # the first one is the newest
            entries[ident] = _entity(one, ident, url, where)
    wrong = f"its XML is broken: {trouble}" if is_broken else None
    return Feed([*entries.values()], wrong)


def source_id(url: str, ident: str) -> str:
    """Return an id that other feeds do not have; an address holds no space."""
    return f"{url} {ident}"


def feed_of(entity_id: str) -> str:
    return entity_id.partition(" ")[0]


def _instead(found: Any, trouble: Any) -> str:
    links = found.feed.get("links", ())
    feeds = [
        one.get("href", "")
        for one in links
        if one.get("type") in {"application/rss+xml", "application/atom+xml"}
    ]
    if feeds:
        return f"it is a web page; its feed is at '{feeds[0]}'"
    return f"it is no feed: {trouble}" if trouble else "it is no feed"


def _ident(entry: Any) -> str:
    """Return what the feed calls it, else where it is, else what it says."""
    given = entry.get("id") or entry.get("link")
    if given:
        return " ".join(str(given).split())
    said = f"{entry.get('title', '')}\n{entry.get('summary', '')}"
    return blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _entity(entry: Any, ident: str, url: str, where: Breadcrumb) -> Entity:
    name = _plain(entry, "title") or _plain(entry, "summary")
    name = name[:MOST_NAME] or ident
    published = _moment(entry.get("published_parsed"))
    # as a plain dict: its own `get` warns where there is only `published`
    updated = _moment(dict.get(entry, "updated_parsed")) or published
    link = str(entry.get("link", ""))
    document = _document(entry, name)
    version = blake2b(document, digest_size=16)
    files = [
        {"url": one.get("href", ""), "type": one.get("type", "")}
        for one in entry.get("enclosures", ())
    ]
    told = f"{link}\n{published}\n{updated}\n{files}"
    version.update(told.encode("utf-8", "replace"))
    return Entity(
        type=ENTRY,
        source_id=source_id(url, ident),
        name=name,
        blob=Blob(
            name="entry.html", size=len(document), open=partial(bodies.keep, document)
        ),
        source_version=version.hexdigest(),
        created_at=published,
        updated_at=updated,
        breadcrumbs=(where,),
        url=link,
        raw={
            "feed": url,
            "id": ident,
            "author": _one_line(str(entry.get("author", ""))),
            "tags": [_one_line(str(tag.get("term"))) for tag in entry.get("tags", ())],
            "enclosures": files,
        },
    )


def _document(entry: Any, name: str) -> bytes:
    """Return the entry as a page, which is read as pages are."""
    author, tags = entry.get("author"), entry.get("tags", ())
    about = [
        *([f"By {author}"] if author else []),
        *(str(tag["term"]) for tag in tags if tag.get("term")),
    ]
    parts = [
        '<!doctype html><html><head><meta charset="utf-8"></head><body>',
        f"<h1>{html.escape(name)}</h1>",
        f"<p>{html.escape(', '.join(about))}</p>" if about else "",
        *_contents(entry),
        "</body></html>",
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def _contents(entry: Any) -> Iterator[str]:
    """Yield the whole text, the summary where there is none."""
    details = entry.get("content") or [entry.get("summary_detail") or {}]
    for one in details:
        text = str(one.get("value", "")).replace("\x00", "")
        if one.get("type") == "text/plain":
            blocks = (block.strip() for block in text.split("\n\n"))
            yield "".join(f"<p>{html.escape(block)}</p>" for block in blocks if block)
        else:
            yield text


def _moment(parsed: time.struct_time | None) -> datetime | None:
    """Return a moment that feedparser has made UTC; odd ones are none."""
    try:
        return (
            None
            if parsed is None
            else datetime.fromtimestamp(calendar.timegm(parsed), UTC)
        )
    except (ValueError, OverflowError, OSError):
        return None


def _plain(entry: Any, part: str) -> str:
    """Return a title without the marks that some put into it."""
    text = str(entry.get(part, ""))
    if (entry.get(f"{part}_detail") or {}).get("type") == "text/plain":
        return _one_line(text)
    # feedparser has left no markup but whole tags
    shown = "".join(piece.rpartition(">")[2] for piece in text.split("<"))
    return _one_line(html.unescape(shown))


def _one_line(text: str) -> str:
    return " ".join(text.replace("\x00", "").split())
