"""How quick and how exact searches of a table are, measured on the table itself."""

import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lancedb
import numpy as np
from lancedb.table import AsyncTable

from wellhead.domain.chunks import Vectors
from wellhead.domain.ports import Scope
from wellhead.index.lance import LanceReader
from wellhead.index.lance_rows import floats
from wellhead.index.lance_upkeep import VECTOR_INDEX

DEPTH = 10
_ROUNDING = 1e-5
"""Distances that differ by less are equal: both ways round, but not alike."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What queries of one table found out; `recall` is None where none can be missed.

    Recall is how many of the ten nearest chunks a search by meaning finds, of those
    that a scan of all vectors finds. Seconds are medians of a search by meaning.
    """

    table: str
    chunks: int
    queries: int
    seconds: float
    recall: float | None


async def probe_tables(root: Path, *, queries: int, seed: int) -> AsyncIterator[Probe]:
    """Probe each table of a folder, with vectors that it holds as queries."""
    with await lancedb.connect_async(root) as connection:
        for name in (await connection.list_tables()).tables:
            with await connection.open_table(name) as table:
                sample = await _sample(table, queries, random.Random(seed))  # noqa: S311
                if sample:
                    yield await probe(table, sample)


async def probe(table: AsyncTable, vectors: Sequence[Vectors]) -> Probe:
    """Search by each vector, and where there is a vector index scan as well."""
    reader = LanceReader(table)
    indexes = {index.name for index in await table.list_indices()}
    seconds, shares = [], []
    for vector in vectors:
        start = time.perf_counter()
        found = await reader.semantic(vector, DEPTH, Scope())
        seconds.append(time.perf_counter() - start)
        if VECTOR_INDEX in indexes:
            shares.append(await _share(table, vector, [1 - hit.score for hit in found]))
    return Probe(
        table=table.name,
        chunks=await table.count_rows(),
        queries=len(vectors),
        seconds=sorted(seconds)[len(seconds) // 2],
        recall=sum(shares) / len(shares) if shares else None,
    )


async def _share(table: AsyncTable, vector: Vectors, found: Sequence[float]) -> float:
    """Return how many are as near as the tenth of the exact ones, as a share."""
    query = table.query().nearest_to(floats(vector)).distance_type("cosine")
    rows = (
        await query.bypass_vector_index().limit(DEPTH).select(["_distance"]).to_arrow()
    )
    exact = rows["_distance"].to_numpy()
    if not len(exact):
        return 1.0
    return float(np.mean(np.array(found) <= exact.max() + _ROUNDING)) * (
        len(found) / len(exact)
    )


async def _sample(
    table: AsyncTable, count: int, chance: random.Random
) -> list[Vectors]:
    rows = await table.count_rows()
    offsets = chance.sample(range(rows), min(count, rows))
    if not offsets:
        return []
    taken = await table.take_offsets(offsets).select(["vector"]).to_arrow()
    vectors = taken["vector"].combine_chunks()
    matrix = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    return [memoryview(row) for row in matrix]
