"""Only what makes sense is a plan, and no plan reaches beyond the user's filter."""

from typing import Any

import pytest

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import Filter, FilterGroup, Operator, condition
from wellhead.domain.language import Reply, ToolCall
from wellhead.domain.search import Strategy
from wellhead.search.narrow import filter_of, narrowed
from wellhead.search.plan import plan_of


def reply(name: str = "plan", **given: Any) -> Reply:
    made = {"query": {"primary": "q"}, **given}
    return Reply(calls=(ToolCall("1", name, made),))


def named(value: Any, operator: str = "equals", field: str = "name") -> list[Any]:
    return [{"conditions": [{"field": field, "operator": operator, "value": value}]}]


def only(*values: str) -> Filter:
    return tuple(
        FilterGroup((condition("name", Operator.EQUALS, one),)) for one in values
    )


def test_a_plan_says_what_to_search_for_and_how() -> None:
    plan = plan_of(
        reply(
            query={"primary": " q ", "variations": ["r", "q", "", 3, *"stuvw"]},
            retrieval_strategy="keyword",
            filter_groups=named("x"),
        )
    )

    assert plan.queries == ("q", "r", "s", "t", "u")
    assert plan.strategy is Strategy.KEYWORD
    assert plan.filter == only("x")


def test_a_plan_may_leave_out_what_is_usual() -> None:
    plan = plan_of(reply())

    assert (plan.queries, plan.strategy, plan.filter) == (("q",), Strategy.HYBRID, ())


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(text="I would search."),
        Reply(calls=(ToolCall("1", "plan", None),)),
        Reply(calls=reply().calls * 2),
        reply("drop_collection"),
        reply(query="q"),
        reply(query={"primary": " "}),
        reply(query={"primary": 3}),
        reply(query={"primary": "q", "variations": "r"}),
        reply(retrieval_strategy="guess"),
        reply(retrieval_strategy=["keyword"]),
        reply(filter_groups="name"),
        reply(filter_groups=["name"]),
        reply(filter_groups=[{"conditions": "name"}]),
        reply(filter_groups=[{"conditions": ["name"]}]),
        reply(filter_groups=named("me", field="owner")),
        reply(filter_groups=named("me", field="organization_id")),
        reply(filter_groups=named("me", operator="like")),
        reply(filter_groups=named(1.5)),
        reply(filter_groups=named(None)),
        reply(filter_groups=named({"a": 1})),
        reply(filter_groups=named([["a"]], operator="in")),
        reply(filter_groups=named("yesterday", field="created_at")),
        reply(filter_groups=named("x") * 1001),
    ],
)
def test_anything_else_is_none(wrong: Reply) -> None:
    with pytest.raises(InvalidInputError):
        plan_of(wrong)


@pytest.mark.parametrize(
    ("user", "made", "both"),
    [
        ((), (), ()),
        (only("a"), (), only("a")),
        ((), only("b"), only("b")),
        (only("a"), (FilterGroup(()),), only("a")),
    ],
)
def test_a_filter_that_is_missing_lets_the_other_decide(
    user: Filter, made: Filter, both: Filter
) -> None:
    assert narrowed(user, made) == both


def test_every_group_of_both_must_hold() -> None:
    both = narrowed(only("a", "b"), only("c", "d"))

    values = [[one.values[0] for one in group.conditions] for group in both]
    assert values == [["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]]


def test_too_much_of_both_is_refused() -> None:
    many = only(*map(str, range(100)))

    with pytest.raises(InvalidInputError):
        narrowed(many, many)


def test_no_filter_is_none() -> None:
    assert filter_of(None) == filter_of([]) == ()
