"""What a search that thinks is made with."""

from dataclasses import dataclass

from wellhead.domain.ports import Clock, LanguageModel, Reranker
from wellhead.search.everywhere import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Means(Ground):
    """The chosen implementations; whoever asks brings the rest in the query."""

    model: LanguageModel
    clock: Clock
    reranker: Reranker | None = None
    most_seconds: float = 120
    """How long an agentic search may take in all."""

    def told(self, instructions: str) -> str:
        """Return instructions by which a model understands words such as yesterday."""
        return f"{instructions}\nToday is {self.clock.now():%A, %Y-%m-%d} (UTC)."
