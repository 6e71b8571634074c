"""What is around a passage: the ones before and after it, and its relatives."""

from collections.abc import Awaitable, Callable, Sequence

from wellhead.domain.filters import (
    Condition,
    Filter,
    FilterGroup,
    Operator,
    condition,
    negated,
    presence,
)
from wellhead.domain.search import SearchResult

MOST_LISTED = 50
MOST_LOOKED_AT = 500
"""Relatives are picked out of this many that share a step of the way."""
_SYSTEM = "airweave_system_metadata."
_STEP = "breadcrumbs.entity_id"

Find = Callable[[Filter, int], Awaitable[list[SearchResult]]]
"""Returns so many of what passes a filter, within all that may be seen."""


class Around:
    """Finds by breadcrumbs, which name the way to an entity from its source's root."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def passages(
        self, around: Sequence[SearchResult], distance: int
    ) -> list[SearchResult]:
        """Return the passages before and after each, in the order of the texts."""
        groups = tuple(
            FilterGroup((*_same_entity(one), _near(one, distance))) for one in around
        )
        found = await self._find(groups, len(around) * (2 * distance + 1))
        own = {_place(one) for one in around}
        others = [one for one in found if _place(one) not in own]
        return sorted(others, key=_place)

    async def children(
        self, entity_id: str, named: Sequence[SearchResult]
    ) -> list[SearchResult]:
        """Return what is directly inside; an id that no passage has is a step's."""
        if not named:
            return await self._inside(entity_id)
        of = named[0]
        return await self._inside(of.original_entity_id, _same_source(of))

    async def siblings(self, of: SearchResult) -> list[SearchResult]:
        if of.breadcrumbs:
            step = of.breadcrumbs[-1].entity_id
            found = await self._inside(step, _same_source(of))
        else:
            root = negated(presence(_STEP))
            found = await self._find(
                _all(root, _same_source(of), _first()), MOST_LISTED + 1
            )
        return [one for one in found if _entity(one) != _entity(of)][:MOST_LISTED]

    async def parent(self, of: SearchResult) -> list[SearchResult]:
        """Return the entity of the last step; many steps are no entities."""
        if not of.breadcrumbs:
            return []
        step = of.breadcrumbs[-1]
        is_step = _equals(f"{_SYSTEM}original_entity_id", step.entity_id)
        is_kind = _equals(f"{_SYSTEM}entity_type", step.entity_type)
        return await self._find(_all(is_step, is_kind, _same_source(of), _first()), 1)

    async def _inside(self, step: str, *also: Condition) -> list[SearchResult]:
        found = await self._find(
            _all(_equals(_STEP, step), *also, _first()), MOST_LOOKED_AT
        )
        direct = [one for one in found if one.breadcrumbs[-1].entity_id == step]
        return direct[: MOST_LISTED + 1]


def _all(*conditions: Condition) -> Filter:
    return (FilterGroup(conditions),)


def _equals(field: str, value: str | int) -> Condition:
    return condition(field, Operator.EQUALS, value)


def _first() -> Condition:
    """Let one passage stand for its entity."""
    return _equals(f"{_SYSTEM}chunk_index", 0)


def _same_source(one: SearchResult) -> Condition:
    return _equals(f"{_SYSTEM}sync_id", str(one.sync_id))


def _same_entity(one: SearchResult) -> tuple[Condition, ...]:
    return (
        _same_source(one),
        _equals(f"{_SYSTEM}entity_type", one.entity_type),
        _equals(f"{_SYSTEM}original_entity_id", one.original_entity_id),
    )


def _near(one: SearchResult, distance: int) -> Condition:
    first = max(one.chunk_index - distance, 0)
    places = list(range(first, one.chunk_index + distance + 1))
    return condition(f"{_SYSTEM}chunk_index", Operator.IN, places)


def _entity(one: SearchResult) -> tuple[str, str, str]:
    return str(one.sync_id), one.entity_type, one.original_entity_id


def _place(one: SearchResult) -> tuple[str, str, str, int]:
    return *_entity(one), one.chunk_index
