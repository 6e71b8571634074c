"""Filters of the former search endpoint, said in the filter language of today."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import (
    FIELDS,
    MOST_CONDITIONS,
    NOTHING,
    Condition,
    FieldType,
    Filter,
    FilterGroup,
    Operator,
    condition,
    negated,
    presence,
    require_moderate,
)

_SYSTEM = "airweave_system_metadata."
_STEPS = "breadcrumbs."
_ALSO_KNOWN_AS = {
    "id": "entity_id",
    "source_connection_id": f"{_SYSTEM}sync_id",
    **{
        f"{before}{field.removeprefix(_SYSTEM)}": field
        for field in FIELDS
        if field.startswith(_SYSTEM)
        for before in ("", "system_metadata.")
    },
}
_CLAUSES = ("must", "should", "must_not", "min_should", "minimum_should_match")
_RANGE = {
    "gt": Operator.GREATER_THAN,
    "gte": Operator.GREATER_THAN_OR_EQUAL,
    "lt": Operator.LESS_THAN,
    "lte": Operator.LESS_THAN_OR_EQUAL,
}
_MATCHES = ("value", "any", "except", "text", "phrase")
_DEEPEST = 20
_LONGEST = 20_000
"""Parts of the JSON: more than enough for as many conditions as a filter may hold."""

Alternatives = tuple[tuple[Condition, ...], ...]
"""Of the outer ones at least one holds, of the inner ones all."""
_TRUE: Alternatives = ((),)
_FALSE: Alternatives = ()


def translate(given: Any) -> Filter:
    """Return what a must/should/must_not filter means; it lets the same pass.

    Raises InvalidInputError, which says where, for an unknown key and for what the
    filter language cannot say.
    """
    _require_short(given)
    found = _filter(given, "filter", prefix="", depth=0)
    if found == _FALSE:
        return NOTHING  # without groups a filter would let everything pass
    if () in found:
        return ()
    groups = tuple(FilterGroup(group) for group in found)
    require_moderate(groups)
    return groups


def _require_short(given: Any) -> None:
    left, seen = [given], 0
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list):
            left += one
        seen += 1
        if seen + len(left) > _LONGEST:
            raise _refusal("is too long", "filter")


def _filter(given: Any, where: str, *, prefix: str, depth: int) -> Alternatives:
    if depth > _DEEPEST:
        raise _refusal("is nested too deeply", where)
    clauses = _object(given, where, _CLAUSES)

    def read(name: str) -> list[Alternatives]:
        return _conditions(
            clauses.get(name), f"{where}.{name}", prefix=prefix, depth=depth
        )

    must, must_not = read("must"), read("must_not")
    parts = [*must, *(_opposite(one, where) for one in must_not)]
    should = read("should")
    if should:
        least = clauses.get("minimum_should_match")
        parts.append(_at_least(1 if least is None else least, should, where))
    if clauses.get("min_should") is not None:
        place = f"{where}.min_should"
        counted = _object(clauses["min_should"], place, ("conditions", "min_count"))
        found = _conditions(
            counted.get("conditions"), place, prefix=prefix, depth=depth
        )
        parts.append(_at_least(counted.get("min_count"), found, place))
    return _all_of(parts, where)


def _conditions(
    given: Any, where: str, *, prefix: str, depth: int
) -> list[Alternatives]:
    """Read a list of conditions, or one alone."""
    if given is None:
        return []
    if not isinstance(given, list):
        return [_condition(given, where, prefix=prefix, depth=depth)]
    if len(given) > MOST_CONDITIONS:
        raise _refusal(f"may hold {MOST_CONDITIONS} conditions", where)
    return [
        _condition(one, f"{where}.{place}", prefix=prefix, depth=depth)
        for place, one in enumerate(given)
    ]


def _condition(given: Any, where: str, *, prefix: str, depth: int) -> Alternatives:
    if not isinstance(given, Mapping):
        raise _refusal("must be an object", where)
    if "key" in given:
        return _field_condition(given, where, prefix)
    if "nested" in given:
        return _nested(given["nested"], f"{where}.nested", depth)
    if "has_id" in given:
        _object(given, where, ("has_id",))
        return _only(_compared("entity_id", Operator.IN, given["has_id"], where))
    for name in ("is_null", "is_empty"):
        if name in given:
            _object(given, where, (name,))
            place = f"{where}.{name}"
            field = _field(_object(given[name], place, ("key",)), place, prefix)
            return _only(negated(presence(field)))
    return _filter(given, where, prefix=prefix, depth=depth + 1)


def _nested(given: Any, where: str, depth: int) -> Alternatives:
    """Read conditions on one object inside the entity.

    Several conditions on one step of the breadcrumbs cannot be said: here each would
    be met by any step.
    """
    asked = _object(given, where, ("key", "filter"))
    prefix = f"{_text(asked.get('key'), f'{where}.key').removesuffix('[]')}."
    found = _filter(
        asked.get("filter"), f"{where}.filter", prefix=prefix, depth=depth + 1
    )
    if prefix == _STEPS and not all(_asks_for_one(group) for group in found):
        raise _refusal("takes one positive condition on breadcrumbs", where)
    return found


def _field_condition(given: Mapping[str, Any], where: str, prefix: str) -> Alternatives:
    known = ("key", "match", "range", "is_null", "is_empty")
    asked = {
        name: value
        for name, value in _object(given, where, None).items()
        if value is not None
    }
    field = _field(asked, where, prefix)
    unknown = set(asked) - set(known)
    if unknown or len(asked) < 2:
        named = ", ".join(sorted(unknown)) or "nothing"
        raise _refusal(f"asks for {named}; known: match, range, is_null", where)
    parts: list[Alternatives] = []
    if "match" in asked:
        parts.append(_match(field, asked["match"], f"{where}.match"))
    if "range" in asked:
        parts.append(_range(field, asked["range"], f"{where}.range"))
    for name in ("is_null", "is_empty"):
        if name in asked:
            if not isinstance(asked[name], bool):
                raise _refusal("takes true or false", f"{where}.{name}")
            present = presence(field)
            parts.append(_only(negated(present) if asked[name] else present))
    return _all_of(parts, where)


def _match(field: str, given: Any, where: str) -> Alternatives:
    asked = _object(given, where, _MATCHES)
    if len(asked) != 1:
        raise _refusal(f"takes one of {', '.join(_MATCHES)}", where)
    [(kind, value)] = asked.items()
    place = f"{where}.{kind}"
    match kind:
        case "value":
            return _only(_compared(field, Operator.EQUALS, value, place))
        case "any":
            return _only(_compared(field, Operator.IN, value, place))
        case "except":
            if field.startswith(_STEPS):
                raise _refusal("cannot be asked of breadcrumbs", place)
            others = _compared(field, Operator.NOT_IN, value, place)
            return ((others, presence(field)),)
        case _:
            return _only(_compared(field, Operator.CONTAINS, value, place))


def _range(field: str, given: Any, where: str) -> Alternatives:
    bounds = {
        name: value
        for name, value in _object(given, where, tuple(_RANGE)).items()
        if value is not None
    }
    if not bounds:
        raise _refusal(f"takes {', '.join(_RANGE)}", where)
    return (
        tuple(
            _compared(field, _RANGE[name], value, f"{where}.{name}")
            for name, value in bounds.items()
        ),
    )


def _compared(field: str, operator: Operator, value: Any, where: str) -> Condition:
    """Return the condition, with whole numbers where JSON wrote them as 3.0."""
    values = value if isinstance(value, list) else [value]
    if FIELDS[field] is FieldType.NUMBER:
        values = [
            int(one) if isinstance(one, float) and one.is_integer() else one
            for one in values
        ]
    if not all(isinstance(one, str | int) for one in values):
        raise _refusal("takes text, whole numbers, true and false", where)
    try:
        return condition(
            field, operator, values if isinstance(value, list) else values[0]
        )
    except InvalidInputError as error:
        raise _refusal(error.message, where) from error


def _field(asked: Mapping[str, Any], where: str, prefix: str) -> str:
    key = prefix + _text(asked.get("key"), f"{where}.key").replace("[]", "")
    field = _ALSO_KNOWN_AS.get(key, key)
    if field not in FIELDS:
        known = ", ".join((*FIELDS, *_ALSO_KNOWN_AS))
        raise _refusal(f"'{key[:60]}' is not known. Known: {known}", f"{where}.key")
    return field


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _refusal("must be text", where)
    return value


def _object(given: Any, where: str, known: Sequence[str] | None) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _refusal("must be an object", where)
    if known is not None:
        for name in given:
            if name not in known:
                said = f"'{str(name)[:60]}' is not known. Known: {', '.join(known)}"
                raise _refusal(said, where)
    return given


def _refusal(message: str, where: str) -> InvalidInputError:
    return InvalidInputError(f"{where}: {message}", field=where)


def _asks_for_one(group: tuple[Condition, ...]) -> bool:
    opposite = (Operator.NOT_EQUALS, Operator.NOT_IN)
    return len(group) == 1 and not (
        group[0].is_negated or group[0].operator in opposite
    )


def _only(condition: Condition) -> Alternatives:
    return ((condition,),)


def _all_of(parts: Iterable[Alternatives], where: str) -> Alternatives:
    found = _TRUE
    for part in parts:
        _require_moderate(found, part, where)
        found = tuple((*group, *other) for group in found for other in part)
    return found


def _any_of(parts: Iterable[Alternatives]) -> Alternatives:
    return tuple(group for part in parts for group in part)


def _opposite(found: Alternatives, where: str) -> Alternatives:
    return _all_of([tuple((negated(one),) for one in group) for group in found], where)


def _at_least(least: Any, parts: Sequence[Alternatives], where: str) -> Alternatives:
    if isinstance(least, bool) or not isinstance(least, int):
        raise _refusal("takes a whole number of conditions", where)
    if least < 1:
        return _TRUE
    if least > len(parts):
        return _FALSE
    if comb(len(parts), least) > MOST_CONDITIONS:
        raise _refusal("has too many combinations", where)
    return _any_of(_all_of(chosen, where) for chosen in combinations(parts, least))


def _require_moderate(one: Alternatives, other: Alternatives, where: str) -> None:
    """Refuse before multiplying: a short filter can mean very much."""
    size = len(one) * len(other) * max(_longest(one) + _longest(other), 1)
    if size > MOST_CONDITIONS:
        raise _refusal("has too many combinations", where)


def _longest(found: Alternatives) -> int:
    return max(map(len, found), default=0)
