"""Whether a result passes a filter, as an index would decide it."""

from collections.abc import Iterable

from wellhead.domain.filters import Condition, Filter, Operator, Scalar
from wellhead.domain.search import SearchResult

SYSTEM = "airweave_system_metadata."


def passes(result: SearchResult, groups: Filter) -> bool:
    return not groups or any(
        all(_holds(one, _held(result, one.field)) for one in group.conditions)
        for group in groups
    )


def may_pass(source_name: str, sync_id: str, groups: Filter) -> bool:
    """Tell whether a filter leaves anything of a connection."""
    known = {SYSTEM + "source_name": source_name, SYSTEM + "sync_id": sync_id}
    return not groups or any(
        all(
            _holds(one, [known[one.field]])
            for one in group.conditions
            if one.field in known
        )
        for group in groups
    )


def _holds(condition: Condition, held: list[Scalar]) -> bool:
    return _compares(condition, held) is not condition.is_negated


def _compares(condition: Condition, held: list[Scalar]) -> bool:
    """One value that is held is enough; not equal is whatever holds none of them."""
    wanted = condition.values
    match condition.operator:
        case Operator.EQUALS | Operator.IN:
            return not set(wanted).isdisjoint(held)
        case Operator.NOT_EQUALS | Operator.NOT_IN:
            return set(wanted).isdisjoint(held)
        case Operator.CONTAINS:
            needle = str(wanted[0]).lower()
            return any(needle in str(one).lower() for one in held)
        case _:
            return any(_is_ordered(condition.operator, one, wanted[0]) for one in held)


def _is_ordered(operator: Operator, held: Scalar, wanted: Scalar) -> bool:
    one, other = _sortable(held), _sortable(wanted)
    if operator is Operator.GREATER_THAN:
        return one > other
    if operator is Operator.LESS_THAN:
        return one < other
    if operator is Operator.GREATER_THAN_OR_EQUAL:
        return one >= other
    return one <= other


def _sortable(value: Scalar) -> float:
    """Only dates and numbers are ordered, each among themselves."""
    if isinstance(value, str):
        raise TypeError("texts are not ordered")
    return value if isinstance(value, int) else value.timestamp()


def _held(result: SearchResult, field: str) -> list[Scalar]:
    """Return what a field holds; an empty list where it holds nothing."""
    steps, job_id = result.breadcrumbs, result.sync_job_id
    held: dict[str, Iterable[Scalar | None]] = {
        "entity_id": [result.entity_id],
        "name": [result.name],
        "created_at": [result.created_at],
        "updated_at": [result.updated_at],
        "breadcrumbs.entity_id": [step.entity_id for step in steps],
        "breadcrumbs.name": [step.name for step in steps],
        "breadcrumbs.entity_type": [step.entity_type for step in steps],
        SYSTEM + "entity_type": [result.entity_type],
        SYSTEM + "source_name": [result.source_name],
        SYSTEM + "original_entity_id": [result.original_entity_id],
        SYSTEM + "chunk_index": [result.chunk_index],
        SYSTEM + "sync_id": [str(result.sync_id)],
        SYSTEM + "sync_job_id": [None if job_id is None else str(job_id)],
    }
    return [value for value in held[field] if value is not None]
