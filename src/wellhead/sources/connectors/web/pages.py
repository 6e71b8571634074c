"""What a page says: its main text, where it leads, and what it wants of robots."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import lxml.html
import trafilatura
from lxml.etree import LxmlError

from wellhead.sources.open_web import decode, normal

MOST_LINKS = 5_000
_CHANGED = ("article:modified_time", "og:updated_time", "article:published_time")
_FOLLOWED_LINKS = {"next", "prev", "alternate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as a reader sees it."""

    title: str
    text: str
    canonical: str | None
    links: tuple[str, ...]
    is_indexed: bool
    """Unless it asks robots not to keep it."""
    description: str = ""
    language: str = ""
    changed_at: datetime | None = None


def read_page(body: bytes, url: str, content_type: str, robots: str) -> Page:
    """Take a page apart; `robots` is the header X-Robots-Tag."""
    tree = _parsed(decode(body, content_type))
    if tree is None:
        return Page(title="", text="", canonical=None, links=(), is_indexed=True)
    base = normal(tree.xpath("string(//base/@href)"), url) or url
    meta = dict(_meta(tree))
    wishes = f"{meta.get('robots', '')},{robots}".lower()
    is_none = "none" in wishes.replace(" ", "").split(",")
    title = _one_line(meta.get("og:title") or tree.xpath("string(//title)"))
    links = () if "nofollow" in wishes or is_none else tuple(_links(tree, base))
    canonical = tree.xpath("string(//link[@rel='canonical']/@href)")
    heading = _one_line(tree.xpath("string(//h1)"))
    return Page(
        title=title or heading,
        canonical=normal(canonical, base) if canonical.strip() else None,
        links=links,
        is_indexed=not ("noindex" in wishes or is_none),
        description=_one_line(meta.get("description", "")),
        language=_one_line(tree.xpath("string(/html/@lang)"))[:35],
        changed_at=next(
            filter(None, (_moment(meta.get(one)) for one in _CHANGED)), None
        ),
        # last, for it takes the tree apart
        text=_main_text(tree, url),
    )


def _parsed(text: str) -> Any:
    try:
        # as bytes: a declaration inside is then overruled, and NULs do no harm
        parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=False)
        content = text.replace("\x00", "").encode("utf-8", "replace")
        return lxml.html.document_fromstring(content, parser=parser)
    except (LxmlError, ValueError):
        return None  # nothing in it


def _main_text(tree: Any, url: str) -> str:
    found = trafilatura.extract(
        tree,
        url=url,
        output_format="markdown",
        include_comments=False,
        include_tables=True,
        include_formatting=True,
        favor_recall=True,
    )
    return (found or "").strip()


def _meta(tree: Any) -> Iterator[tuple[str, str]]:
    for one in tree.iter("meta"):
        name = one.get("name") or one.get("property") or one.get("http-equiv")
        if name and one.get("content"):
            yield name.strip().lower(), one.get("content")


def _links(tree: Any, base: str) -> Iterator[str]:
    """Yield each address once, in the order of the page."""
    seen: set[str] = set()
    for one in tree.iter("a", "area", "link"):
        relations = (one.get("rel") or "").lower().split()
        is_head = one.tag == "link"
        if "nofollow" in relations or not one.get("href"):
            continue
        if is_head and (
            not _FOLLOWED_LINKS.intersection(relations)
            or one.get("type", "text/html") != "text/html"
        ):
            continue
        address = normal(one.get("href"), base)
        if address is not None and address not in seen:
            seen.add(address)
            yield address
        if len(seen) >= MOST_LINKS:
            return


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _one_line(text: str) -> str:
    return " ".join(text.split())
