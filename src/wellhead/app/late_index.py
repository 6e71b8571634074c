"""The index, opened when it is first needed.

Loading LanceDB takes seconds of processor time and 80 MB of memory. A process that has
just started can claim a job or answer a request meanwhile, and an idle one never pays.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from wellhead.domain.chunks import EntityChunks, StoredVersion, Vectors
from wellhead.domain.ports import Index, IndexReader


class LateIndex:
    """Implements the Index port by another one that `open_index` returns."""

    def __init__(self, open_index: Callable[[], Awaitable[Index]]) -> None:
        self._open_index = open_index
        self._index: Index | None = None
        self._opening = asyncio.Lock()

    async def append(
        self, table_id: UUID, dimension: int, entities: Sequence[EntityChunks]
    ) -> None:
        await (await self._opened()).append(table_id, dimension, entities)

    async def read_vectors(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> Mapping[bytes, Vectors]:
        index = await self._opened()
        return await index.read_vectors(table_id, versions, ordinals)

    async def read_texts(
        self, table_id: UUID, version: int, ordinals: range
    ) -> Mapping[int, str]:
        index = await self._opened()
        return await index.read_texts(table_id, version, ordinals)

    async def read_entities(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> list[EntityChunks]:
        index = await self._opened()
        return await index.read_entities(table_id, versions, ordinals)

    async def delete_versions(self, table_id: UUID, versions: Sequence[int]) -> int:
        return await (await self._opened()).delete_versions(table_id, versions)

    async def delete_connection(self, table_id: UUID, connection_id: UUID) -> int:
        index = await self._opened()
        return await index.delete_connection(table_id, connection_id)

    async def reader(self, table_id: UUID) -> IndexReader:
        return await (await self._opened()).reader(table_id)

    async def maintain(self, table_id: UUID) -> None:
        await (await self._opened()).maintain(table_id)

    async def versions(self, table_id: UUID) -> AsyncIterator[tuple[int, int]]:
        async for one in (await self._opened()).versions(table_id):
            yield one

    async def stored(
        self, table_id: UUID, versions: Sequence[int] | None = None
    ) -> AsyncIterator[StoredVersion]:
        async for one in (await self._opened()).stored(table_id, versions):
            yield one

    async def tables(self) -> list[UUID]:
        return await (await self._opened()).tables()

    async def expunge(self, table_id: UUID) -> int | None:
        return await (await self._opened()).expunge(table_id)

    async def forget_states(self, table_id: UUID, before: int) -> bool:
        return await (await self._opened()).forget_states(table_id, before)

    async def disk_bytes(self, table_id: UUID) -> int:
        return await (await self._opened()).disk_bytes(table_id)

    async def drop(self, table_id: UUID) -> None:
        await (await self._opened()).drop(table_id)

    async def close(self) -> None:
        if self._index is not None:
            await self._index.close()

    async def _opened(self) -> Index:
        if self._index is None:
            async with self._opening:
                if self._index is None:
                    self._index = await self._open_index()
        return self._index
