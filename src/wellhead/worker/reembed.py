"""A change of the embedder: each collection gets a table of new vectors, unnoticed.

Texts come from the live table, so no source is read again. Rounds copy what the next
table lacks, by a comparison of its very contents with the ledger; jobs go on meanwhile.
Then no job may write for a moment, the last is copied and compared, and the tables are
swapped. Killed anywhere, it finds by the next comparison what is left to do;
docs/promises.md says why nothing is lost.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.chunks import EntityChunks, StoredVersion
from wellhead.domain.embedding import IndexTable
from wellhead.domain.errors import (
    FailureClass,
    RefusedTextsError,
    RetryableError,
    SyncError,
)
from wellhead.services.parts import Parts
from wellhead.store import audit, index_tables, lost, reembeddings
from wellhead.store.audit import Committed
from wellhead.store.reembeddings import Reembedding
from wellhead.sync.chunk import embedding_texts
from wellhead.sync.commit import require_disk
from wellhead.worker.maintain import maintainer, only_one

FLOAT_BYTES = 4
PAGE = 1_000
LOAD = 5_000
DELETED = 10_000
PART_CHUNKS = 512
"""So many are embedded, then appended, at a time."""
FEW_CHUNKS = 1_000
"""With so few left to copy jobs may well wait for it."""
APPENDS = 50
"""After so many the table is looked at: it shall not fall to pieces."""
ROUNDS = 8
"""After so many jobs have to wait, however quickly they write."""
REASON_CHARACTERS = 500
NOTHING = "(empty)"
"""Its vector stands for a passage that the new embedder refuses."""

_log = structlog.get_logger(__name__)


class _LeftError(Exception):
    """The collection goes, or wants other vectors by now."""


async def reembed(parts: Parts) -> None:
    """Bring every collection to the vectors of this installation's embedder.

    Workers that were started with another embedder than the newest do nothing.
    """
    to = parts.embedder
    if not await reembeddings.is_wanted(parts.reads, to.name, to.dimension):
        return
    for collection_id in await reembeddings.concerned(
        parts.reads, to.name, to.dimension
    ):
        async with only_one(parts.db, f"reembed {collection_id}") as is_mine:
            if is_mine:
                await _bring(parts, collection_id)


async def _bring(parts: Parts, collection_id: UUID) -> None:
    to = IndexTable(uuid4(), parts.embedder.name, parts.embedder.dimension)
    async with parts.db.begin() as connection:
        if not await reembeddings.begin(connection, collection_id, to):
            return
    [found] = await reembeddings.under_way(parts.reads, collection_id=collection_id)
    log = _log.bind(collection=found.readable_id, to=to.model)
    if found.error is None:  # else it was said before
        log.info("embedding anew", was=found.live.model, dimension=to.dimension)
    try:
        if await _Copy(parts, found).finish():
            log.info("embedded anew", table=str(found.next.id))
    except (SyncError, RuntimeError, ValueError, OSError) as error:
        reason = str(error)[:REASON_CHARACTERS]
        if reason != found.error:
            log.warning("embedding anew has stumbled", reason=reason)
        async with parts.db.begin() as connection:
            await reembeddings.stumbled(connection, collection_id, reason)
    except _LeftError:
        log.info("no longer embedded anew")


class _Copy:
    """One collection on its way from its live table to the next."""

    def __init__(self, parts: Parts, of: Reembedding) -> None:
        self._parts = parts
        self._id = of.collection_id
        self._live = of.live
        self._next = of.next
        self._appends = 0

    async def finish(self) -> bool:
        """Copy until nothing is left, and swap; False when somebody was in the way."""
        for _ in range(ROUNDS):
            if await self._round() <= FEW_CHUNKS:
                break
        await self._maintain()
        parts = self._parts
        async with parts.db.begin() as connection:
            if not await reembeddings.close_door(connection, self._id, self._next.id):
                raise _LeftError
        # what a round finds missing it copies; only one that finds nothing is a proof
        for _ in range(ROUNDS):
            if not await self._round():
                break
        else:
            raise RetryableError(
                "the next table differs from the ledger time and again"
            )
        async with parts.db.begin() as connection:
            return await reembeddings.swap(connection, self._id, self._next.id)

    async def _round(self) -> int:
        """Copy what the next table lacks; returns how many chunks that were."""
        db = self._parts.db
        async with audit.session(db) as connection:
            async for page in self._stored():
                await audit.load(connection, page)
            _, suspects, strays = await audit.compare(connection, self._id)
            if strays:
                await self._delete(connection, audit.strays)
            if not suspects:
                return 0
            # parts of an entity, and what two have copied: whole it comes once
            await self._delete(connection, audit.half_there)
            missing = await audit.suspected_chunks(connection)
            async with db.begin() as counting:
                chunks = await reembeddings.live_chunks(counting, self._id)
                copied = max(0, chunks - missing)
                await reembeddings.count(
                    counting, self._id, chunks=chunks, copied=copied
                )
            await self._copy_all(connection)
        return max(1, missing)

    async def _stored(self) -> AsyncIterator[list[StoredVersion]]:
        page: list[StoredVersion] = []
        async for one in self._parts.index.stored(self._next.id):
            page.append(one)
            if len(page) == LOAD:
                yield page
                page = []
        yield page

    async def _delete(
        self,
        connection: AsyncConnection,
        listing: Callable[..., Awaitable[list[int]]],
    ) -> None:
        after = 0
        while page := await listing(connection, after=after, limit=DELETED):
            after = page[-1]
            async with self._as_maintainer():
                await self._parts.index.delete_versions(self._next.id, page)

    async def _copy_all(self, connection: AsyncConnection) -> None:
        after, part, chunks = 0, list[Committed](), 0
        while page := await audit.suspects(connection, after=after, limit=PAGE):
            after = page[-1].version
            for one in page:
                if part and chunks + one.chunk_count > PART_CHUNKS:
                    await self._copy(part)
                    part, chunks = [], 0
                part.append(one)
                chunks += one.chunk_count
        if part:
            await self._copy(part)

    async def _copy(self, part: Sequence[Committed]) -> None:
        """Copy some entities at once, or a large one piece by piece."""
        if len(part) == 1 and part[0].chunk_count > PART_CHUNKS:
            [one] = part
            for start in range(0, one.chunk_count, PART_CHUNKS):
                end = min(start + PART_CHUNKS, one.chunk_count)
                await self._copy_piece({one: range(start, end)}, range(start, end))
            return
        wanted = {one: range(one.chunk_count) for one in part if one.chunk_count}
        if wanted:
            await self._copy_piece(wanted, None)

    async def _copy_piece(
        self, wanted: dict[Committed, range], ordinals: range | None
    ) -> None:
        versions = [one.version for one in wanted]
        read = await self._parts.index.read_entities(self._live.id, versions, ordinals)
        found = {one.version: one for one in read}
        whole = {
            one: found[one.version]
            for one, chunks in wanted.items()
            if _is_whole(one, chunks, found.get(one.version))
        }
        if len(whole) < len(wanted):
            await self._forget([one for one in wanted if one not in whole])
        await self._append(await self._embedded(whole))

    async def _forget(self, damaged: Sequence[Committed]) -> None:
        """What the live table has lost comes with the next job, as after a scrub.

        What was replaced or deleted since it was listed is no longer anybody's.
        """
        groups: dict[UUID, dict[bytes, int]] = defaultdict(dict)
        for one in damaged:
            groups[one.connection_id][one.entity_key] = one.version
        for connection_id, versions in groups.items():
            async with self._parts.db.begin() as connection:
                await lost.forget(connection, connection_id, versions)

    async def _embedded(
        self, whole: dict[Committed, EntityChunks]
    ) -> dict[Committed, EntityChunks]:
        texts = [
            text
            for one in whole.values()
            for text in embedding_texts(one.name, one.texts)
        ]
        row, made = self._next.dimension * FLOAT_BYTES, dict[Committed, EntityChunks]()
        vectors, at = await self._vectors(texts), 0
        for one, chunks in whole.items():
            end = at + len(chunks.texts) * row
            # a label that differs from the ledger's is mended on the way
            made[one] = replace(
                chunks, vectors=vectors[at:end], inserted_by=one.inserted_by
            )
            at = end
        return made

    async def _vectors(self, texts: Sequence[str]) -> memoryview:
        """Embed; a text that is refused for good is found by its words only."""
        embedder = self._parts.embedder
        if not texts:
            return memoryview(b"")
        try:
            return (await embedder.embed(texts)).cast("B")
        except RefusedTextsError as error:
            if error.failure_class is not FailureClass.PERMANENT:
                raise
            refused, rows = error.refused, error.vectors
        _log.warning("texts refused", embedder=embedder.name, texts=len(refused))
        nothing = bytes((await embedder.embed([NOTHING])).cast("B"))
        whole = bytearray(rows.cast("B"))
        for place in refused:
            whole[place * len(nothing) : (place + 1) * len(nothing)] = nothing
        return memoryview(whole)

    async def _append(self, made: dict[Committed, EntityChunks]) -> None:
        """Append what is live now: only then does whoever removes it find it here."""
        parts = self._parts
        require_disk(parts.limits.data_dir, parts.limits.min_free_bytes)
        async with self._as_maintainer():
            async with parts.db.connect() as connection:
                live = await audit.access_of(connection, made)
                tables = await index_tables.all_of(connection, self._id)
            if tables[1:] != [self._next.id]:
                raise _LeftError
            wanted = [
                replace(chunks, access=live[one.version])
                for one, chunks in made.items()
                if one.version in live
            ]
            await parts.index.append(self._next.id, self._next.dimension, wanted)
        chunks = sum(len(one.texts) for one in wanted)
        async with parts.db.begin() as connection:
            await reembeddings.advance(connection, self._id, chunks)
        self._appends += 1
        if self._appends % APPENDS == 0:
            await self._maintain()

    async def _maintain(self) -> None:
        """Merge what was appended, and index it before it is searched."""
        async with self._as_maintainer():
            await self._parts.index.maintain(self._next.id)

    @asynccontextmanager
    async def _as_maintainer(self) -> AsyncIterator[None]:
        async with maintainer(self._parts.db, self._id, waits=True):
            yield


def _is_whole(one: Committed, chunks: range, found: EntityChunks | None) -> bool:
    return (
        found is not None
        and found.first_ordinal == chunks.start
        and len(found.texts) == len(chunks)
        and (found.connection_id, found.entity_key)
        == (one.connection_id, one.entity_key)
    )
