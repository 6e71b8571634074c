"""What former filters mean, against an oracle that reads them as they are."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import (
    MOST_CONDITIONS,
    NOTHING,
    Condition,
    Filter,
    FilterGroup,
    Operator,
    Scalar,
    negated,
)
from wellhead.search.former_filter import translate

Json = dict[str, Any]
DAYS = ["2024-01-01", "2025-06-30"]
NAMES = ["a", "ab", ""]
SYSTEM = "airweave_system_metadata."


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Passage:
    """Each field with what it holds; a name that is known by two keys."""

    name: str
    steps: tuple[str, ...]
    created_at: datetime | None
    chunk_index: int

    def held(self, key: str) -> Sequence[Scalar]:
        return {
            "name": (self.name,),
            "breadcrumbs.name": self.steps,
            "created_at": () if self.created_at is None else (self.created_at,),
            "chunk_index": (self.chunk_index,),
            f"{SYSTEM}chunk_index": (self.chunk_index,),
        }[key]


PASSAGES = [
    Passage(name, steps, created_at, index)
    for name in NAMES
    for steps in ((), ("a",), ("ab", ""))
    for created_at in (None, day(DAYS[0]), day(DAYS[1]))
    for index in (0, 3)
]


ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
ORDERING = dict(
    zip(
        (
            Operator.GREATER_THAN,
            Operator.GREATER_THAN_OR_EQUAL,
            Operator.LESS_THAN,
            Operator.LESS_THAN_OR_EQUAL,
        ),
        ORDER.values(),
        strict=True,
    )
)


def condition_holds(condition: Condition, one: Passage) -> bool:
    """The meaning of our filter language, as the conformance tests fix it."""
    if condition.is_negated:
        return not condition_holds(negated(condition), one)
    held, wanted = one.held(condition.field), condition.values
    match condition.operator:
        case Operator.EQUALS | Operator.IN:
            return any(value in wanted for value in held)
        case Operator.NOT_EQUALS | Operator.NOT_IN:
            return not any(value in wanted for value in held)
        case Operator.CONTAINS:
            return any(str(wanted[0]) in str(value) for value in held)
        case ordering:
            return any(ORDERING[ordering](value, wanted[0]) for value in held)


def found_by(groups: Filter) -> list[Passage]:
    return [
        one
        for one in PASSAGES
        if not groups
        or any(all(condition_holds(c, one) for c in g.conditions) for g in groups)
    ]


def oracle(asked: Json, one: Passage) -> bool:
    """The former language in plain words: a condition, or a filter."""
    if "key" in asked:
        held = one.held(asked["key"])
        return all(part_holds(part, asked[part], held) for part in set(asked) - {"key"})
    if "is_null" in asked:
        return not one.held(asked["is_null"]["key"])
    met = [oracle(part, one) for part in asked.get("should", [])]
    return (
        all(oracle(part, one) for part in asked.get("must", []))
        and (not met or sum(met) >= asked.get("minimum_should_match", 1))
        and not any(oracle(part, one) for part in asked.get("must_not", []))
    )


def part_holds(kind: str, asked: Any, held: Sequence[Any]) -> bool:
    if kind == "is_empty":
        return bool(held) is not asked
    if kind == "range":
        return any(
            all(
                ORDER[name](value, day(bound) if isinstance(bound, str) else bound)
                for name, bound in asked.items()
            )
            for value in held
        )
    [(how, wanted)] = asked.items()
    match how:
        case "value":
            return wanted in held
        case "any":
            return any(value in wanted for value in held)
        case "except":
            return any(value not in wanted for value in held)
        case _:
            return any(wanted in value for value in held)


def asks(key: str, kind: str, value: st.SearchStrategy[Any]) -> Any:
    return value.map(lambda chosen: {"key": key, kind: chosen})


names = st.sampled_from(NAMES)
leaves = st.one_of(
    asks("name", "match", st.fixed_dictionaries({"value": names})),
    asks("name", "match", st.fixed_dictionaries({"any": st.lists(names)})),
    asks("name", "match", st.fixed_dictionaries({"except": st.lists(names)})),
    asks("breadcrumbs.name", "match", st.fixed_dictionaries({"text": names})),
    asks("breadcrumbs.name", "match", st.fixed_dictionaries({"value": names})),
    asks("breadcrumbs.name", "is_empty", st.booleans()),
    st.just({"is_null": {"key": "created_at"}}),
    asks(
        "created_at",
        "range",
        st.dictionaries(
            st.sampled_from(list(ORDER)), st.sampled_from(DAYS), min_size=1
        ),
    ),
    asks(
        "chunk_index",
        "range",
        st.dictionaries(st.sampled_from(list(ORDER)), st.integers(-1, 4), min_size=1),
    ),
)


def clauses(parts: Any) -> Any:
    several = st.lists(parts, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "must": several,
            "should": several,
            "must_not": several,
            "minimum_should_match": st.integers(0, 4),
        },
    )


@settings(max_examples=60)
@given(clauses(st.recursive(leaves, clauses, max_leaves=6)))
def test_a_translation_finds_the_same(asked: Json) -> None:
    try:
        groups = translate(asked)
    except InvalidInputError as error:
        assume("combinations" not in error.message)
        raise

    assert found_by(groups) == [one for one in PASSAGES if oracle(asked, one)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, PASSAGES),
        ({"must": None, "should": []}, PASSAGES),
        ({"must": {"key": "name", "match": {"value": "a"}}}, ["a"]),
        ({"must": [{"has_id": ["a__chunk_0"]}]}, None),
        ({"should": [{"key": "name", "match": {"phrase": "b"}}]}, ["ab"]),
        ({"must": [{"key": "name", "match": {"any": []}}]}, []),
        ({"must_not": [{}]}, []),
        ({"should": [{"must": []}], "minimum_should_match": 2}, []),
        ({"must_not": [{"key": "chunk_index", "range": {"lt": 3.0}}]}, {3}),
        (
            {
                "min_should": {
                    "min_count": 2,
                    "conditions": [
                        {"key": "name", "match": {"text": "a"}},
                        {"key": "name", "match": {"text": "b"}},
                        {"key": "name", "match": {"value": "none"}},
                    ],
                }
            },
            ["ab"],
        ),
        (
            {
                "must": [
                    {
                        "nested": {
                            "key": "airweave_system_metadata",
                            "filter": {
                                "must_not": [{"key": "chunk_index", "is_null": True}],
                                "must": [{"key": "chunk_index", "range": {"gt": 0}}],
                            },
                        }
                    }
                ]
            },
            {3},
        ),
    ],
)
def test_other_ways_to_say_it(asked: Json, found: Any) -> None:
    groups = translate(asked)

    if found is None:
        [group] = groups
        assert group.conditions[0].field == "entity_id"
    elif isinstance(found, set):
        assert {one.chunk_index for one in found_by(groups)} == found
    elif found is PASSAGES:
        assert groups == ()
    else:
        assert sorted({one.name for one in found_by(groups)}) == found


def test_what_holds_nowhere_is_not_taken_for_no_filter() -> None:
    assert translate({"must_not": [{}]}) == NOTHING


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("source_name", f"{SYSTEM}source_name"),
        ("system_metadata.sync_id", f"{SYSTEM}sync_id"),
        (f"{SYSTEM}entity_type", f"{SYSTEM}entity_type"),
        ("source_connection_id", f"{SYSTEM}sync_id"),
        ("original_entity_id", f"{SYSTEM}original_entity_id"),
        ("id", "entity_id"),
        ("breadcrumbs[].name", "breadcrumbs.name"),
    ],
)
def test_fields_are_known_by_their_former_names(key: str, field: str) -> None:
    asked = {"must": [{"key": key, "match": {"value": "x"}}]}

    assert translate(asked) == (
        FilterGroup((Condition(field, Operator.EQUALS, ("x",)),)),
    )


def test_one_step_of_the_breadcrumbs_can_be_asked_for() -> None:
    one = {"key": "name", "match": {"value": "a"}}
    asked = {"must": [{"nested": {"key": "breadcrumbs", "filter": {"must": [one]}}}]}

    assert {p.steps for p in found_by(translate(asked))} == {("a",)}


def _must(**condition: Any) -> Json:
    return {"must": [condition]}


def _steps(**clauses: Any) -> Json:
    return _must(nested={"key": "breadcrumbs", "filter": clauses})


A = {"key": "name", "match": {"value": "a"}}


def _deep(levels: int) -> Json:
    return {"must": [_deep(levels - 1)]} if levels else A


def _pairs(count: int) -> Json:
    return {"must": [{"should": [A, A]} for _ in range(count)]}


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("x", "filter"),
        ({"where": []}, "filter"),
        ({"must": ["x"]}, "filter.must.0"),
        (_must(key="nope", match={"value": 1}), "filter.must.0.key"),
        (_must(key=["name"], match={"value": 1}), "filter.must.0.key"),
        (_must(key="name"), "filter.must.0"),
        (_must(key="name", geo_radius={}), "filter.must.0"),
        (_must(key="name", values_count={"gt": 1}), "filter.must.0"),
        (_must(key="name", is_null="yes"), "filter.must.0.is_null"),
        (_must(key="name", match="a"), "filter.must.0.match"),
        (_must(key="name", match={}), "filter.must.0.match"),
        (_must(key="name", match={"value": {}}), "filter.must.0.match.value"),
        (_must(key="name", match={"value": None}), "filter.must.0.match.value"),
        (_must(key="name", match={"value": ["a"]}), "filter.must.0.match.value"),
        (_must(key="name", match={"any": 1}), "filter.must.0.match.any"),
        (_must(key="name", range={"gt": "a"}), "filter.must.0.range.gt"),
        (_must(key="created_at", range={"gt": 5}), "filter.must.0.range.gt"),
        (_must(key="created_at", range={"after": 5}), "filter.must.0.range"),
        (_must(key="chunk_index", range={"gt": 2.5}), "filter.must.0.range.gt"),
        (_must(key="breadcrumbs.name", match={"except": ["a"]}), None),
        (_must(has_vector="x"), "filter.must.0"),
        (_steps(must=[A, A]), None),
        (_steps(must_not=[A]), None),
        (_steps(), None),
        ({"should": [A], "minimum_should_match": "all"}, "filter"),
        (_deep(30), None),
        (_pairs(9), "filter"),
        ({"must": [A] * (MOST_CONDITIONS + 1)}, "filter.must"),
        ({"should": [{"should": [A] * 999}] * 99}, "filter"),
        (_must(key="name", match={"any": ["a"] * 100_000}), "filter"),
        ({"should": [_must(**A)] * 999 + [{"must": [A, A]}]}, "filter"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_place(
    asked: Any, where: str | None
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        translate(asked)

    if where:
        assert refused.value.field == where
    assert len(refused.value.message) < 1000


def test_refusals_repeat_no_long_input() -> None:
    asked: Mapping[str, Any] = _must(key="k" * 10_000, match={"value": 1})

    with pytest.raises(InvalidInputError) as refused:
        translate(asked)
    assert "k" * 100 not in refused.value.message
