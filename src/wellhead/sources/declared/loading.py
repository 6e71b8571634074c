"""From a file's text to a definition, or to everything that is wrong with it."""

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from wellhead.sources.declared.consistency import inconsistencies
from wellhead.sources.declared.definition import Definition
from wellhead.sources.declared.marks import (
    DefinitionError,
    Location,
    Marked,
    Problem,
    read,
)

SCHEMA = Definition.model_json_schema()


def load(text: str) -> Definition:
    """Read a definition; raises DefinitionError with a line for each problem."""
    marked = read(text)
    if not isinstance(marked.value, dict):
        raise DefinitionError([Problem(1, "keys are expected, such as 'name: …'")])
    try:
        definition = Definition.model_validate(marked.value)
    except ValidationError as error:
        raise DefinitionError(list(_problems(error, marked))) from None
    wrong = [
        Problem(marked.line_of(where), f"{_dotted(where)}: {reason}")
        for where, reason in inconsistencies(definition)
    ]
    if wrong:
        raise DefinitionError(wrong)
    return definition


def _problems(error: ValidationError, marked: Marked) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_input=False):
        where: Location = tuple(one["loc"])
        line = marked.line_of(where)
        if one["type"] == "extra_forbidden":
            yield Problem(line, _unknown(where))
        elif one["type"] == "missing":
            yield Problem(line, f"{_dotted(where[:-1])}: '{where[-1]}' is missing")
        else:
            said = one["msg"].removeprefix("Value error, ")
            yield Problem(line, f"{_dotted(where)}: {said}")


def _unknown(where: Location) -> str:
    known = sorted(_keys_at(where[:-1]))
    near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"{_dotted(where[:-1])}: unknown key '{where[-1]}'; {hint}"


def _keys_at(where: Location) -> set[str]:
    """Return which keys the format knows at a place."""
    part: dict[str, Any] = SCHEMA
    for step in where:
        if isinstance(step, int):
            part = _resolved(part.get("items"))
            continue
        named = [part.get("properties", {}).get(step), part.get("additionalProperties")]
        part = _resolved(next(filter(None, [*named, *_patterns(part)]), None))
    return set(part.get("properties", {}))


def _patterns(part: dict[str, Any]) -> list[Any]:
    """Return what the values of a mapping are, whose keys people choose."""
    return list(part.get("patternProperties", {}).values())


def _resolved(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {}
    options = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    found: dict[str, Any] = options[0] if options else part
    if "$ref" in found:
        found = SCHEMA["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def _dotted(where: Location) -> str:
    return ".".join(map(str, where)) or "the file"
