"""What a query may see, as a predicate in Lance's SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import assert_never
from uuid import UUID

from wellhead.domain.filters import Condition, Filter, FilterGroup, Operator, Scalar
from wellhead.domain.ports import Scope
from wellhead.domain.principals import Principal
from wellhead.index.lance_rows import ANYBODY, number_of, plain_text

_SYSTEM = "airweave_system_metadata."
_COLUMNS = {
    "entity_id": "concat(source_id, '__chunk_', cast(ordinal as string))",
    "name": "name",
    # instants are compared as microseconds: literals of timestamps hold 1677 to 2262
    "created_at": "cast(created_at as bigint)",
    "updated_at": "cast(updated_at as bigint)",
    _SYSTEM + "entity_type": "entity_type",
    _SYSTEM + "source_name": "source_name",
    _SYSTEM + "original_entity_id": "source_id",
    _SYSTEM + "chunk_index": "cast(ordinal as bigint)",
    _SYSTEM + "sync_id": "connection_id",
    _SYSTEM + "sync_job_id": "job_id",
}
_LISTS = {
    "breadcrumbs.entity_id": "breadcrumb_ids",
    "breadcrumbs.name": "breadcrumb_names",
    "breadcrumbs.entity_type": "breadcrumb_types",
}
_ORDERING = {
    Operator.GREATER_THAN: ">",
    Operator.LESS_THAN: "<",
    Operator.GREATER_THAN_OR_EQUAL: ">=",
    Operator.LESS_THAN_OR_EQUAL: "<=",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GROUP = 10_000
_LARGEST = 2**62
"""Beyond any ordinal; a larger number compares the same and still fits bigint."""


def scope_predicate(scope: Scope) -> str | None:
    """Return the predicate of a scope, None when it lets everything pass."""
    parts = []
    if scope.filter:
        parts.append(filter_predicate(scope.filter))
    if scope.hidden_connections:
        parts.append(f"connection_id NOT IN ({_uuids(scope.hidden_connections)})")
    if scope.hidden_jobs:
        hidden = f"inserted_by NOT IN ({_uuids(scope.hidden_jobs)})"
        parts.append(f"(inserted_by IS NULL OR {hidden})")
    if scope.principal is not None:
        parts.append(_seen_by(scope.principal))
    return " AND ".join(parts) or None


def filter_predicate(groups: Filter) -> str:
    """Return a predicate in parentheses for a filter with at least one group."""
    return f"({' OR '.join(_group(group) for group in groups)})"


def version_predicates(versions: Sequence[int]) -> list[str]:
    """Return predicates that select these versions together, none of them too long."""
    return [
        f"version IN ({', '.join(map(str, versions[start : start + _GROUP]))})"
        for start in range(0, len(versions), _GROUP)
    ]


def within(ordinals: range | None) -> str:
    """Return what narrows such a predicate to these chunks; nothing for None."""
    if ordinals is None:
        return ""
    return f" AND ordinal >= {ordinals.start} AND ordinal < {ordinals.stop}"


def quoted(text: str) -> str:
    """Return a string literal; a quote is doubled, nothing else is special."""
    return "'" + plain_text(text).replace("'", "''") + "'"


def _seen_by(principal: Principal) -> str:
    numbers = sorted({ANYBODY, *map(number_of, principal.names)})
    listed = f"array_has_any(readers, make_array({', '.join(map(str, numbers))}))"
    return f"(readers IS NULL OR {listed})" if principal.sees_unlisted else listed


def _group(group: FilterGroup) -> str:
    parts = [_condition(condition) for condition in group.conditions]
    return f"({' AND '.join(parts) or 'true'})"


def _condition(condition: Condition) -> str:
    if condition.is_negated:
        return (
            f"(NOT coalesce({_condition(replace(condition, is_negated=False))}, false))"
        )
    if not condition.values:
        return "true" if condition.operator is Operator.NOT_IN else "false"
    if condition.field in _LISTS:
        return _list_condition(_LISTS[condition.field], condition)
    return _scalar_condition(_COLUMNS[condition.field], condition)


def _scalar_condition(column: str, condition: Condition) -> str:
    values = ", ".join(_literal(value) for value in condition.values)
    match condition.operator:
        case Operator.EQUALS | Operator.IN:
            return f"({column} IN ({values}))"
        case Operator.NOT_EQUALS | Operator.NOT_IN:
            return f"({column} IS NULL OR {column} NOT IN ({values}))"
        case Operator.CONTAINS:
            return _contains(column, values)
        case (
            Operator.GREATER_THAN
            | Operator.LESS_THAN
            | Operator.GREATER_THAN_OR_EQUAL
            | Operator.LESS_THAN_OR_EQUAL
        ) as ordering:
            return f"({column} {_ORDERING[ordering]} {values})"
        case _ as never:
            assert_never(never)


def _list_condition(column: str, condition: Condition) -> str:
    values = ", ".join(_literal(value) for value in condition.values)
    if condition.operator is Operator.CONTAINS:
        return _list_contains(column, str(condition.values[0]))
    matches = f"array_has_any({column}, make_array({values}))"
    if condition.operator in (Operator.NOT_EQUALS, Operator.NOT_IN):
        return f"(NOT {matches})"
    return matches


def _contains(column: str, needle: str) -> str:
    return f"(strpos(lower({column}), lower({needle})) > 0)"


def _list_contains(column: str, needle: str) -> str:
    """Search the joined elements: a separator outside the needle keeps them apart."""
    if not needle:
        return f"(cardinality({column}) > 0)"
    lowered = plain_text(needle).lower()
    separator = next(chr(c) for c in count(0x1F) if chr(c).lower() not in lowered)
    joined = f"array_to_string({column}, {quoted(separator)})"
    return _contains(joined, quoted(needle))


def _literal(value: Scalar) -> str:
    match value:
        case datetime():
            return str((value - _EPOCH) // timedelta(microseconds=1))
        case int():
            return str(max(-_LARGEST, min(_LARGEST, value)))
        case str():
            return quoted(value)
        case _ as never:
            assert_never(never)


def _uuids(ids: Iterable[UUID]) -> str:
    return ", ".join(quoted(str(one)) for one in ids)
