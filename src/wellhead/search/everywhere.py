"""One search of all that a collection has: what is indexed, and what is asked live."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from wellhead.domain.embedding import Embedders
from wellhead.domain.errors import UnavailableError
from wellhead.domain.ports import Index
from wellhead.domain.search import Answer, InstantQuery, SearchResult, Silent
from wellhead.search import instant
from wellhead.search.context import with_context
from wellhead.search.federation import NOBODY, Federation
from wellhead.search.fuse import Leg, fuse
from wellhead.store import index_tables
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

    async def in_context(
        self, collection_id: UUID, distance: int, page: list[SearchResult]
    ) -> list[SearchResult]:
        """Return what is shown with so many passages before and after each."""
        table = await index_tables.live(self.reads, collection_id) if distance else None
        if table is None:
            return page
        try:
            async with asyncio.timeout(instant.TIMEOUT_SECONDS):
                return await with_context(self.index, table.id, distance, page)
        except TimeoutError as error:
            raise UnavailableError(
                f"The context took longer than {instant.TIMEOUT_SECONDS} seconds to "
                "read: ask for fewer results, or none"
            ) from error


async def search(
    ground: Ground,
    query: InstantQuery,
    *,
    without: Collection[UUID] = NOBODY,
) -> Answer:
    """Return one page of what answers best, and which sources did not answer.

    Raises what an instant search raises; a federated source that is away or slow
    spoils nothing else.
    """
    said: list[str] = []
    silent: tuple[Silent, ...] = ()
    async with ground.federation.asked(ground.reads, query, without) as asking:
        if not asking:
            page = await ground.find(query, fell_back=said.append)
        else:
            end = query.offset + query.limit
            whole = replace(query, offset=0, limit=end)
            found = await ground.find(whole, fell_back=said.append)
            legs, silent = await asking.answers()
            page = merge(found, legs)[query.offset : end]
    page = await ground.in_context(query.collection_id, query.context, page)
    return Answer(page, silent, said[-1] if said else None)


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


def entity_of(result: SearchResult) -> ResultId:
    """Return what tells its entity from every other one of the collection."""
    return result.sync_id, result.entity_type, result.original_entity_id
