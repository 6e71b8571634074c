"""Made-up texts whose words are as often as in a language (Zipf)."""

import random
from dataclasses import dataclass

VOCABULARY = 50_000


@dataclass(slots=True)
class Words:
    """Draws texts and queries; the same ones in each run."""

    chance: random.Random
    names: list[str]
    shares: list[float]

    @classmethod
    def drawn(cls, seed: int) -> "Words":
        chance = random.Random(seed)  # noqa: S311  # nothing secret
        syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
        names = ["".join(chance.choices(syllables, k=4)) for _ in range(VOCABULARY)]
        shares, total = [], 0.0
        for rank in range(1, VOCABULARY + 1):
            total += 1 / rank
            shares.append(total)
        return cls(chance, names, shares)

    def text(self, count: int) -> str:
        return " ".join(
            self.chance.choices(self.names, cum_weights=self.shares, k=count)
        )

    def query(self) -> str:
        """Return what people ask: words neither in every text nor in one alone."""
        return " ".join(self.chance.sample(self.names[50:5_000], k=3))
