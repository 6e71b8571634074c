"""Weighted reciprocal rank fusion, with pages that agree with each other."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

RANK_CONSTANT = 20
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Leg(Generic[Key]):
    """One ranking, best first, each key once; `weight` is its say in the fusion."""

    weight: float
    keys: Sequence[Key]


def fuse(
    legs: Sequence[Leg[Key]],
    depths: Sequence[int],
    kept: Callable[[Key], float] = lambda _: 1.0,
) -> list[tuple[Key, float]]:
    """Return every key down to the last depth with its score, best first.

    The score is the sum of weight / (20 + rank), as a share of the best possible.
    Depths rise, and what a greater one adds comes after, scoring no higher than, what
    lesser ones found: a longer answer begins with the shorter one, so pages never
    overlap. Ties go to the key that the earlier leg ranks better. `kept` is the share
    of its score that a key keeps.
    """
    best = sum(leg.weight for leg in legs) / (RANK_CONSTANT + 1)
    fused: dict[Key, float] = {}
    ceiling = 1.0
    for depth in depths:
        scores = {key: s * kept(key) for key, s in _scores(legs, depth).items()}
        # sorted() keeps the order of first appearance among equals
        for key, score in sorted(scores.items(), key=lambda item: -item[1]):
            if key not in fused:
                fused[key] = ceiling = min(score / best, ceiling)
    return list(fused.items())


def _scores(legs: Sequence[Leg[Key]], depth: int) -> dict[Key, float]:
    scores: dict[Key, float] = {}
    for leg in legs:
        for rank, key in enumerate(leg.keys[:depth], start=1):
            scores[key] = scores.get(key, 0.0) + leg.weight / (RANK_CONSTANT + rank)
    return scores


def in_steps(
    scored: Sequence[tuple[Key, float]],
    depths: Sequence[int],
    kept: Callable[[Key], float],
) -> list[tuple[Key, float]]:
    """Put one leg's keys in order of the scores they keep, each depth by itself.

    So a longer answer begins with the shorter one, as a fused one does.
    """
    ordered: list[tuple[Key, float]] = []
    for start, end in pairwise((0, *depths)):
        step = [(key, score * kept(key)) for key, score in scored[start:end]]
        ordered += sorted(step, key=lambda item: -item[1])
    return ordered
