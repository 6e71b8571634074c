"""What an agentic search has seen, and what of it the model wants returned."""

from collections.abc import Iterable, Sequence
from typing import Any

from wellhead.domain.search import SearchResult
from wellhead.search.everywhere import ResultId, id_of

SHOWN = 5
MOST_COLLECTED = 500


class Notes:
    """Only what a search of this organization's collection found gets in here.

    Two sources may give passages the same public id: one id then means all of them.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[ResultId, SearchResult]] = {}
        self.read_ids: dict[str, None] = {}
        self.collected: dict[ResultId, SearchResult] = {}

    def see(self, results: Iterable[SearchResult]) -> int:
        """Remember results; returns how many were new."""
        new = 0
        for one in results:
            named = self._seen.setdefault(one.entity_id, {})
            new += id_of(one) not in named
            named.setdefault(id_of(one), one)
        return new

    def named(self, entity_id: str) -> list[SearchResult]:
        return list(self._seen.get(entity_id, {}).values())

    def collect(self, entity_id: str) -> list[SearchResult]:
        """Take what has this id and is not yet taken, and return it."""
        room = MOST_COLLECTED - len(self.collected)
        named = [one for one in self.named(entity_id) if not self._has(one)]
        self.collected |= {id_of(one): one for one in named[:room]}
        return named[:room]

    def drop(self, entity_id: str) -> list[SearchResult]:
        """Put back what has this id, and return it."""
        named = [one for one in self.named(entity_id) if self._has(one)]
        for one in named:
            del self.collected[id_of(one)]
        return named

    @property
    def seen(self) -> list[SearchResult]:
        return [one for named in self._seen.values() for one in named.values()]

    def _has(self, one: SearchResult) -> bool:
        return id_of(one) in self.collected


def summaries(results: Sequence[SearchResult]) -> list[dict[str, Any]]:
    """Describe the first few for whoever follows the search."""
    return [
        {
            "entity_id": one.entity_id,
            "name": one.name,
            "entity_type": one.entity_type,
            "source_name": one.source_name,
            "relevance_score": one.relevance_score,
        }
        for one in results[:SHOWN]
    ]
