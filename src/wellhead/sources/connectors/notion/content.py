"""What is written in a page: its properties, and all of its blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from wellhead.domain.errors import EntityError
from wellhead.sources.connectors.notion.blocks import (
    INLINE,
    LIST,
    REFERENCES,
    Block,
    Piece,
    joined,
    written,
)
from wellhead.sources.connectors.notion.entities import Thing, page_head
from wellhead.sources.connectors.notion.places import Places
from wellhead.sources.connectors.notion.values import related
from wellhead.sources.http import (
    ApiClient,
    Call,
    DeniedError,
    GoneError,
    RefusedError,
    by_cursor,
    pages,
    path,
)

NOT_SHOWN = "(Notion does not show what is in here)"


@dataclass(slots=True)
class _Level:
    """The blocks in one block, and how far they are written."""

    blocks: Iterator[Block]
    depth: int
    number: int = 0
    kind: str = ""

    def count(self, kind: str) -> int:
        """Return the place of the next block among those of its kind in a row."""
        self.number = self.number + 1 if kind == self.kind else 1
        self.kind = kind
        return self.number


class PageWriter:
    """Reads one page at a time with as many requests as it has nested blocks."""

    def __init__(self, client: ApiClient, places: Places) -> None:
        self._client = client
        self._places = places

    async def text(self, page: Thing) -> str:
        """Return the whole page as Markdown; raises GoneError if it is not there."""
        try:
            body = joined(await self._pieces(str(page["id"])))
            head = page_head(page, await self._names(page))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EntityError(f"Notion writes a page oddly: {error!r}") from error
        return f"{head}\n\n{body}".strip() + "\n"

    async def _names(self, page: Thing) -> dict[str, str]:
        """Return the names of all pages that this one's relations name."""
        idents: list[str] = []
        for value in (page.get("properties") or {}).values():
            if value.get("has_more") and value.get("type") == "relation":
                value["relation"] = await self._whole_relation(page, value)
            idents += related(value)
        return await self._places.names(idents)

    async def _whole_relation(self, page: Thing, value: Thing) -> list[Any]:
        """Ask for what did not fit: a page shows 25 of each relation."""
        # the id comes as it has to stand in an address
        name = unquote(str(value["id"]))
        listing = pages(
            self._client,
            Call(url=path("pages", page["id"], "properties", name)),
            by_cursor("start_cursor", "next_cursor", more="has_more"),
            records="results",
        )
        return [one["relation"] async for page in listing for one in page.records]

    async def _pieces(self, ident: str) -> list[Piece]:
        """Walk through the tree of blocks without a stack of calls: it may be deep."""
        found: list[Piece] = []
        seen = {ident}
        levels = [_Level(iter(await self._children(ident)), depth=0)]
        while levels:
            level = levels[-1]
            block = next(level.blocks, None)
            if block is None:
                levels.pop()
                continue
            kind = str(block.get("type") or "")
            piece = await self._piece(block, kind, level)
            if piece is not None:
                found.append(piece)
            # a synced block can hold itself, and what comes twice is read once
            if _is_opened(block, kind) and block["id"] not in seen:
                seen.add(block["id"])
                depth = level.depth + (kind not in INLINE)
                inner = await self._inner(str(block["id"]), depth, found)
                levels.append(_Level(iter(inner), depth))
        return found

    async def _piece(self, block: Block, kind: str, level: _Level) -> Piece | None:
        number = level.count(kind)
        if kind != "link_to_page":
            return written(block, depth=level.depth, number=number)
        content = block.get(kind) or {}
        at = str(content.get("type") or "")
        name = await self._places.name(at, str(content.get(at)))
        return None if name is None else Piece(f"- Page: {name}", level.depth, LIST)

    async def _inner(self, ident: str, depth: int, found: list[Piece]) -> list[Block]:
        """Return the blocks in a block; what may not be seen is no loss of the rest."""
        try:
            return await self._children(ident)
        except (DeniedError, GoneError, RefusedError):
            # the original of a synced block, or a kind that the API does not open
            found.append(Piece(NOT_SHOWN, depth))
            return []

    async def _children(self, ident: str) -> list[Block]:
        listing = pages(
            self._client,
            Call(url=path("blocks", ident, "children"), query={"page_size": 100}),
            by_cursor("start_cursor", "next_cursor", more="has_more"),
            records="results",
        )
        return [block async for page in listing for block in page.records]


def _is_opened(block: Block, kind: str) -> bool:
    return bool(block.get("has_children")) and kind not in REFERENCES
