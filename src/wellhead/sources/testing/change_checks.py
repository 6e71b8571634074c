"""What a source has to notice: nothing there yet, changes, deletes, and very much."""

import gc
import logging
import resource
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from statistics import median

from wellhead.domain.items import Checkpoint, Item, Ref, Shown
from wellhead.sources.base import Source
from wellhead.sources.testing.reading import Outcome, take_all
from wellhead.sources.testing.stage import Stage, stage
from wellhead.sources.testing.vendor import Vendor

MANY = 10_000
SETTLED = 2_000
"""After so many all buffers have their size."""
STEPS = MANY // SETTLED - 1
MOST_OBJECTS = (MANY - SETTLED) * 9 // 10
"""Small objects more: fewer than if anything were kept for each of the others."""
MOST_BYTES = 512 * (MANY - SETTLED)
"""Of memory more, which shows what is kept in large pieces."""
_MEMORY = Path("/proc/self/statm")


async def reads_an_empty_account(kind: type[Vendor]) -> list[str]:
    """An account without a record is a complete listing, not an error."""
    async with stage(kind, records=0) as on:
        source = on.connect()
        await source.check()
        await source.close()
        found = await on.read()
        if found.error is not None:
            return [f"an empty account: {type(found.error).__name__}: {found.error}"]
        return [] if found.is_whole else ["an empty account is no complete listing"]


async def notices_changes(kind: type[Vendor]) -> list[str]:
    """A job after a change brings what is new and what is different."""
    async with stage(kind, records=20) as on:
        before = await on.first_read()
        changed, added = on.vendor.change(), on.vendor.add(1)
        after = await _next(on, before)
        wrong = [f"{ref} is new and not read" for ref in added if not _has(after, ref)]
        if not _has(after, changed):
            wrong.append(f"{changed} changed and is not read")
        elif _same(before, after, changed):
            wrong.append(f"{changed} changed and looks the same")
        if kind.source.info.is_incremental and len(after.entities) >= len(
            before.entities
        ):
            wrong.append("with a cursor it reads everything again")
        later = await _next(on, after) if after.checkpoint else after
        if kind.source.info.is_incremental and _has(later, changed):
            unchanged = _same(after, later, changed)
            wrong += [] if unchanged else [f"{changed} changes though it did not"]
        return wrong


async def notices_deletes(kind: type[Vendor]) -> list[str]:
    """What was removed is gone in a listing, by an event, or from the ids."""
    info = kind.source.info
    wrong = []
    async with stage(kind, records=20) as on:
        before = await on.first_read()
        removed = on.vendor.remove()
        if not _has(before, removed):
            wrong.append(f"{removed} was never read")
        full = await on.read()
        if not full.is_whole or _has(full, removed):
            wrong.append(f"a full read still shows {removed}")
        if info.is_incremental and info.yields_deletes:
            later = await _next(on, before)
            if removed.key not in later.deleted:
                wrong.append(f"with a cursor it does not tell that {removed} is gone")
        ids = await _listed_ids(on)
        if ids is not None and (removed.key in ids.seen or not ids.is_whole):
            wrong.append(f"its ids still hold {removed}, or are not complete")
        fetched = await _fetched(on, removed)
        if fetched is not None and removed.key not in fetched.deleted:
            wrong.append(f"fetch does not tell that {removed} is gone")
    return wrong


async def reads_changes_from_every_checkpoint(kind: type[Vendor]) -> list[str]:
    """A crash between two pages of a read loses no change that came meanwhile."""
    wrong = []
    async with stage(kind, records=kind.crowd) as on:
        tokens = await _checkpoints(on)
        whole = await on.first_read()
        changed = on.vendor.change()
        for token in tokens[:: max(1, len(tokens) // 5)]:
            rest = await on.read(cursor=token)
            if rest.error is not None:
                wrong.append(f"from {token}: {rest.error!r}")
                continue
            final = await _next(on, rest)
            seen = [one for one in (rest, final) if _has(one, changed)]
            if not any(not _same(whole, one, changed) for one in seen):
                wrong.append(f"from {token} the change of {changed} is lost")
    return wrong


async def keeps_its_memory_flat(kind: type[Vendor]) -> list[str]:
    """Ten thousand records need no more memory than two thousand."""
    async with stage(kind, records=MANY) as on:
        source = on.connect()
        silenced = logging.root.manager.disable
        logging.disable()  # what is logged is kept by whoever runs the tests
        count, held = 0, [_held()]
        try:
            async for item in source.read(None):
                on.trouble.requests.clear()
                count += isinstance(item, Shown)
                if count == SETTLED * len(held):
                    held.append(_held())  # while it reads: at the end all is let go
        finally:
            logging.disable(silenced)
            await source.close()
    if count < MANY:
        return [f"only {count} of {MANY} records were read"]
    # what is hoarded grows all along; what else the process does comes and goes
    objects, size = (
        median(after[at] - before[at] for before, after in pairwise(held[1:])) * STEPS
        for at in (0, 1)
    )
    if objects <= MOST_OBJECTS and size <= MOST_BYTES:
        return []
    kept = f"{objects:,.0f} objects and {size / 1024:,.0f} KB"
    return [f"{MANY - SETTLED} more records are kept as {kept}"]


def _held() -> tuple[int, int]:
    """Return the small objects and the bytes that the process holds.

    Counting them costs nothing; to trace them takes five times the read. Bytes are
    told by Linux only.
    """
    gc.collect()
    pages = int(_MEMORY.read_text().split()[1]) if _MEMORY.exists() else 0
    return sys.getallocatedblocks(), pages * resource.getpagesize()


async def _next(on: Stage, before: Outcome) -> Outcome:
    """Read as the next job would: with the cursor, if the source has one."""
    is_incremental = on.vendor.source.info.is_incremental
    found = await on.read(cursor=before.checkpoint if is_incremental else None)
    if found.error is not None:
        raise found.error
    return found


async def _checkpoints(on: Stage) -> list[dict[str, object]]:
    source = on.connect()
    try:
        return [
            item.token
            async for item in source.read(None)
            if isinstance(item, Checkpoint)
        ]
    finally:
        await source.close()


async def _listed_ids(on: Stage) -> Outcome | None:
    source = on.connect()
    try:
        return await _taken(source.ids())
    finally:
        await source.close()


async def _fetched(on: Stage, ref: Ref) -> Outcome | None:
    source: Source = on.connect()
    try:
        return await _taken(source.fetch([ref]))
    finally:
        await source.close()


async def _taken(items: AsyncIterator[Item] | None) -> Outcome | None:
    if items is None:
        return None
    found = await take_all(items)
    if found.error is not None:
        raise found.error
    return found


def _has(outcome: Outcome, ref: Ref) -> bool:
    return ref.key in outcome.entities


def _same(before: Outcome, after: Outcome, ref: Ref) -> bool:
    one, other = before.entities.get(ref.key), after.entities.get(ref.key)
    if one is None or other is None:
        return one is other
    return (one.text, one.source_version) == (other.text, other.source_version)
