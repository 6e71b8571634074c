"""Filters that a language model makes: read with care, and only ever narrowing."""

from collections.abc import Mapping
from typing import Any

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import (
    FIELDS,
    Condition,
    Filter,
    FilterGroup,
    Operator,
    RawValue,
    condition,
    require_moderate,
)

FILTER_SCHEMA: dict[str, Any] = {
    "type": "array",
    "description": "Only what passes one of these groups; a group passes if all its "
    "conditions hold. Leave it out unless the question itself calls for it.",
    "items": {
        "type": "object",
        "properties": {
            "conditions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string", "enum": list(FIELDS)},
                        "operator": {
                            "type": "string",
                            "enum": [one.value for one in Operator],
                        },
                        "value": {
                            "anyOf": [
                                {"type": "string"},
                                {"type": "integer"},
                                {"type": "array", "items": {"type": "string"}},
                            ],
                            "description": "Dates as ISO 8601; lists for in, not_in.",
                        },
                    },
                    "required": ["field", "operator", "value"],
                },
            }
        },
        "required": ["conditions"],
    },
}


def filter_of(given: Any) -> Filter:
    """Return the filter that JSON means; raises InvalidInputError."""
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InvalidInputError("filter_groups must be a list")
    groups = tuple(_group(one) for one in given)
    require_moderate(groups)
    return groups


def narrowed(user: Filter, made: Filter) -> Filter:
    """Return what passes both; raises InvalidInputError if that is too much to ask."""
    if not user or not made:
        return user or made
    both = tuple(
        FilterGroup((*one.conditions, *other.conditions))
        for one in user
        for other in made
    )
    require_moderate(both)
    return both


def _group(given: Any) -> FilterGroup:
    if not isinstance(given, Mapping) or not isinstance(given.get("conditions"), list):
        raise InvalidInputError("a filter group must hold a list of conditions")
    return FilterGroup(tuple(_condition(one) for one in given["conditions"]))


def _condition(given: Any) -> Condition:
    if not isinstance(given, Mapping):
        raise InvalidInputError("a condition must be an object")
    try:
        operator = Operator(str(given.get("operator")))
    except ValueError as error:
        raise InvalidInputError("a condition has no such operator") from error
    return condition(str(given.get("field")), operator, _value(given.get("value")))


def _value(given: Any) -> RawValue:
    several = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str | int) for one in several):
        raise InvalidInputError("a condition compares with texts or whole numbers")
    value: RawValue = given
    return value
