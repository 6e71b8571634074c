"""How many entities pass a filter, counted in the index and checked in the ledger."""

from wellhead.domain.ports import Scope
from wellhead.domain.search import InstantQuery
from wellhead.search.instant import MOST_HITS, anywhere
from wellhead.search.means import Means
from wellhead.search.verify import Verifier, entity_of
from wellhead.store import index_tables
from wellhead.store.visible import horizon


async def count_entities(means: Means, query: InstantQuery) -> tuple[int, bool]:
    """Return how many different entities the filter lets pass, and if that is all.

    It is not all where there are more passages than a search reads.
    """
    async with means.reads.snapshot() as reads:
        seen = await horizon(reads, query.collection_id)
        table = await index_tables.live(reads, query.collection_id)
        if table is None:
            return 0, True
        reader = await means.index.reader(table.id)
        scope = Scope(query.filter, seen.connections, seen.jobs, query.principal)
        hits = await reader.semantic(anywhere(table.dimension), MOST_HITS, scope)
        verifier = Verifier(reads, query.collection_id, query.principal)
        await verifier.look_up(hits)
    return len({entity_of(hit) for hit in verifier.live(hits)}), len(hits) < MOST_HITS
