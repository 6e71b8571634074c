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
        self, collection_id: UUID, dimension: int, entities: Sequence[EntityChunks]
    ) -> None:
        await (await self._opened()).append(collection_id, dimension, entities)

    async def read_vectors(
        self,
        collection_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> Mapping[bytes, Vectors]:
        index = await self._opened()
        return await index.read_vectors(collection_id, versions, ordinals)

    async def read_texts(
        self, collection_id: UUID, version: int, ordinals: range
    ) -> Mapping[int, str]:
        index = await self._opened()
        return await index.read_texts(collection_id, version, ordinals)

    async def read_entities(
        self,
        collection_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> list[EntityChunks]:
        index = await self._opened()
        return await index.read_entities(collection_id, versions, ordinals)

    async def delete_versions(
        self, collection_id: UUID, versions: Sequence[int]
    ) -> int:
        return await (await self._opened()).delete_versions(collection_id, versions)

    async def delete_connection(self, collection_id: UUID, connection_id: UUID) -> int:
        index = await self._opened()
        return await index.delete_connection(collection_id, connection_id)

    async def reader(self, collection_id: UUID) -> IndexReader:
        return await (await self._opened()).reader(collection_id)

    async def maintain(self, collection_id: UUID) -> None:
        await (await self._opened()).maintain(collection_id)

    async def versions(self, collection_id: UUID) -> AsyncIterator[tuple[int, int]]:
        async for one in (await self._opened()).versions(collection_id):
            yield one

    async def stored(
        self, collection_id: UUID, versions: Sequence[int] | None = None
    ) -> AsyncIterator[StoredVersion]:
        async for one in (await self._opened()).stored(collection_id, versions):
            yield one

    async def collections(self) -> list[UUID]:
        return await (await self._opened()).collections()

    async def expunge(self, collection_id: UUID) -> int | None:
        return await (await self._opened()).expunge(collection_id)

    async def forget_states(self, collection_id: UUID, before: int) -> bool:
        return await (await self._opened()).forget_states(collection_id, before)

    async def disk_bytes(self, collection_id: UUID) -> int:
        return await (await self._opened()).disk_bytes(collection_id)

    async def drop(self, collection_id: UUID) -> None:
        await (await self._opened()).drop(collection_id)

    async def close(self) -> None:
        if self._index is not None:
            await self._index.close()

    async def _opened(self) -> Index:
        if self._index is None:
            async with self._opening:
                if self._index is None:
                    self._index = await self._open_index()
        return self._index
