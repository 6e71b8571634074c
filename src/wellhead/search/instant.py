"""Search without a language model: ask the index, show what the ledger confirms."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest

from wellhead.domain.chunks import Hit, Vectors
from wellhead.domain.embedding import Embedders, IndexTable
from wellhead.domain.entities import Access, Breadcrumb
from wellhead.domain.errors import (
    EntityError,
    InvalidInputError,
    SyncError,
    UnavailableError,
)
from wellhead.domain.ports import Embedder, Index, IndexReader, Scope
from wellhead.domain.principals import Principal
from wellhead.domain.search import (
    InstantQuery,
    Recency,
    SearchResult,
    Strategy,
    WithoutVector,
)
from wellhead.search.fuse import Leg, fuse, in_steps
from wellhead.search.verify import Name, Verifier, chunk_of, entity_of
from wellhead.store import index_tables
from wellhead.store.reading import Reader, Snapshot
from wellhead.store.visible import (
    EntityId,
    Horizon,
    VisibleEntity,
    horizon,
    visible_entities,
)

TIMEOUT_SECONDS = 30
"""Less than garbage waits: what is live in a search's snapshot is still indexed."""
FIRST_DEPTH = 50
"""Deeper ranks change nothing that people see first, and cost as much again."""
SPARE_HITS = 20
"""Asked for besides, as some may be of versions that are gone."""
MOST_HITS = 10_000
SEMANTIC_WEIGHT = 2.0
KEYWORD_WEIGHT = 1.0

Ask = Callable[[int], Awaitable[list[Hit]]]
Ranked = list[tuple[Hit, float]]
Kept = Mapping[EntityId, float]


def tell_nobody(_why: str) -> None:
    pass


async def search(
    reader: Reader,
    index: Index,
    embedders: Embedders,
    query: InstantQuery,
    *,
    fell_back: Callable[[str], None] = tell_nobody,
) -> list[SearchResult]:
    """Return one page of the chunks that answer best (sync protocol, section 10).

    Raises InvalidInputError for a blank query, and UnavailableError when the embedder
    is needed and away, or when the answer takes longer than 30 seconds. Where the
    vectors are yet to be made anew, and nobody can make such a one of the question, a
    hybrid search is one by words, and `fell_back` is told why.
    """
    if not query.query.strip():
        raise InvalidInputError("query must not be blank", field="query")
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                table = await index_tables.live(reader, query.collection_id)
                if table is None:
                    return []
                asked, vector = await _embedded(embedders, table, query, fell_back)
                async with reader.snapshot() as reads:
                    seen = await horizon(reads, query.collection_id)
                    # else another table was swapped in: its vectors are others
                    if seen.table_id == table.id:
                        return await _answer(reads, index, asked, seen, vector)
    except TimeoutError as error:
        raise UnavailableError(
            f"The search took longer than {TIMEOUT_SECONDS} seconds"
        ) from error


async def _embedded(
    embedders: Embedders,
    table: IndexTable,
    query: InstantQuery,
    fell_back: Callable[[str], None],
) -> tuple[InstantQuery, Vectors | None]:
    """Return how it is searched, and its vector as the table's own embedder makes it.

    An embedder that another one is to replace may be out of reach for good.
    """
    if query.strategy is Strategy.KEYWORD:
        return query, None
    embedder = embedders.of(table)
    try:
        if embedder is not None:
            return query, await _vector(embedder, query)
    except UnavailableError:
        is_lookup = query.without_vector is WithoutVector.UNRANKED
        if embedder is embedders.current and not is_lookup:
            raise
    if query.without_vector is WithoutVector.UNRANKED:
        return query, anywhere(table.dimension)
    why = (
        f"the collection's vectors are of {table.model}, which is out of reach, "
        f"until they are made anew with {embedders.current.name}"
    )
    is_chosen = query.without_vector is WithoutVector.REFUSE
    if query.strategy is Strategy.SEMANTIC and is_chosen:
        raise UnavailableError(f"Search by words meanwhile: {why}")
    fell_back(why)
    return replace(query, strategy=Strategy.KEYWORD), None


def anywhere(dimension: int) -> Vectors:
    """Return some direction: to look at all that passes a filter any one will do."""
    return memoryview(array("f", [1.0] + [0.0] * (dimension - 1)))


async def _vector(embedder: Embedder, query: InstantQuery) -> Vectors:
    try:
        return await embedder.embed_query(_encodable(query.query))
    except EntityError as error:
        raise InvalidInputError(
            f"The embedder {embedder.name} cannot read this query", field="query"
        ) from error
    except SyncError as error:
        raise UnavailableError(
            f"The embedder {embedder.name} is not available; "
            "keyword search works without it"
        ) from error


async def _answer(
    reads: Snapshot,
    index: Index,
    query: InstantQuery,
    seen: Horizon,
    vector: Vectors | None,
) -> list[SearchResult]:
    # only after the snapshot: the index then holds all that the snapshot calls live
    reader = await index.reader(seen.table_id or query.collection_id)
    scope = Scope(query.filter, seen.connections, seen.jobs, query.principal)
    verifier = Verifier(reads, query.collection_id, query.principal)
    depths = _depths(query.offset + query.limit)
    asks = _asks(reader, query, vector, scope)
    legs = [_Leg(ask, depths[-1], _name(query), verifier) for ask in asks]
    await _read_all(legs, verifier)
    kept = await _kept(reads, query.recency, [one.live for one in legs])
    ranked = _ranked(query, [one.live for one in legs], depths, kept)
    page = ranked[query.offset : query.offset + query.limit]
    rows = await visible_entities(reads, {entity_of(hit) for hit, _ in page})
    found = [_result(hit, score, rows[entity_of(hit)]) for hit, score in page]
    return found if query.principal is None else _shown_to(query.principal, found)


