"""What stands above a page, and how other pages are called: each is asked for once."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wellhead.domain.entities import Breadcrumb
from wellhead.domain.errors import EntityError
from wellhead.sources.connectors.notion.values import title_of
from wellhead.sources.http import ApiClient, path

DATABASE = "NotionDatabaseEntity"
PAGE = "NotionPageEntity"
UNTITLED = "Untitled"
MOST_REMEMBERED = 1_000
HIGHEST = 50
_ROOMS = {
    "page_id": "pages",
    "data_source_id": "data_sources",
    "database_id": "databases",
    "block_id": "blocks",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Something that has things below it. A block has no name, only a place."""

    id: str
    name: str
    type: str | None
    above: tuple[str, str] | None
    """The kind and the id of its parent; None at the top of the workspace."""


class Places:
    """Remembers those of late, so that siblings cost one request together."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: OrderedDict[str, Place | None] = OrderedDict()

    def note(self, thing: Mapping[str, Any]) -> None:
        """Remember what was listed anyway."""
        self._keep(str(thing["id"]), _place(thing))

    async def way(self, thing: Mapping[str, Any]) -> tuple[Breadcrumb, ...]:
        """Return the steps to a page or a database, as far as they may be seen."""
        steps: list[Breadcrumb] = []
        above, seen = parent_of(thing), {str(thing["id"])}
        while above is not None and above[1] not in seen and len(seen) <= HIGHEST:
            seen.add(above[1])
            place = await self._at(*above)
            if place is None:
                break
            if place.type is not None:
                steps.append(Breadcrumb(place.id, place.name, place.type))
            above = place.above
        return tuple(reversed(steps))

    async def names(self, idents: Iterable[str]) -> dict[str, str]:
        """Return the names of pages that may be seen, by their ids."""
        found = {one: await self._at("page_id", one) for one in dict.fromkeys(idents)}
        return {ident: one.name for ident, one in found.items() if one is not None}

    async def name(self, kind: str, ident: str) -> str | None:
        """Return how one thing is called, None if it may not be seen."""
        found = await self._at(kind, ident)
        return None if found is None else found.name

    async def _at(self, kind: str, ident: str) -> Place | None:
        if ident in self._known:
            self._known.move_to_end(ident)
            return self._known[ident]
        place = None
        if kind in _ROOMS:
            try:
                place = _place(await self._client.get_json(path(_ROOMS[kind], ident)))
            except (EntityError, KeyError, TypeError, AttributeError):
                place = None  # not shared with us, or not as we know it
        self._keep(ident, place)
        return place

    def _keep(self, ident: str, place: Place | None) -> None:
        self._known[ident] = place
        self._known.move_to_end(ident)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


def parent_of(thing: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the kind and the id of what something stands in, None at the top.

    A data source stands in a database, which is only its frame: what that stands in
    is named as well.
    """
    parent = thing.get("database_parent") or thing.get("parent") or {}
    kind = str(parent.get("type") or "")
    if "data_source_id" in parent:
        kind = "data_source_id"
    ident = parent.get(kind)
    return (kind, str(ident)) if kind in _ROOMS and ident else None


def _place(thing: Mapping[str, Any]) -> Place:
    kind = thing.get("object")
    shown = {"page": PAGE, "data_source": DATABASE, "database": DATABASE}.get(str(kind))
    name = UNTITLED if shown is None else title_of(thing) or UNTITLED
    return Place(str(thing["id"]), name, shown, parent_of(thing))
