"""Finding, in a request that the database refused, what could not be stored."""

import math
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

MOST_NAMED = 10
_LARGEST = 2**63


def odd_places(request: Request) -> list[tuple[str, str]]:
    """Return where something odd was sent, and what is wrong with it."""
    # the body as the route read it: what was not read by now never will be
    sent = {
        "path": request.path_params,
        "query": dict(request.query_params.multi_items()),
        "body": getattr(request, "_json", None),
    }
    found = _odd(sent, "")
    return [one for one, _ in zip(found, range(MOST_NAMED), strict=False)]


def _odd(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            inside = f"{place}.{name}" if place else str(name)
            yield from _odd(str(name), place)
            yield from _odd(one, inside)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _odd(one, f"{place}.{number}")
    elif (said := _wrong(value)) is not None:
        yield _readable(place), said


def _wrong(value: Any) -> str | None:
    if isinstance(value, str):
        return _wrong_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "Input should be a finite number"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return "Input should be a number of at most 64 bits"
    return None


def _wrong_text(text: str) -> str | None:
    if "\x00" in text:
        return "Input should not contain NUL characters"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "Input should not contain half a surrogate pair"
    return None


def _readable(place: str) -> str:
    return place.encode("ascii", "backslashreplace").decode("ascii").replace("\0", "")