def _name(query: InstantQuery) -> Name:
    return entity_of if query.is_grouped else chunk_of


def _shown_to(principal: Principal, found: list[SearchResult]) -> list[SearchResult]:
    return [replace(one, access=principal.shown(one.access)) for one in found]


def _depths(wanted: int) -> list[int]:
    """Return how far down the legs are read: in steps that all pages share."""
    depths = [FIRST_DEPTH]
    while depths[-1] < min(wanted, MOST_HITS):
        depths.append(min(2 * depths[-1], MOST_HITS))
    return depths


def _asks(
    reader: IndexReader, query: InstantQuery, vector: Vectors | None, scope: Scope
) -> list[Ask]:
    asks: list[Ask] = []
    if vector is not None:
        asks.append(lambda k: reader.semantic(vector, k, scope))
    if query.strategy is not Strategy.SEMANTIC:
        words = _encodable(query.query)
        asks.append(lambda k: reader.keyword(words, k, scope))
    return asks


class _Leg:
    """One leg's hits: read further while those of dead versions take the places."""

    def __init__(self, ask: Ask, depth: int, name: Name, verifier: Verifier) -> None:
        self._ask = ask
        self._depth = depth
        self._name = name
        self._verifier = verifier
        self._k = min(depth + SPARE_HITS, MOST_HITS)
        self.hits: list[Hit] = []
        self.live: list[Hit] = []

    async def read(self) -> None:
        self.hits = await self._ask(self._k)

    def sort_out(self) -> bool:
        """Keep the best live ones, once they are looked up; tells if all is read."""
        live = self._verifier.live(self.hits, self._name)
        self.live = live[: self._depth]
        is_all = len(self.hits) < self._k or self._k == MOST_HITS
        self._k = min(2 * self._k, MOST_HITS)
        return is_all or len(live) >= self._depth


async def _read_all(legs: Sequence[_Leg], verifier: Verifier) -> None:
    """Read each leg as far as need be; the ledger is asked for all of them at once."""
    unread = legs
    while unread:
        await _together([leg.read() for leg in unread])
        await verifier.look_up([hit for leg in unread for hit in leg.hits])
        unread = [leg for leg in unread if not leg.sort_out()]


async def _together(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Do it at once; after an error nothing of it still goes on."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _kept(
    reads: Snapshot, recency: Recency | None, legs: Sequence[Sequence[Hit]]
) -> Kept | None:
    """Return the share of its score that an entity keeps; None if age is nothing."""
    if recency is None or not recency.bias:
        return None
    rows = await visible_entities(
        reads, {entity_of(hit) for leg in legs for hit in leg}
    )
    return {
        entity: recency.share_kept(
            _moment(row.meta, "updated_at") or _moment(row.meta, "created_at")
        )
        for entity, row in rows.items()
    }


def _ranked(
    query: InstantQuery,
    legs: Sequence[Sequence[Hit]],
    depths: list[int],
    kept: Kept | None,
) -> Ranked:
    """Fuse the legs, or rank the only one by its own scores."""
    name = _name(query)
    hits: dict[Hashable, Hit] = {}
    # of one name the hit is shown that its leg ranks better
    for at_rank in zip_longest(*legs):
        for hit in at_rank:
            if hit is not None:
                hits.setdefault(name(hit), hit)
    share = (lambda key: kept[entity_of(hits[key])]) if kept else _all_of_it
    named = [[name(hit) for hit in leg] for leg in legs]
    # scores of words tell of the texts that a principal may not see: ranks do not
    is_plain = query.strategy is Strategy.KEYWORD and query.principal is not None
    if len(legs) > 1 or is_plain:
        weights = (SEMANTIC_WEIGHT, KEYWORD_WEIGHT)
        ranked = fuse([*map(Leg, weights, named)], depths, share)
    else:
        scored = [(key, hits[key].score) for key in named[0]]
        ranked = in_steps(scored, depths, share) if kept else scored
    return [(hits[key], score) for key, score in ranked]


def _all_of_it(_key: Hashable) -> float:
    return 1.0


def _result(hit: Hit, score: float, row: VisibleEntity) -> SearchResult:
    meta = row.meta
    viewers = meta.get("viewers")
    return SearchResult(
        entity_id=f"{row.source_id}__chunk_{hit.ordinal}",
        name=meta["name"],
        relevance_score=score,
        breadcrumbs=tuple(Breadcrumb(*step) for step in meta.get("breadcrumbs") or ()),
        created_at=_moment(meta, "created_at"),
        updated_at=_moment(meta, "updated_at"),
        text=hit.text,
        source_name=row.source_name,
        entity_type=row.type,
        sync_id=hit.connection_id,
        sync_job_id=row.updated_by,
        chunk_index=hit.ordinal,
        original_entity_id=row.source_id,
        access=Access(
            viewers=None if viewers is None else tuple(viewers),
            is_public=meta.get("is_public"),
        ),
        web_url=meta.get("url") or "",
        url=meta.get("download_url"),
        raw=meta.get("raw") or {},
        version=hit.version,
    )


def _moment(meta: Mapping[str, str | None], name: str) -> datetime | None:
    moment = meta.get(name)
    return None if moment is None else datetime.fromisoformat(moment)


def _encodable(query: str) -> str:
    """Replace what UTF-8 cannot hold: half a surrogate pair is not worth an error."""
    return query.encode("utf-8", "replace").decode("utf-8")
