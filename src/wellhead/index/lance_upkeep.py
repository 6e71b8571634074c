"""When and how a Lance table is compacted and indexed."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lancedb.index import FTS, IvfSq
from lancedb.table import AsyncTable

KEYWORD_COLUMNS = ("text", "title")
TOKENIZER = "icu/split"
"""Words of every script, Chinese and Thai among them; identifiers by their parts."""

MAX_TOKEN_LENGTH = 128

_VECTOR_INDEX = "vector_ivf"
_SEGMENTS = 8
_REST = 6
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How much change calls for work; work costs in proportion to the table.

    From `vector_rows` on vectors are indexed, below they are scanned. `rows` are those
    no index covers yet (of a large table 5 %, at most 8 times as many), `fragments`
    files to merge, `table_versions` commits to forget once older than `keep`.
    """

    vector_rows: int = 20_000
    rows: int = 500
    fragments: int = 16
    table_versions: int = 64
    keep: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _State:
    rows: int
    fragments: int
    removed: int
    indexed: frozenset[str]
    unindexed: int
    vector_segments: int


@dataclass(frozen=True, slots=True)
class _History:
    forgettable: int
    is_at_rest: bool


async def build_keyword_indexes(table: AsyncTable) -> None:
    """Index words, on an empty table too: later rows are then split the same way."""
    existing = {column for i in await table.list_indices() for column in i.columns}
    for column in KEYWORD_COLUMNS:
        if column not in existing:
            config = FTS(
                base_tokenizer=TOKENIZER,
                max_token_length=MAX_TOKEN_LENGTH,
                # +7 % nDCG on English; other words lose the same letters on both sides
                stem=True,
                # kept, so that a query of nothing else still finds them
                remove_stop_words=False,
            )
            await table.create_index(column, config=config, name=f"{column}_fts")


async def maintain_table(table: AsyncTable, folder: Path, upkeep: Upkeep) -> bool:
    """Do what the state of the table calls for; tells whether anything was done."""
    state = await _state(table)
    history = await asyncio.to_thread(_history, folder, upkeep.keep)
    wants_optimizing = _wants_optimizing(state, history, upkeep)
    wants_keywords = not state.indexed.issuperset(KEYWORD_COLUMNS)
    wants_vectors = state.rows >= upkeep.vector_rows and (
        "vector" not in state.indexed or state.vector_segments > _SEGMENTS
    )
    if wants_keywords:
        await build_keyword_indexes(table)
    if wants_optimizing:
        await table.optimize(cleanup_older_than=upkeep.keep)
    if wants_vectors:
        # scalar quantization without a graph: built 35 times faster than HNSW, merged
        # at little cost after every change, as quick and exact at this size
        config: Any = IvfSq(distance_type="cosine")
        await table.create_index("vector", config=config, name=_VECTOR_INDEX)
    done = wants_keywords or wants_optimizing or wants_vectors
    if done:
        _log.info("table maintained", extra={"table": folder.stem, "rows": state.rows})
    return done


async def _state(table: AsyncTable) -> _State:
    stats: Any = await table.stats()  # a dict, whatever its annotation says
    fragments = stats["fragment_stats"]
    indices = list(await table.list_indices())
    physical = fragments["lengths"]["mean"] * fragments["num_fragments"]
    return _State(
        rows=stats["num_rows"],
        fragments=fragments["num_small_fragments"],
        removed=max(0, physical - stats["num_rows"]),
        indexed=frozenset(column for index in indices for column in index.columns),
        unindexed=max((index.num_unindexed_rows or 0 for index in indices), default=0),
        vector_segments=max(
            (i.num_segments or 0 for i in indices if i.name == _VECTOR_INDEX), default=0
        ),
    )


def _wants_optimizing(state: _State, history: _History, upkeep: Upkeep) -> bool:
    # a keyword search reads rows that no index covers, 50 µs each
    many_rows = min(max(upkeep.rows, state.rows // 20), 8 * upkeep.rows)
    # forgetting costs a merge of small fragments: wait until there is one, or rest
    is_settled = state.fragments <= 1 or history.is_at_rest
    return (
        state.unindexed >= many_rows
        or state.fragments >= upkeep.fragments
        or state.removed * 10 > state.rows + state.removed
        or history.forgettable >= upkeep.table_versions
        or (is_settled and history.forgettable > 0)
    )


def _history(folder: Path, keep: timedelta) -> _History:
    written = sorted(
        manifest.stat().st_mtime
        for manifest in (folder / "_versions").glob("*.manifest")
    )
    now = time.time()
    limit = now - keep.total_seconds()
    return _History(
        forgettable=sum(moment < limit for moment in written[:-1]),
        is_at_rest=bool(written) and written[-1] < now - _REST * keep.total_seconds(),
    )
