"""Slack's markup as readable text: who is meant, which channel, where a link leads."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TOKEN = re.compile(r"<([^<>]+)>")
_PEOPLE = "@"
_CHANNEL = "#"
_SPECIAL = "!"


def mentioned(text: str) -> Iterator[str]:
    """Return the ids of people and channels whose names a text needs."""
    for inner in _TOKEN.findall(text):
        target, _, label = inner.partition("|")
        if target[:1] in (_PEOPLE, _CHANNEL) and not label:
            yield target[1:]


def readable(text: str, names: Mapping[str, str]) -> str:
    """Write a text as people read it; `names` are those of people and channels."""
    parts = _TOKEN.split(text)
    return "".join(
        _token(part, names) if place % 2 else html.unescape(part)
        for place, part in enumerate(parts)
    )


def _token(inner: str, names: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    target, label = html.unescape(target), html.unescape(label)
    mark, ident = target[:1], target[1:]
    if mark in (_PEOPLE, _CHANNEL):
        return mark + (label or names.get(ident) or ident).removeprefix(mark)
    if mark == _SPECIAL:
        return _special(ident, label)
    if target.startswith(("mailto:", "tel:")):
        return label or target.partition(":")[2]
    return f"[{label}]({target})" if label and label != target else target


def _special(ident: str, label: str) -> str:
    """@here and its like, groups of people, dates."""
    kind, _, _ = ident.partition("^")
    if kind == "date":
        return label
    if kind == "subteam":
        return label or "@group"
    return f"@{(label or kind).removeprefix('@')}"


def text_of(message: Mapping[str, Any]) -> str:
    """Return what a message says, with its markup; apps say it in other places."""
    said = str(message.get("text") or "")
    if not said:
        said = "\n".join(_texts(message.get("blocks")))
    attached = [_attachment(one) for one in message.get("attachments") or ()]
    # what is shared is often the same as what is said
    more = [one for one in attached if one and one not in said]
    return "\n".join(part for part in (said, *more) if part.strip())


def _attachment(one: Mapping[str, Any]) -> str:
    parts = [one.get(name) for name in ("pretext", "title", "text")]
    fields = [f"{it.get('title')}: {it.get('value')}" for it in one.get("fields") or ()]
    found = [str(part) for part in (*parts, *fields) if part]
    return "\n".join(found) or str(one.get("fallback") or "")


def _texts(blocks: Any) -> Iterator[str]:
    """Return the texts in blocks, which are nested, but not deeply."""
    todo = list(reversed(blocks)) if isinstance(blocks, list) else []
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo.extend(reversed(one))
        elif isinstance(one, dict):
            text = one.get("text")
            if isinstance(text, str) and text.strip():
                yield text
            inner = (text, one.get("fields"), one.get("elements"), one.get("rows"))
            todo.extend(it for it in reversed(inner) if isinstance(it, dict | list))
