"""When and how a Lance table is compacted and indexed."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lancedb.index import FTS, IvfSq
from lancedb.table import AsyncTable

KEYWORD_COLUMNS = ("text", "title")
TOKENIZER = "icu/split"
"""Words of every script, Chinese and Thai among them; identifiers by their parts."""

MAX_TOKEN_LENGTH = 128

VECTOR_INDEX = "vector_ivf"
_SEGMENTS = 8
_NEVER = timedelta(days=36_500)
_MARGIN = 100
"""A hundredth of the time: Lance looks at its clock a little later than we do."""
_REST = 6
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How much change calls for work; work costs in proportion to the table.

    From `vector_rows` on vectors are indexed, below they are scanned. `rows` are those
    no index covers yet (of a large table 5 %, at most 8 times as many), `fragments`
    files to merge, `table_versions` commits to forget once older than `keep`.

    A table that grows waits for more, or all the work would be quadratic: until nothing
    was written for `quiet`, it is for a quarter of its rows, at most 200 times `rows`,
    or 16 times as many fragments. From `apart_rows` on the work has its own process.
    """

    vector_rows: int = 20_000
    rows: int = 500
    fragments: int = 16
    table_versions: int = 64
    keep: timedelta = timedelta(minutes=10)
    quiet: timedelta = timedelta(seconds=10)
    apart_rows: int = 20_000


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
    is_quiet: bool


@dataclass(frozen=True, slots=True)
class _Wants:
    rows: int
    keywords: bool
    optimizing: bool
    vectors: bool

    @property
    def anything(self) -> bool:
        return self.keywords or self.optimizing or self.vectors


async def build_keyword_indexes(table: AsyncTable, *, anew: bool = False) -> None:
    """Index words, on an empty table too: later rows are then split the same way."""
    existing = {column for i in await table.list_indices() for column in i.columns}
    for column in KEYWORD_COLUMNS:
        if anew or column not in existing:
            config = FTS(
                base_tokenizer=TOKENIZER,
                max_token_length=MAX_TOKEN_LENGTH,
                # +7 % nDCG on English; other words lose the same letters on both sides
                stem=True,
                # kept, so that a query of nothing else still finds them
                remove_stop_words=False,
            )
            await table.create_index(column, config=config, name=f"{column}_fts")


async def wants_upkeep(table: AsyncTable, folder: Path, upkeep: Upkeep) -> bool:
    """Tell whether the state of the table calls for anything."""
    return (await _wants(table, folder, upkeep)).anything


async def maintain_table(table: AsyncTable, folder: Path, upkeep: Upkeep) -> bool:
    """Do what the state of the table calls for; tells whether anything was done."""
    wants = await _wants(table, folder, upkeep)
    if wants.keywords:
        await build_keyword_indexes(table)
    if wants.optimizing:
        await merge(table)
        await forget_unread(table, upkeep.keep)
    if wants.vectors:
        # scalar quantization without a graph: built 35 times faster than HNSW, merged
        # at little cost after every change, as quick and exact at this size
        config: Any = IvfSq(distance_type="cosine")
        await table.create_index("vector", config=config, name=VECTOR_INDEX)
    if wants.anything:
        _log.info("table maintained", extra={"table": folder.stem, "rows": wants.rows})
    return wants.anything


async def _wants(table: AsyncTable, folder: Path, upkeep: Upkeep) -> _Wants:
    state = await _state(table)
    history = await asyncio.to_thread(_history, folder, upkeep)
    wants_optimizing = _wants_optimizing(state, history, upkeep)
    return _Wants(
        rows=state.rows,
        keywords=not state.indexed.issuperset(KEYWORD_COLUMNS),
        optimizing=wants_optimizing,
        vectors=state.rows >= upkeep.vector_rows
        and (
            "vector" not in state.indexed
            or (wants_optimizing and state.vector_segments > _SEGMENTS)
        ),
    )


async def merge(table: AsyncTable) -> None:
    """Merge small fragments and bring the indexes up to date; forget nothing."""
    await table.optimize(cleanup_older_than=_NEVER)


async def forget_unread(table: AsyncTable, keep: timedelta) -> None:
    """Drop the states that nobody can have opened within `keep`.

    Lance tells their age from their beginning. The newest of the old ones was the
    table's state until its successor came, so it may have been opened a moment ago;
    only those before it are unread.
    """
    now = datetime.now()  # noqa: DTZ005, TID251  # as Lance gives its moments
    ages = [now - moment for moment in (await states_of(table)).values()]
    unread = min((age for age in ages if age >= keep), default=keep)
    if unread > min(ages):  # the newest of all is never dropped
        unread += keep / _MARGIN
    await table.optimize(cleanup_older_than=unread)


async def states_of(table: AsyncTable) -> dict[int, datetime]:
    """Return when each state began, in naive times of this machine's zone."""
    listed = await table.list_versions()  # type: ignore[no-untyped-call]
    return {one["version"]: one["timestamp"] for one in listed}


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
            (i.num_segments or 0 for i in indices if i.name == VECTOR_INDEX), default=0
        ),
    )


def _wants_optimizing(state: _State, history: _History, upkeep: Upkeep) -> bool:
    if state.removed * 10 > state.rows + state.removed:
        return True
    if not history.is_quiet:
        covered = state.rows - state.unindexed
        many_rows = min(max(upkeep.rows, covered // 4), 200 * upkeep.rows)
        return state.unindexed >= many_rows or state.fragments >= 16 * upkeep.fragments
    # a keyword search reads rows that no index covers, 50 µs each
    many_rows = min(max(upkeep.rows, state.rows // 20), 8 * upkeep.rows)
    # forgetting costs a merge of small fragments: wait until there is one, or rest
    is_settled = state.fragments <= 1 or history.is_at_rest
    return (
        state.unindexed >= many_rows
        or state.fragments >= upkeep.fragments
        or history.forgettable >= upkeep.table_versions
        or (is_settled and history.forgettable > 0)
    )


def _history(folder: Path, upkeep: Upkeep) -> _History:
    written = sorted(
        manifest.stat().st_mtime
        for manifest in (folder / "_versions").glob("*.manifest")
    )
    now = time.time()
    keep = upkeep.keep.total_seconds()
    newest = written[-1] if written else now
    return _History(
        # the newest of the old may have readers still, or is the table's own
        forgettable=max(0, sum(moment < now - keep for moment in written) - 1),
        is_at_rest=newest < now - _REST * keep,
        is_quiet=newest <= now - upkeep.quiet.total_seconds(),
    )
