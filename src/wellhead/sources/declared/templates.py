"""Paths into records, and texts with places that are filled: no code, only names.

A place is `{path}` or `{path|filter}`. A path begins in the record, unless its first
name is one of ROOTS. Names lead into objects; through a list they mean all of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote

ROOTS = frozenset({"config", "credentials", "parent", "record", "since"})
"""Where else a path can begin; `record.config` is the record's own `config`."""
_PLACE = re.compile(r"{{|}}|{([^{}]*)}|[{}]")
_PATH = re.compile(r"[^\s.|{}]+(?:\.[^\s.|{}]+)*")
_A_DATE_IN_MILLISECONDS = 10**11
_WITHOUT_CENTS = frozenset(
    [
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    ]
)
_NAMES = ("name", "title", "filename", "email", "text")
"""Where objects have their name."""
_WITH_MILS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

Values = Mapping[str, Any]
"""What each root stands for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is, and how it is written."""

    root: str
    names: tuple[str, ...]
    filter: str | None = None
    beside: tuple[str, ...] = ()
    """What else the filter needs: another path from the same root."""

    def find(self, values: Values) -> Any:
        return _within(values.get(self.root), self.names)

    def write(self, values: Values) -> str:
        found = self.find(values)
        if self.filter == "money":
            return _money(found, _within(values.get(self.root), self.beside))
        return written(found if self.filter is None else FILTERS[self.filter](found))


@dataclass(frozen=True, slots=True)
class Template:
    """A text, cut into what is said anyway and the places between."""

    parts: tuple[str | Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(one for one in self.parts if isinstance(one, Place))

    def fill(self, values: Values) -> str:
        """Write the text; a line all of whose places are empty is left out."""
        return "\n".join(_lines(self.parts, values)).strip()

    def fill_path(self, values: Values) -> str:
        """Write a path: no value can leave its place. Raises ValueError."""
        return "".join(
            _segment(one.write(values)) if isinstance(one, Place) else one
            for one in self.parts
        )

    def fill_all(self, values: Values) -> str:
        """Write what needs every place, such as an id; raises ValueError."""
        for one in self.places:
            if not one.write(values):
                raise ValueError(f"it has no '{'.'.join(one.names) or one.root}'")
        return self.fill(values)


@lru_cache(maxsize=2_000)
def template(text: str) -> Template:
    """Cut a text; raises ValueError."""
    parts: list[str | Place] = []
    at = 0
    for found in _PLACE.finditer(text):
        parts.append(text[at : found.start()])
        at = found.end()
        whole = found.group(0)
        if whole in ("{{", "}}"):
            parts.append(whole[0])
        elif found.group(1) is None:
            raise ValueError(f"a single '{whole}': write it twice to mean itself")
        else:
            parts.append(_place(found.group(1).strip()))
    parts.append(text[at:])
    return Template(tuple(one for one in parts if one != ""))


@lru_cache(maxsize=2_000)
def path(text: str) -> Place:
    """Read a path into a record; raises ValueError. "" is the record itself."""
    if not text:
        return Place("record", ())
    if _PATH.fullmatch(text) is None:
        raise ValueError(f"'{text}' is no path: write names with dots between them")
    first, *rest = text.split(".")
    if first in ROOTS:
        return Place(first, tuple(rest))
    return Place("record", (first, *rest))


def moment(value: Any) -> datetime | None:
    """Read a time: ISO 8601, or seconds or milliseconds since 1970.

    Raises ValueError.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"'{written(value)[:40]}' is no time")  # noqa: TRY004  # of the vendor
    text = str(value)
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    number = float(text)
    seconds = number / 1000 if abs(number) >= _A_DATE_IN_MILLISECONDS else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{text} is no time") from error


def written(value: Any) -> str:
    """Write a value as people read it: lists in a row, objects line by line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        lines = ((name, written(one)) for name, one in value.items())
        return "\n".join(f"{name}: {line}" for name, line in lines if line)
    if isinstance(value, list):
        return ", ".join(filter(None, map(written, value)))
    return str(value)


def _place(text: str) -> Place:
    where, _, name = (one.strip() for one in text.partition("|"))
    if not where:
        raise ValueError("an empty place: name a field between the braces")
    found = path(where)
    name, _, other = name.partition(":")
    if name == "money" and other:
        return Place(found.root, found.names, name, path(other).names)
    if "|" in text and (other or name not in FILTERS):
        known = ", ".join(FILTERS)
        raise ValueError(f"no filter '{name}': there are {known}, money:CURRENCY")
    return Place(found.root, found.names, name or None)


def _within(value: Any, names: tuple[str, ...]) -> Any:
    for at, name in enumerate(names):
        if isinstance(value, list):
            found = (_within(one, names[at:]) for one in value)
            return [one for one in found if one is not None]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _lines(parts: tuple[str | Place, ...], values: Values) -> Iterator[str]:
    line, has_place, has_value = "", False, False
    for one in parts:
        if isinstance(one, Place):
            found = one.write(values)
            line, has_place, has_value = line + found, True, has_value or bool(found)
            continue
        *whole, rest = one.split("\n")
        for more in whole:
            if has_value or not has_place:
                yield line + more
            line, has_place, has_value = "", False, False
        line += rest
    if has_value or not has_place:
        yield line


def _segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise ValueError(f"'{value}' cannot be a part of a path")
    return quote(value, safe="")


def _day(value: Any) -> str:
    try:
        found = moment(value)
    except ValueError:
        return written(value)
    return "" if found is None else found.date().isoformat()


def _money(value: Any, currency: Any) -> str:
    """Write an amount that is given in the smallest unit of its currency."""
    if isinstance(value, bool) or not isinstance(value, int):
        return written(value)
    code = written(currency).upper()
    digits = 0 if code in _WITHOUT_CENTS else 3 if code in _WITH_MILS else 2
    return f"{Decimal(value).scaleb(-digits):f} {code}".strip()


def _names(value: Any) -> str:
    """Write an object with the names of what it holds, not with all of its fields."""
    if isinstance(value, dict):
        return written({name: _name(one) for name, one in value.items()})
    return written(_name(value))


def _name(value: Any) -> Any:
    if isinstance(value, list):
        return [_name(one) for one in value]
    if isinstance(value, dict):
        return next((value[key] for key in _NAMES if value.get(key)), None)
    return value


FILTERS: dict[str, Callable[[Any], str]] = {
    "date": _day,
    "names": _names,
    "lower": lambda value: written(value).lower(),
    "upper": lambda value: written(value).upper(),
}
