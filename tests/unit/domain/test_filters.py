"""What a filter may say, and what it means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import (
    FIELDS,
    MOST_CONDITIONS,
    MOST_VALUES,
    ORDERING,
    FieldType,
    Filter,
    FilterGroup,
    Operator,
    condition,
    negated,
    require_moderate,
)

CHUNK = "airweave_system_metadata.chunk_index"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("operator", Operator)
def test_every_pair_is_allowed_or_refused_by_type(
    field: str, operator: Operator
) -> None:
    kind = FIELDS[field]
    value: Any = {
        FieldType.TEXT: "a",
        FieldType.NUMBER: 1,
        FieldType.DATE: "2026-01-01",
    }[kind]
    if operator in (Operator.IN, Operator.NOT_IN):
        value = [value]
    is_refused = (kind is FieldType.TEXT and operator in ORDERING) or (
        kind is not FieldType.TEXT and operator is Operator.CONTAINS
    )

    if is_refused:
        with pytest.raises(InvalidInputError) as caught:
            condition(field, operator, value)
        assert caught.value.field == field
    else:
        assert len(condition(field, operator, value).values) == 1


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("nothing", Operator.EQUALS, "a"),
        ("name", Operator.EQUALS, ["a"]),
        (CHUNK, Operator.IN, 3),
        (CHUNK, Operator.EQUALS, "three"),
        (CHUNK, Operator.EQUALS, True),
        (CHUNK, Operator.IN, [1, True]),
        ("created_at", Operator.EQUALS, "yesterday"),
        ("created_at", Operator.EQUALS, 20260101),
        ("created_at", Operator.IN, ["2026-01-01", "soon"]),
        ("created_at", Operator.EQUALS, "0001-01-01T00:00+14:00"),
    ],
)
def test_what_makes_no_sense_is_refused(
    field: str, operator: Operator, value: Any
) -> None:
    with pytest.raises(InvalidInputError):
        condition(field, operator, value)


def test_a_bare_text_is_a_list_of_one() -> None:
    assert condition("name", Operator.IN, "a").values == ("a",)


def test_dates_without_an_offset_are_utc() -> None:
    moments = [
        condition("created_at", Operator.EQUALS, text).values[0]
        for text in ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T01:00+01:00")
    ]

    assert moments == [datetime(2026, 1, 1, tzinfo=UTC)] * 3


def test_an_empty_list_stays_empty() -> None:
    assert condition("name", Operator.IN, []).values == ()


def test_a_refusal_repeats_no_long_value() -> None:
    with pytest.raises(InvalidInputError) as refused:
        condition("created_at", Operator.EQUALS, "x" * 10_000)

    assert len(refused.value.message) < 200


def test_twice_negated_is_as_it_was() -> None:
    one = condition("name", Operator.CONTAINS, "a")

    assert negated(one) != one
    assert negated(negated(one)) == one


NAMED = condition("name", Operator.EQUALS, "a")
LISTED = condition("name", Operator.IN, ["a"] * MOST_VALUES)


@pytest.mark.parametrize(
    ("groups", "is_moderate"),
    [
        ((), True),
        ((FilterGroup((NAMED,)),) * MOST_CONDITIONS, True),
        ((FilterGroup((NAMED,) * MOST_CONDITIONS),), True),
        ((FilterGroup((LISTED,)),), True),
        ((FilterGroup((NAMED,)),) * (MOST_CONDITIONS + 1), False),
        ((FilterGroup((NAMED,) * (MOST_CONDITIONS + 1)),), False),
        ((FilterGroup(()),) * (MOST_CONDITIONS + 1), False),
        ((FilterGroup((LISTED, NAMED)),), False),
    ],
)
def test_a_filter_has_bounds(groups: Filter, is_moderate: bool) -> None:
    if is_moderate:
        require_moderate(groups)
        return
    with pytest.raises(InvalidInputError, match="may hold"):
        require_moderate(groups)
