"""How quick and how exact searches of a table are, measured on the table itself."""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
from lancedb.table import AsyncTable

from wellhead.domain.chunks import Hit, Vectors
from wellhead.domain.ports import Scope
from wellhead.index.lance import LanceReader
from wellhead.index.lance_rows import floats
from wellhead.index.lance_upkeep import VECTOR_INDEX

HITS = 70
"""As many as a search asks for, of which people see the first."""
DEPTH = 10
WORDS = 4
_ROUNDING = 1e-5
"""Distances that differ by less are equal: both ways round, but not alike."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What queries of one table found out.

    Seconds are medians of one leg, by meaning and by words. Recall is the share of the
    ten nearest chunks that is found; None without a vector index, as none is missed.
    """

    table: str
    chunks: int
    queries: int
    semantic_seconds: float
    keyword_seconds: float
    recall: float | None


@dataclass(frozen=True, slots=True)
class Query:
    """One question in both forms."""

    vector: Vectors
    words: str


async def probe_tables(
    root: Path, *, queries: int, least_chunks: int, seed: int = 1
) -> AsyncIterator[Probe]:
    """Probe each table of so many chunks with what is stored in it."""
    chance = random.Random(seed)  # noqa: S311  # nothing secret
    with await lancedb.connect_async(root) as connection:
        for name in (await connection.list_tables()).tables:
            with await connection.open_table(name) as table:
                if await table.count_rows() >= least_chunks:
                    yield await probe(table, await _sample(table, queries, chance))


async def probe(table: AsyncTable, queries: Sequence[Query]) -> Probe:
    """Ask each query, and where there is a vector index scan all vectors as well."""
    reader = LanceReader(table)
    is_indexed = VECTOR_INDEX in {index.name for index in await table.list_indices()}
    semantic, keyword, shares = [], [], []
    for query in queries:
        hits, seconds = await _timed(reader.semantic(query.vector, HITS, Scope()))
        semantic.append(seconds)
        _, seconds = await _timed(reader.keyword(query.words, HITS, Scope()))
        keyword.append(seconds)
        if is_indexed:
            scores = [hit.score for hit in hits[:DEPTH]]
            shares.append(await _share(table, query.vector, scores))
    return Probe(
        table=table.name,
        chunks=await table.count_rows(),
        queries=len(queries),
        semantic_seconds=float(np.median(semantic)),
        keyword_seconds=float(np.median(keyword)),
        recall=float(np.mean(shares)) if shares else None,
    )


async def _timed(leg: Awaitable[list[Hit]]) -> tuple[list[Hit], float]:
    start = time.perf_counter()
    hits = await leg
    return hits, time.perf_counter() - start


async def _share(table: AsyncTable, vector: Vectors, scores: Sequence[float]) -> float:
    """Return how many are at least as near as the last one of an exact scan."""
    query = table.query().nearest_to(floats(vector)).distance_type("cosine")
    query = query.bypass_vector_index().limit(DEPTH).select(["_distance"])
    exact = (await query.to_arrow())["_distance"].to_numpy()
    if not len(exact):
        return 1.0
    least = 1 - exact.max() - _ROUNDING
    return float(sum(score >= least for score in scores) / len(exact))


async def _sample(table: AsyncTable, count: int, chance: random.Random) -> list[Query]:
    rows = await table.count_rows()
    offsets = chance.sample(range(rows), min(count, rows))
    taken: Any = await table.take_offsets(offsets).select(["vector", "text"]).to_arrow()
    vectors = taken["vector"].combine_chunks()
    matrix = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    texts = taken["text"].to_pylist()
    return [
        Query(memoryview(row), " ".join(text.split()[:WORDS]))
        for row, text in zip(matrix, texts, strict=True)
    ]
