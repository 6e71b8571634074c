"""Fusion ranks what several legs found, the same way for every page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.search.fuse import Leg, fuse, in_steps

ranking = st.lists(st.integers(0, 40), unique=True, max_size=30)
depth = st.integers(1, 35)


def two_legs(semantic: list[int], keyword: list[int]) -> list[Leg[int]]:
    return [Leg(2.0, semantic), Leg(1.0, keyword)]


def test_first_in_every_leg_scores_one() -> None:
    assert fuse(two_legs([7, 8], [7, 9]), [10])[0] == (7, 1.0)


def test_the_score_is_weight_over_twenty_plus_rank() -> None:
    scores = dict(fuse(two_legs([1, 2], [2]), [10]))

    best = 2 / 21 + 1 / 21
    assert scores[1] == pytest.approx((2 / 21) / best)
    assert scores[2] == pytest.approx((2 / 22 + 1 / 21) / best)


def test_the_heavier_leg_wins_between_two_that_disagree() -> None:
    assert [key for key, _ in fuse(two_legs([1], [2]), [10])] == [1, 2]


def test_ties_go_to_the_earlier_leg() -> None:
    legs = [Leg(1.0, [5, 3]), Leg(1.0, [4, 2])]

    assert [key for key, _ in fuse(legs, [10])] == [5, 4, 3, 2]


def test_without_hits_there_is_nothing() -> None:
    assert fuse(two_legs([], []), [100]) == []


@given(ranking, ranking, depth)
def test_every_key_within_the_depth_appears_once(
    semantic: list[int], keyword: list[int], deep: int
) -> None:
    keys = [key for key, _ in fuse(two_legs(semantic, keyword), [deep])]

    assert len(keys) == len(set(keys))
    assert set(keys) == {*semantic[:deep], *keyword[:deep]}


@given(ranking, ranking, st.lists(depth, min_size=1, max_size=4))
def test_scores_fall_from_at_most_one_and_stay_above_zero(
    semantic: list[int], keyword: list[int], depths: list[int]
) -> None:
    scores = [score for _, score in fuse(two_legs(semantic, keyword), sorted(depths))]

    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


@given(ranking, ranking, st.lists(depth, min_size=2, max_size=4))
def test_a_deeper_answer_begins_with_the_shallower_one(
    semantic: list[int], keyword: list[int], depths: list[int]
) -> None:
    *shallower, _ = depths = sorted(depths)
    legs = two_legs(semantic, keyword)
    short = [Leg(leg.weight, leg.keys[: shallower[-1]]) for leg in legs]

    first = fuse(short, shallower)
    assert fuse(legs, depths)[: len(first)] == first


@given(ranking)
def test_legs_that_agree_keep_their_order(keys: list[int]) -> None:
    assert [key for key, _ in fuse(two_legs(keys, keys), [40])] == keys


@given(ranking, ranking, st.permutations(range(41)))
def test_the_names_of_keys_do_not_matter(
    semantic: list[int], keyword: list[int], renamed: list[int]
) -> None:
    plain = fuse(two_legs(semantic, keyword), [40])
    other = fuse(
        two_legs([renamed[key] for key in semantic], [renamed[key] for key in keyword]),
        [40],
    )

    assert [(renamed[key], score) for key, score in plain] == other


def test_a_key_that_keeps_less_of_its_score_comes_later() -> None:
    legs = [Leg(1.0, ["a", "b", "c"])]
    ranked = fuse(legs, [3], lambda key: 0.5 if key == "a" else 1.0)

    assert [key for key, _ in ranked] == ["b", "c", "a"]
    assert dict(ranked)["a"] == pytest.approx(0.5)


def test_a_step_is_put_in_order_by_itself() -> None:
    scored = [("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0)]
    kept = {"a": 0.1, "b": 1.0, "c": 0.1, "d": 1.0}

    short = in_steps(scored[:2], [2], kept.__getitem__)
    longer = in_steps(scored, [2, 4], kept.__getitem__)
    assert short == [("b", 3.0), ("a", 0.4)]
    assert longer == [*short, ("d", 1.0), ("c", 0.2)]
