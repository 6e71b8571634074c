"""The index on LanceDB: tables of chunks in a local folder."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import lancedb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from lancedb.db import AsyncConnection
from lancedb.query import AsyncStandardQuery, FullTextOperator, MultiMatchQuery
from lancedb.table import AsyncTable

from wellhead.domain.chunks import EntityChunks, Hit, StoredVersion, Vectors
from wellhead.domain.ports import Scope
from wellhead.index.lance_audit import (
    describe,
    distinct_versions,
    forget_table_states,
    windows,
)
from wellhead.index.lance_conflicts import is_conflict, retries
from wellhead.index.lance_entities import ENTITY_COLUMNS, entities_of
from wellhead.index.lance_files import (
    bytes_of,
    durable,
    exclusive,
    give_back_memory,
    remove_torn_manifests,
)
from wellhead.index.lance_filter import (
    quoted,
    scope_predicate,
    version_predicates,
    within,
)
from wellhead.index.lance_process import Work, work_on
from wellhead.index.lance_rows import chunk_rows, floats, table_schema
from wellhead.index.lance_terms import terms
from wellhead.index.lance_upkeep import (
    KEYWORD_COLUMNS,
    Upkeep,
    build_keyword_indexes,
    wants_upkeep,
)

_log = logging.getLogger(__name__)
_PROBES = 20
_HIT_COLUMNS = ["version", "ordinal", "connection_id", "entity_key", "text"]
_IS_OURS = re.compile(r"[0-9a-f]{32}")


class LanceIndex:
    """Implements the Index port; several processes may write to one folder.

    A process that uses it must never fork. Tables are opened for each operation
    (0.2 ms): every operation sees the newest state and nothing grows with their number.
    """

    def __init__(
        self, root: Path, connection: AsyncConnection, upkeep: Upkeep | None = None
    ) -> None:
        self._root = root
        self._connection = connection
        self._upkeep = upkeep or Upkeep()

    @classmethod
    async def open(
        cls,
        root: Path,
        *,
        upkeep: Upkeep | None = None,
        cache_bytes: int = 256 * 1024 * 1024,
    ) -> "LanceIndex":
        """Open a local folder; `cache_bytes` bounds indexes held in memory."""
        session = lancedb.Session(
            index_cache_size_bytes=cache_bytes,
            metadata_cache_size_bytes=cache_bytes // 4,
        )
        await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
        connection = await lancedb.connect_async(root, session=session)
        return cls(root, connection, upkeep)

    async def append(
        self, table_id: UUID, dimension: int, entities: Sequence[EntityChunks]
    ) -> None:
        rows = await asyncio.to_thread(chunk_rows, dimension, entities)
        if rows.num_rows == 0:
            return
        async with durable(self._folder(table_id)):
            table = await self._open_or_create(table_id, dimension)
            with table:
                async for attempt in retries():
                    with attempt:
                        await table.add(rows, write_parallelism=1)

    async def read_vectors(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> Mapping[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        async with self._opened(table_id) as table:
            if table is None:
                return found
            for predicate in version_predicates(versions):
                query = table.query().where(predicate + within(ordinals))
                query = query.select(["text_hash", "vector"])
                rows = (await query.to_arrow()).combine_chunks()
                for batch in rows.to_batches():
                    vectors = batch["vector"].flatten().to_numpy()
                    hashes = batch["text_hash"].to_pylist()
                    matrix = vectors.reshape(len(hashes), -1)
                    rows_of = (memoryview(row) for row in matrix)
                    found.update(zip(hashes, rows_of, strict=True))
        return found

    async def read_texts(
        self, table_id: UUID, version: int, ordinals: range
    ) -> Mapping[int, str]:
        async with self._opened(table_id) as table:
            if table is None:
                return {}
            query = table.query().where(f"version = {version}{within(ordinals)}")
            rows = await query.select(["ordinal", "text"]).to_arrow()
        # what was appended twice is one text
        found = zip(rows["ordinal"].to_pylist(), rows["text"].to_pylist(), strict=True)
        return dict(sorted(found))

    async def read_entities(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> list[EntityChunks]:
        async with self._opened(table_id) as table:
            if table is None:
                return []
            found: list[pa.Table] = []
            for predicate in version_predicates(versions):
                query = table.query().where(predicate + within(ordinals))
                found.append(await query.select(ENTITY_COLUMNS).to_arrow())
        return await asyncio.to_thread(entities_of, found)

    async def delete_versions(self, table_id: UUID, versions: Sequence[int]) -> int:
        return await self._delete(table_id, version_predicates(versions))

    async def delete_connection(self, table_id: UUID, connection_id: UUID) -> int:
        predicate = f"connection_id = {quoted(str(connection_id))}"
        return await self._delete(table_id, [predicate])

    async def reader(self, table_id: UUID) -> "LanceReader":
        """Open the newest state; the handle never moves on from it."""
        try:
            return LanceReader(await self._open(table_id))
        except _MissingTableError:
            return LanceReader(None)

    async def maintain(self, table_id: UUID) -> None:
        folder = self._folder(table_id)
        async with self._opened(table_id) as table:
            if table is None:
                return
            async with durable(folder):
                try:
                    if await wants_upkeep(table, folder, self._upkeep):
                        await work_on(table, folder, Work.MAINTAIN, self._upkeep)
                except (RuntimeError, ValueError) as error:
                    if not is_conflict(error):
                        raise
                    _log.info("maintenance met a writer", extra={"table": folder.stem})
        await asyncio.to_thread(give_back_memory)

    async def versions(self, table_id: UUID) -> AsyncIterator[tuple[int, int]]:
        async with self._opened(table_id) as table:
            if table is None:
                return
            batches = await table.query().select(["version"]).to_batches()
            parts = [batch["version"].to_numpy() async for batch in batches]
        if parts:
            found, counts = np.unique(np.concatenate(parts), return_counts=True)
            for version, chunks in zip(found, counts, strict=True):
                yield int(version), int(chunks)

    async def stored(
        self, table_id: UUID, versions: Sequence[int] | None = None
    ) -> AsyncIterator[StoredVersion]:
        wanted = versions
        if wanted is None:
            async with self._opened(table_id) as table:
                if table is None:
                    return
                found = await distinct_versions(table)
            conditions = windows(found, named=False)
        else:
            conditions = windows(sorted(wanted), named=True)
        for condition in conditions:  # each on the newest state: old ones are dropped
            async with self._opened(table_id) as table:
                described = [] if table is None else await describe(table, condition)
            for one in described:
                yield one

    async def tables(self) -> list[UUID]:
        folders = await asyncio.to_thread(lambda: sorted(self._root.glob("*.lance")))
        return [UUID(one.stem) for one in folders if _IS_OURS.fullmatch(one.stem)]

    async def expunge(self, table_id: UUID) -> int | None:
        folder = self._folder(table_id)
        async with self._opened(table_id) as table:
            if table is None:
                return 0
            async with durable(folder):
                try:
                    return await work_on(table, folder, Work.EXPUNGE, self._upkeep)
                except (RuntimeError, ValueError) as error:
                    if not is_conflict(error):
                        raise
                    return None

    async def forget_states(self, table_id: UUID, before: int) -> bool:
        async with self._opened(table_id) as table:
            if table is None:
                return True
            async with durable(self._folder(table_id)):
                return await forget_table_states(table, self._upkeep, before)

    async def disk_bytes(self, table_id: UUID) -> int:
        return await asyncio.to_thread(bytes_of, self._folder(table_id))

    async def drop(self, table_id: UUID) -> None:
        await self._connection.drop_table(table_id.hex, ignore_missing=True)

    async def close(self) -> None:
        self._connection.close()  # type: ignore[no-untyped-call]

    def _folder(self, table_id: UUID) -> Path:
        return self._root / f"{table_id.hex}.lance"

    @asynccontextmanager
    async def _opened(self, table_id: UUID) -> AsyncIterator[AsyncTable | None]:
        try:
            table = await self._open(table_id)
        except _MissingTableError:
            yield None
            return
        with table:
            yield table

    async def _open(self, table_id: UUID) -> AsyncTable:
        try:
            return await self._connection.open_table(table_id.hex)
        except ValueError as error:
            if "was not found" in str(error):
                raise _MissingTableError from error
            raise
        except RuntimeError:
            folder = self._folder(table_id)
            if not await asyncio.to_thread(remove_torn_manifests, folder):
                raise
            _log.warning("removed empty manifests", extra={"table": folder.stem})
            return await self._connection.open_table(table_id.hex)

    async def _open_or_create(self, table_id: UUID, dimension: int) -> AsyncTable:
        with suppress(_MissingTableError):
            return await self._open(table_id)
        # of two that create a table at once, Lance lets the second overwrite the
        # first along with rows already acknowledged
        async with exclusive(self._root / "create.lock"):
            with suppress(_MissingTableError):
                return await self._open(table_id)
            table = await self._connection.create_table(
                table_id.hex, schema=table_schema(dimension)
            )
            await build_keyword_indexes(table)
            return table

    async def _delete(self, table_id: UUID, predicates: Sequence[str]) -> int:
        removed = 0
        async with self._opened(table_id) as table:
            if table is None:
                return 0
            for predicate in predicates:
                async with durable(self._folder(table_id)):
                    async for attempt in retries():
                        with attempt:
                            result: Any = await table.delete(predicate)
                            removed += result.num_deleted_rows
        return removed


class LanceReader:
    """Implements the IndexReader port on one table version; None finds nothing."""

    def __init__(self, table: AsyncTable | None) -> None:
        self._table = table

    async def semantic(self, vector: Vectors, k: int, scope: Scope) -> list[Hit]:
        if self._table is None or k < 1:
            return []
        query = (
            self._table.query()
            .nearest_to(floats(vector))
            .distance_type("cosine")
            # the next two matter with a vector index only: exact distances of what it
            # finds, and every partition where a narrow scope leaves too few
            .refine_factor(1)
            .minimum_nprobes(_PROBES)
            .maximum_nprobes(0)
        )
        rows = await _rows(query, k, scope, "_distance")
        return _hits(rows, 1.0 - rows["_distance"].to_numpy())

    async def keyword(self, query: str, k: int, scope: Scope) -> list[Hit]:
        words = terms(query)
        if self._table is None or k < 1 or not words:
            return []
        match = MultiMatchQuery(
            " ".join(words),
            columns=list(KEYWORD_COLUMNS),
            boosts=None,
            operator=FullTextOperator.OR,
        )
        rows = await _rows(
            self._table.query().nearest_to_text(match), k, scope, "_score"
        )
        return _hits(rows, rows["_score"].to_numpy())


class _MissingTableError(Exception):
    """There is no such table yet."""


async def _rows(
    query: AsyncStandardQuery, k: int, scope: Scope, score: str
) -> pa.Table:
    predicate = scope_predicate(scope)
    if predicate is not None:
        query = query.where(predicate)
    return await query.limit(k).select([*_HIT_COLUMNS, score]).to_arrow()


def _hits(
    rows: pa.Table, scores: "np.ndarray[tuple[int], np.dtype[np.float32]]"
) -> list[Hit]:
    version, ordinal = rows["version"].to_numpy(), rows["ordinal"].to_numpy()
    order = np.lexsort((ordinal, version, -scores))
    columns = [rows[name].to_pylist() for name in _HIT_COLUMNS]
    connections = {one: UUID(one) for one in set(columns[2])}
    return [
        Hit(
            version=columns[0][i],
            ordinal=columns[1][i],
            connection_id=connections[columns[2][i]],
            entity_key=columns[3][i],
            text=columns[4][i],
            score=float(scores[i]),
        )
        for i in order
    ]
