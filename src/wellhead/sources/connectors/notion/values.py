"""Rich text and the values of properties, as people read them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any


def rich_text(parts: Any) -> str:
    """Join pieces of text; what is linked is written as a link of Markdown."""
    return "".join(map(_piece, parts or ()))


def _piece(part: dict[str, Any]) -> str:
    text, href = str(part.get("plain_text") or ""), part.get("href")
    # links within Notion are paths, which mean nothing elsewhere
    if not href or href == text or not text.strip() or not href.startswith("http"):
        return text
    return f"[{text}]({href})"


def title_of(thing: Mapping[str, Any]) -> str:
    """Return the title of a page or of a database, "" if it has none."""
    if thing.get("object") != "page":
        return _one_line(rich_text(thing.get("title")))
    for value in (thing.get("properties") or {}).values():
        if value.get("type") == "title":
            return _one_line(rich_text(value.get("title")))
    return ""


def related(value: Mapping[str, Any]) -> list[str]:
    """Return the ids of the pages that a relation names."""
    if value.get("type") != "relation":
        return []
    return [one["id"] for one in value.get("relation") or ()]


def value_text(value: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Write a property's value; `names` are those of pages, by their ids.

    What is empty, or of a kind that nobody can read, is "".
    """
    kind = str(value.get("type") or "")
    if kind == "relation":
        return _joined(names.get(one, "") for one in related(value))
    if kind == "rollup":
        return _rollup(value.get("rollup") or {}, names)
    if kind == "formula":
        formula = value.get("formula") or {}
        return value_text(formula, names)
    content, write = value.get(kind), _WRITERS.get(kind)
    return "" if content is None or write is None else write(content)


def _rollup(rollup: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if rollup.get("type") == "array":
        return _joined(value_text(one, names) for one in rollup.get("array") or ())
    return value_text(rollup, names)


def time_of(value: Any) -> datetime | None:
    """Read a moment; raises ValueError."""
    return datetime.fromisoformat(value) if value else None


def file_name(file: Mapping[str, Any]) -> str:
    """Return how a file is called; an address of Notion's own ends within the hour."""
    external = (file.get("external") or {}).get("url")
    return str(file.get("name") or external or "")


def _name(content: Mapping[str, Any]) -> str:
    return str(content.get("name") or "")


def _names(content: Iterable[Mapping[str, Any]]) -> str:
    return _joined(map(_name, content))


def _date(content: Mapping[str, Any]) -> str:
    start, end = content.get("start") or "", content.get("end")
    return f"{start} to {end}" if end else str(start)


def _truth(content: Any) -> str:
    return "yes" if content else "no"


def _number(content: float) -> str:
    return f"{content:.0f}" if float(content).is_integer() else str(content)


def _unique_id(content: Mapping[str, Any]) -> str:
    parts = (content.get("prefix"), content.get("number"))
    return "-".join(str(one) for one in parts if one is not None)


def _state(content: Mapping[str, Any]) -> str:
    return str(content.get("state") or "")


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(one for one in texts if one)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_WRITERS: dict[str, Callable[[Any], str]] = {
    "boolean": _truth,
    "checkbox": _truth,
    "created_by": _name,
    "created_time": str,
    "date": _date,
    "email": str,
    "files": lambda content: _joined(map(file_name, content)),
    "last_edited_by": _name,
    "last_edited_time": str,
    "multi_select": _names,
    "number": _number,
    "people": _names,
    "phone_number": str,
    "rich_text": rich_text,
    "select": _name,
    "status": _name,
    "string": str,
    "title": rich_text,
    "unique_id": _unique_id,
    "url": str,
    "verification": _state,
}
