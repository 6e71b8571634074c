"""How good rankings are, and whether one way to rank is better than another."""

import math
import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

DEPTH = 10
FLIPS = 10_000
Key = TypeVar("Key", bound=Hashable)


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return nDCG@10 with the grades themselves as gains; 0 where nothing is relevant.

    Each item counts where it comes first.
    """
    gains = [relevant.get(item, 0) for item in once(ranked)[:DEPTH]]
    best = _discounted(sorted(relevant.values(), reverse=True)[:DEPTH])
    return _discounted(gains) / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return which share of everything relevant is among the first ten items."""
    wanted = {item for item, grade in relevant.items() if grade > 0}
    found = wanted.intersection(once(ranked)[:DEPTH])
    return len(found) / len(wanted) if wanted else 0.0


def once(items: Iterable[Key]) -> list[Key]:
    """Return each item where it comes first."""
    return list(dict.fromkeys(items))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def p_value(ours: Sequence[float], others: Sequence[float]) -> float:
    """Return how often chance alone makes as great a difference of the means.

    The paired randomisation test, two-sided: were both the same, each question's two
    values might as well be exchanged. 10,000 exchanges are drawn, the same in each run.
    """
    differences = [one - other for one, other in zip(ours, others, strict=True)]
    observed = abs(sum(differences)) - 1e-9
    chance = random.Random(1)  # noqa: S311  # nothing secret
    as_great = 0
    for _ in range(FLIPS):
        signs = chance.getrandbits(len(differences))
        total = sum(d if signs >> at & 1 else -d for at, d in enumerate(differences))
        as_great += abs(total) >= observed
    return (as_great + 1) / (FLIPS + 1)


def halves(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split into every second one: one half to tune on, one to report on.

    Neighbouring questions of a collection are often about one thing, so both halves
    ask about all things and are about as hard.
    """
    return [*ids[::2]], [*ids[1::2]]


def fused(
    legs: Sequence[Sequence[Key]], weights: Sequence[float], constant: float
) -> list[Key]:
    """Fuse whole rankings as a search does, with any weights and rank constant."""
    scores: dict[Key, float] = {}
    for weight, leg in zip(weights, legs, strict=True):
        for rank, key in enumerate(leg, start=1):
            scores[key] = scores.get(key, 0.0) + weight / (constant + rank)
    return sorted(scores, key=lambda key: -scores[key])


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
