"""What a Lance table really holds: described version by version, and expunged."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from lancedb.table import AsyncTable

from wellhead.domain.chunks import StoredVersion
from wellhead.index.lance_upkeep import (
    Upkeep,
    build_keyword_indexes,
    forget_unread,
    merge,
    states_of,
)

WINDOW = 20_000
"""So many versions are described at a time."""
_SAME = ("connection_id", "entity_key", "inserted_by")
_FRAGMENT_BITS = 32
_Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


async def distinct_versions(table: AsyncTable) -> _Numbers:
    """Return every version once, ascending: 8 bytes for each in memory."""
    found = np.empty(0, dtype=np.int64)
    waiting: list[_Numbers] = []
    async for batch in await table.query().select(["version"]).to_batches():
        waiting.append(np.unique(batch["version"].to_numpy()))
        if sum(len(one) for one in waiting) > max(1_000_000, len(found)):
            found, waiting = np.unique(np.concatenate([found, *waiting])), []
    return np.unique(np.concatenate([found, *waiting]))


def windows(versions: _Numbers | Sequence[int], *, named: bool) -> list[str]:
    """Return conditions that select these versions, or all of their range, in order."""
    parts = [versions[at : at + WINDOW] for at in range(0, len(versions), WINDOW)]
    if named:
        return [f"version IN ({', '.join(str(int(v)) for v in p)})" for p in parts]
    return [f"version >= {int(p[0])} AND version <= {int(p[-1])}" for p in parts]


async def describe(table: AsyncTable, condition: str) -> list[StoredVersion]:
    """Describe each version that meets the condition, ascending."""
    query = table.query().where(condition).select(["version", "ordinal", *_SAME])
    rows = await query.to_arrow()
    return await asyncio.to_thread(_describe, rows) if rows.num_rows else []


def _describe(rows: pa.Table) -> list[StoredVersion]:
    order = np.lexsort((rows["ordinal"].to_numpy(), rows["version"].to_numpy()))
    rows = rows.take(pa.array(order)).combine_chunks()
    version, ordinal = rows["version"].to_numpy(), rows["ordinal"].to_numpy()
    is_first = np.diff(version, prepend=version[0] - 1) != 0
    starts = np.flatnonzero(is_first)
    counts = np.diff(np.append(starts, len(version)))
    is_new = is_first | (np.diff(ordinal, prepend=-1) != 0)
    firsts = np.repeat(starts, counts)
    differs = np.zeros(len(version), dtype=bool)
    for name in _SAME:
        code = rows[name].combine_chunks().dictionary_encode().indices
        numbers = pc.fill_null(code, -1).to_numpy(zero_copy_only=False)
        differs |= numbers != numbers[firsts]
    described = rows.take(pa.array(starts)).to_pylist()
    ordinals = np.add.reduceat(is_new.astype(np.int64), starts)
    mixed = np.logical_or.reduceat(differs, starts)
    return [
        StoredVersion(
            version=one["version"],
            connection_id=UUID(one["connection_id"]),
            entity_key=one["entity_key"],
            inserted_by=None
            if one["inserted_by"] is None
            else UUID(one["inserted_by"]),
            chunks=int(counts[at]),
            ordinals=int(ordinals[at]),
            highest=int(ordinal[starts[at] + counts[at] - 1]),
            is_uniform=not mixed[at],
        )
        for at, one in enumerate(described)
    ]


async def expunge_table(table: AsyncTable, folder: Path) -> int | None:
    """Write anew every fragment with deleted rows, and the words of all rows.

    Lance merges a fragment once more than a tenth of it is deleted, and keeps what its
    indexes know of the other rows. So where less is, a tenth of its rows moves first.
    """
    await merge(table)
    fragments = await asyncio.to_thread(_fragments_with_deletions, folder)
    for fragment in fragments:
        rows = await _rows_of(table, fragment)
        if len(rows):
            last = int(rows[len(rows) // 10])
            await table.update(
                where=f"{_within(fragment)} AND _rowid <= {last}",
                updates_sql={"version": "version"},
            )
    await merge(table)
    # their list of words outlives the rows that it was made of
    await build_keyword_indexes(table, anew=True)
    left = [len(await _rows_of(table, fragment)) for fragment in fragments]
    return None if any(left) else await table.version()


def _within(fragment: int) -> str:
    first, end = fragment << _FRAGMENT_BITS, (fragment + 1) << _FRAGMENT_BITS
    return f"_rowid >= {first} AND _rowid < {end}"


async def _rows_of(table: AsyncTable, fragment: int) -> _Numbers:
    """Return the ids of a fragment's rows, ascending; none if it has been merged."""
    query = table.query().where(_within(fragment)).select(["_rowid"])
    return np.sort((await query.to_arrow())["_rowid"].to_numpy())


def _fragments_with_deletions(folder: Path) -> list[int]:
    """Read them off the names of deletion files; those of older states are included."""
    names = [path.name for path in (folder / "_deletions").glob("*-*-*.*")]
    return sorted({int(name.split("-", 1)[0]) for name in names})


async def forget_table_states(table: AsyncTable, upkeep: Upkeep, before: int) -> bool:
    """Drop states before this one, once nobody has opened one for long enough."""
    if await table.version() < before:
        return True  # another table has taken its place since
    states = await states_of(table)
    if min(states) >= before:
        return True
    clean_since = min(moment for state, moment in states.items() if state >= before)
    now = datetime.now()  # noqa: DTZ005, TID251  # as Lance gives its moments
    if now - clean_since < upkeep.keep:
        return False
    await forget_unread(table, upkeep.keep)
    return min(await states_of(table)) >= before
