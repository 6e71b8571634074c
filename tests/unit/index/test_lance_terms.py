"""Which words of a query are looked for."""

import pytest

from wellhead.index.lance_terms import MOST_TERMS, terms


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("The state of the pumps", ["state", "pumps"]),
        ("to be or not to be", ["to", "be", "or", "not"]),
        ("why doesn't it start?", ["start"]),
        ("ERR-4032 in snake_case", ["err", "4032", "snake", "case"]),
        ("C, R and 5 volt", ["c", "r", "5", "volt"]),
        ("min and mod of care", ["min", "mod", "care"]),
        ("src/wellhead/index/lance.py", ["src", "wellhead", "index", "lance", "py"]),
        ("?! …", []),
        ("pump Pump PUMP", ["pump"]),
    ],
)
def test_stop_words_are_left_out_where_others_are_there(
    query: str, words: list[str]
) -> None:
    assert terms(query) == words


def test_a_long_query_is_asked_by_its_first_words() -> None:
    asked = terms(" ".join(f"word{number}" for number in range(10_000)))

    assert len(asked) == MOST_TERMS
