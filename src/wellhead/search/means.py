"""What a search that thinks is made with."""

from dataclasses import dataclass

from wellhead.domain.embedding import Embedders
from wellhead.domain.ports import Clock, Index, LanguageModel, Reranker
from wellhead.domain.search import InstantQuery, SearchResult
from wellhead.search import instant
from wellhead.store.reading import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The chosen implementations; whoever asks brings the rest in the query."""

    reads: Reader
    index: Index
    embedders: Embedders
    model: LanguageModel
    clock: Clock
    reranker: Reranker | None = None
    most_seconds: float = 120
    """How long an agentic search may take in all."""

    def told(self, instructions: str) -> str:
        """Return instructions by which a model understands words such as yesterday."""
        return f"{instructions}\nToday is {self.clock.now():%A, %Y-%m-%d} (UTC)."

    async def find(self, query: InstantQuery) -> list[SearchResult]:
        return await instant.search(self.reads, self.index, self.embedders, query)
