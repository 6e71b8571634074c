"""Pages and databases of Notion as entities."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Ref
from wellhead.sources.connectors.notion.places import DATABASE, PAGE, UNTITLED
from wellhead.sources.connectors.notion.values import (
    rich_text,
    time_of,
    title_of,
    value_text,
)

Thing = Mapping[str, Any]
MINUTE = timedelta(minutes=1)
"""Notion's times of changes are cut to whole minutes."""
_KINDS = {"page": PAGE, "data_source": DATABASE}
_OPTIONS = ("select", "multi_select", "status")


def ref_of(thing: Any) -> Ref | None:
    """Return how something that was listed is called, None if nobody can tell."""
    if not isinstance(thing, dict):
        return None
    kind, ident = _KINDS.get(str(thing.get("object")), PAGE), thing.get("id")
    return Ref(kind, ident) if isinstance(ident, str) and ident else None


def is_in_trash(thing: Thing) -> bool:
    return bool(thing.get("in_trash") or thing.get("archived"))


def entity_of(
    thing: Thing, *, way: tuple[Breadcrumb, ...], listed_at: datetime | None
) -> Entity:
    """Describe it; a page without its text, which takes more requests."""
    edited = time_of(thing["last_edited_time"])
    ref = ref_of(thing)
    if ref is None or edited is None or thing.get("object") not in _KINDS:
        raise ValueError("it is neither page nor database, or was never edited")
    # in a minute that is not over yet there may be one more change
    is_settled = listed_at is not None and listed_at - edited >= MINUTE
    return Entity(
        type=ref.type,
        source_id=ref.source_id,
        name=title_of(thing) or UNTITLED,
        text=_schema(thing) if ref.type == DATABASE else None,
        source_version=str(thing["last_edited_time"]) if is_settled else None,
        created_at=time_of(thing.get("created_time")),
        updated_at=edited,
        breadcrumbs=way,
        url=thing.get("url") or "",
        raw=_raw(thing),
    )


def page_head(page: Thing, names: Mapping[str, str]) -> str:
    """Return a page's title and the properties that it has as a row."""
    lines = [f"# {title_of(page) or UNTITLED}"]
    for name, value in (page.get("properties") or {}).items():
        text = "" if value.get("type") == "title" else value_text(value, names)
        if text.strip():
            lines.append(f"{name}: {text}")
    return "\n".join([lines[0], "", *lines[1:]]).strip()


def _schema(source: Thing) -> str:
    """Return what a database says of itself: description and columns."""
    columns = [
        _column(name, column)
        for name, column in (source.get("properties") or {}).items()
    ]
    parts = [
        f"# {title_of(source) or UNTITLED}",
        rich_text(source.get("description")),
        "\n".join(["Columns:", *columns]) if columns else "",
    ]
    return "\n\n".join(part for part in parts if part.strip())


def _column(name: str, column: Thing) -> str:
    kind = str(column.get("type") or "")
    about = column.get("description")
    options: list[str] = []
    if kind in _OPTIONS:
        options = [one["name"] for one in (column.get(kind) or {}).get("options") or ()]
    line = f"- {name} ({kind.replace('_', ' ')})"
    said = [", ".join(options), about or ""]
    return ": ".join([line, *(one for one in said if one)])


def _raw(thing: Thing) -> dict[str, Any]:
    icon = thing.get("icon") or {}
    found: dict[str, Any] = {
        "id": thing["id"],
        "icon": icon.get("emoji"),
        "public_url": thing.get("public_url"),
        "created_by": (thing.get("created_by") or {}).get("id"),
        "last_edited_by": (thing.get("last_edited_by") or {}).get("id"),
    }
    if thing.get("object") == "page":
        found["properties"] = {
            name: value_text(value, {})
            for name, value in (thing.get("properties") or {}).items()
            if value.get("type") not in ("title", "relation")
        }
    return found
