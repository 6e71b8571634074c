"""The passages right before and after those that were found."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from wellhead.domain.chunks import Hit
from wellhead.domain.ports import Index
from wellhead.domain.search import SearchResult

AT_ONCE = 4
"""Each is a query of its own; more would hold up other searches."""


async def with_context(
    index: Index,
    table_id: UUID,
    distance: int,
    hits: Sequence[Hit],
    results: Sequence[SearchResult],
) -> list[SearchResult]:
    """Return the results of these hits with as many chunks before and after each.

    Neighbours are of the same version: of what the ledger confirmed.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def surrounded(hit: Hit, result: SearchResult) -> SearchResult:
        first = max(0, hit.ordinal - distance)
        around = range(first, hit.ordinal + distance + 1)
        async with slots:
            texts = await index.read_texts(table_id, hit.version, around)
        return replace(
            result,
            before=tuple(text for at, text in texts.items() if at < hit.ordinal),
            after=tuple(text for at, text in texts.items() if at > hit.ordinal),
        )

    return list(await asyncio.gather(*map(surrounded, hits, results)))
