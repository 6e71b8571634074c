"""The filter language of search: OR between groups, AND inside, typed fields."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from wellhead.domain.errors import InvalidInputError


class FieldType(StrEnum):
    """What a filterable field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"


FIELDS: dict[str, FieldType] = {
    "entity_id": FieldType.TEXT,
    "name": FieldType.TEXT,
    "created_at": FieldType.DATE,
    "updated_at": FieldType.DATE,
    "breadcrumbs.entity_id": FieldType.TEXT,
    "breadcrumbs.name": FieldType.TEXT,
    "breadcrumbs.entity_type": FieldType.TEXT,
    "airweave_system_metadata.entity_type": FieldType.TEXT,
    "airweave_system_metadata.source_name": FieldType.TEXT,
    "airweave_system_metadata.original_entity_id": FieldType.TEXT,
    "airweave_system_metadata.chunk_index": FieldType.NUMBER,
    "airweave_system_metadata.sync_id": FieldType.TEXT,
    "airweave_system_metadata.sync_job_id": FieldType.TEXT,
}


class Operator(StrEnum):
    """How a field is compared; values as on the wire."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    GREATER_THAN = "greater_than"
    LESS_THAN = "less_than"
    GREATER_THAN_OR_EQUAL = "greater_than_or_equal"
    LESS_THAN_OR_EQUAL = "less_than_or_equal"
    IN = "in"
    NOT_IN = "not_in"


ORDERING = frozenset(
    {
        Operator.GREATER_THAN,
        Operator.LESS_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
        Operator.LESS_THAN_OR_EQUAL,
    }
)

MOST_CONDITIONS = 1_000
MOST_VALUES = 10_000
"""Bounds of one filter: an index compares every chunk with all of it."""
SHOWN_CHARACTERS = 60

Scalar = str | int | datetime
RawScalar = str | int | bool
RawValue = RawScalar | Sequence[RawScalar]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `values` has one element but for `in` and `not_in`.

    A negated one holds exactly where the plain one does not: also where the field
    holds nothing.
    """

    field: str
    operator: Operator
    values: tuple[Scalar, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]


Filter = tuple[FilterGroup, ...]
"""Groups of which at least one must hold; empty means everything."""
NOTHING: Filter = (FilterGroup((Condition("name", Operator.IN, ()),)),)
"""Holds nowhere."""


def condition(field: str, operator: Operator, value: RawValue) -> Condition:
    """Check one comparison against the field's type and return it in typed form.

    Raises InvalidInputError naming the field. Dates may be ISO 8601 days or times
    (without an offset: UTC).
    """
    kind = FIELDS.get(field)
    if kind is None:
        known = ", ".join(FIELDS)
        raise InvalidInputError(f"Unknown field '{field}'. Known: {known}", field=field)
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    wants_list = operator in (Operator.IN, Operator.NOT_IN)
    if is_list and not wants_list:
        raise InvalidInputError(f"'{operator}' takes one value", field=field)
    if wants_list and not is_list and not isinstance(value, str):
        raise InvalidInputError(f"'{operator}' takes a list", field=field)
    if kind is FieldType.TEXT and operator in ORDERING:
        raise InvalidInputError(f"'{operator}' does not order text", field=field)
    if kind is not FieldType.TEXT and operator is Operator.CONTAINS:
        raise InvalidInputError(f"'contains' needs text, not a {kind}", field=field)
    raw = (
        value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    )
    return Condition(field, operator, tuple(_typed(field, kind, one) for one in raw))


def negated(condition: Condition) -> Condition:
    return replace(condition, is_negated=not condition.is_negated)


def presence(field: str) -> Condition:
    """Return what holds where the field, one of FIELDS, holds anything."""
    match FIELDS[field]:
        case FieldType.TEXT:
            return Condition(field, Operator.CONTAINS, ("",))
        case FieldType.NUMBER:
            return Condition(field, Operator.NOT_IN, ())
        case FieldType.DATE:
            first = datetime.min.replace(tzinfo=UTC)
            return Condition(field, Operator.GREATER_THAN_OR_EQUAL, (first,))


def require_moderate(groups: Filter) -> None:
    """Refuse, with InvalidInputError, a filter that is too much for one search."""
    conditions = [one for group in groups for one in group.conditions]
    require_counts(
        max(len(groups), len(conditions)), sum(len(one.values) for one in conditions)
    )


def require_counts(conditions: int, values: int) -> None:
    """Refuse, with InvalidInputError, what has more of either than a filter may."""
    if conditions > MOST_CONDITIONS:
        raise InvalidInputError(
            f"A filter may hold {MOST_CONDITIONS} conditions", field="filter"
        )
    if values > MOST_VALUES:
        raise InvalidInputError(
            f"A filter may hold {MOST_VALUES} values", field="filter"
        )


def _typed(field: str, kind: FieldType, value: RawScalar) -> Scalar:
    match kind:
        case FieldType.TEXT:
            return str(value).lower() if isinstance(value, bool) else str(value)
        case FieldType.NUMBER:
            return _number(field, value)
        case FieldType.DATE:
            return _instant(field, value)


def _number(field: str, value: RawScalar) -> int:
    try:
        if not isinstance(value, bool):
            return int(value)
    except ValueError as error:
        raise _not_a("number", field, value) from error
    raise _not_a("number", field, value)


def _instant(field: str, value: RawScalar) -> datetime:
    if not isinstance(value, str):
        raise _not_a("ISO 8601 date", field, value)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _not_a("ISO 8601 date", field, value) from error


def _not_a(kind: str, field: str, value: RawScalar) -> InvalidInputError:
    said = str(value)[:SHOWN_CHARACTERS]
    return InvalidInputError(f"'{said}' is not a valid {kind}", field=field)
