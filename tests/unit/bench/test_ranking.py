import math

import pytest

from bench import ranking
from wellhead.search.fuse import RANK_CONSTANT, Leg, fuse


def test_a_perfect_ranking_has_everything_and_an_empty_one_nothing() -> None:
    relevant = {"a": 3, "b": 1, "c": 0}

    assert ranking.ndcg(["a", "b", "x"], relevant) == 1
    assert ranking.recall(["b", "a"], relevant) == 1
    assert ranking.ndcg([], relevant) == ranking.recall([], relevant) == 0
    assert ranking.ndcg(["a"], {}) == ranking.recall(["a"], {}) == 0


def test_what_comes_later_counts_less_and_beyond_ten_nothing() -> None:
    late = [*"123456789", "a"]

    assert ranking.ndcg(["x", "a"], {"a": 1}) == pytest.approx(1 / math.log2(3))
    assert ranking.ndcg(["b", "a"], {"a": 3, "b": 1}) == pytest.approx(
        (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))
    )
    assert ranking.recall(late, {"a": 1}) == 1
    assert ranking.recall(["0", *late], {"a": 1}) == 0
    assert ranking.ndcg(["0", *late], {"a": 1}) == 0


def test_an_item_counts_where_it_comes_first() -> None:
    assert ranking.ndcg(["x", "x", "x", "a"], {"a": 1}) == pytest.approx(
        1 / math.log2(3)
    )
    assert ranking.ndcg(["a", "a"], {"a": 1, "b": 1}) < 1


def test_only_a_difference_that_chance_does_not_make_has_a_small_p() -> None:
    ours = [0.5 + 0.01 * (at % 7) for at in range(60)]

    assert ranking.p_value(ours, ours) == 1
    assert ranking.p_value(ours, [one - 0.1 for one in ours]) < 0.001
    mixed = [one + (0.1 if at % 2 else -0.1) for at, one in enumerate(ours)]
    assert ranking.p_value(ours, mixed) > 0.5


def test_p_is_the_share_of_sign_changes_that_do_as_much() -> None:
    # of the 8 ways to set three signs two reach 3 in absolute value
    assert ranking.p_value([1, 1, 1], [0, 0, 0]) == pytest.approx(0.25, abs=0.02)


def test_halves_take_turns_and_share_nothing() -> None:
    tuning, reporting = ranking.halves([str(number) for number in range(225)])

    assert (tuning[:3], reporting[:3]) == (["0", "2", "4"], ["1", "3", "5"])
    assert len({*tuning, *reporting}) == 225


def test_it_fuses_as_the_product_does() -> None:
    legs = [["a", "b", "c", "d"], ["d", "x", "b", "y"]]
    ours = fuse([Leg(2.0, legs[0]), Leg(1.0, legs[1])], [4])

    assert ranking.fused(legs, (2.0, 1.0), RANK_CONSTANT) == [key for key, _ in ours]
