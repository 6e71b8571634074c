"""Predicates where the spelling itself matters; their effect: conformance tests."""

from uuid import UUID

import pytest

from wellhead.domain.filters import Condition, FilterGroup, Operator
from wellhead.domain.ports import Scope
from wellhead.index.lance_filter import quoted, scope_predicate


def test_an_open_scope_needs_no_predicate() -> None:
    assert scope_predicate(Scope()) is None


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", "'plain'"),
        ("it's", "'it''s'"),
        ("''", "''''''"),
        ('"col"', "'\"col\"'"),
        ("a\\'b", "'a\\''b'"),
        ("\ud800", "'?'"),
    ],
)
def test_quotes_are_doubled_and_nothing_else_changes(text: str, literal: str) -> None:
    assert quoted(text) == literal


def test_alternatives_do_not_weaken_what_is_hidden() -> None:
    one = FilterGroup((Condition("name", Operator.EQUALS, ("a",)),))
    two = FilterGroup((Condition("name", Operator.EQUALS, ("b",)),))
    scope = Scope(filter=(one, two), hidden_connections=[UUID(int=1)])

    assert scope_predicate(scope) == (
        "(((name IN ('a'))) OR ((name IN ('b')))) "
        f"AND connection_id NOT IN ('{UUID(int=1)}')"
    )
