"""One search of all that a collection has: what is indexed, and what is asked live."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from wellhead.domain.embedding import Embedders
from wellhead.domain.ports import Index
from wellhead.domain.search import Answer, InstantQuery, SearchResult
from wellhead.search import instant
from wellhead.search.federation import NOBODY, Federation
from wellhead.search.fuse import Leg, fuse
from wellhead.store.reading import Reader

INDEX_WEIGHT = 1.0
LIVE_WEIGHT = 1.0

ResultId = tuple[UUID, str, str]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every search is made with."""

    reads: Reader
    index: Index
    embedders: Embedders
    federation: Federation

    async def find(
        self, query: InstantQuery, *, fell_back: Tell = instant.tell_nobody
    ) -> list[SearchResult]:
        """Search what is indexed alone."""
        return await instant.search(
            self.reads, self.index, self.embedders, query, fell_back=fell_back
        )


async def search(
    ground: Ground,
    query: InstantQuery,
    *,
    without: Collection[UUID] = NOBODY,
    fell_back: Tell = instant.tell_nobody,
) -> Answer:
    """Return one page of what answers best, and which sources did not answer.

    Raises what an instant search raises; a federated source that is away or slow
    spoils nothing else.
    """
    async with ground.federation.asked(ground.reads, query, without) as asking:
        if not asking:
            return Answer(await ground.find(query, fell_back=fell_back))
        end = query.offset + query.limit
        whole = replace(query, offset=0, limit=end)
        found = await ground.find(whole, fell_back=fell_back)
        legs, silent = await asking.answers()
    merged = merge(found, legs)
    return Answer(merged[query.offset : end], silent)


def merge(
    indexed: Sequence[SearchResult], legs: Sequence[Sequence[SearchResult]]
) -> list[SearchResult]:
    """Merge rankings by reciprocal rank; of equals what is indexed comes first.

    No result is in two of them, so a longer ranking changes nothing further up.
    """
    if not legs:
        return list(indexed)
    rankings = [(INDEX_WEIGHT, indexed), *((LIVE_WEIGHT, leg) for leg in legs)]
    results = {id_of(one): one for _, ranking in rankings for one in ranking}
    ranked = [Leg(weight, list(map(id_of, ranking))) for weight, ranking in rankings]
    return [
        replace(results[key], relevance_score=score)
        for key, score in fuse(ranked, [len(results)])
    ]


def id_of(result: SearchResult) -> ResultId:
    """Return what tells the passage from every other one of the collection."""
    return result.sync_id, result.entity_type, result.entity_id
