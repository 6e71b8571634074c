"""The passages right before and after those that were found."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from wellhead.domain.ports import Index
from wellhead.domain.search import SearchResult

AT_ONCE = 4
"""Each is a query of its own; more would hold up other searches."""


async def with_context(
    index: Index, table_id: UUID, distance: int, results: Sequence[SearchResult]
) -> list[SearchResult]:
    """Return the results with as many chunks before and after each.

    Neighbours are of the same version: of what the ledger confirmed. Of what was found
    live there are none.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def surrounded(result: SearchResult) -> SearchResult:
        if result.version is None:
            return result
        here = result.chunk_index
        around = range(max(0, here - distance), here + distance + 1)
        async with slots:
            texts = await index.read_texts(table_id, result.version, around)
        return replace(
            result,
            before=tuple(text for at, text in texts.items() if at < here),
            after=tuple(text for at, text in texts.items() if at > here),
        )

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(surrounded(one)) for one in results]
    return [one.result() for one in tasks]
