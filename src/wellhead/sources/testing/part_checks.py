"""What a source asks for besides a listing: ids, single entities, files.

Each is as dangerous as a listing: ids that were not shown are deleted, and so is what
`fetch` says is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import product
from pathlib import Path

from wellhead.domain.entities import Blob
from wellhead.domain.errors import SyncError
from wellhead.domain.items import Item, Ref, Shown
from wellhead.sources.base import Source
from wellhead.sources.testing.faults import (
    Circle,
    Effect,
    Fault,
    Trouble,
    a_web_page,
    broken,
    half_json,
    status,
)
from wellhead.sources.testing.reading import Outcome, take_all
from wellhead.sources.testing.stage import Stage, stage
from wellhead.sources.testing.vendor import Vendor

LASTING: dict[str, Effect] = {
    **{f"a {code}": status(code) for code in (400, 401, 403, 500)},
    "half of the JSON": half_json,
    "a web page instead of JSON": a_web_page,
    "an answer that is cut off": broken(Fault.CUT_OFF),
}
UNMISTAKABLE: dict[str, Effect] = {
    "a 500": status(500),
    "a 503": status(503),
    "an answer that is cut off": broken(Fault.CUT_OFF),
    "a connection that is closed": broken(Fault.HANG_UP),
}
"""What cannot be a file, whatever files are like."""
SOME = 5


async def lists_ids_whole_or_not_at_all(kind: type[Vendor]) -> list[str]:
    """Trouble while ids are listed deletes nothing."""
    wrong: list[str] = []
    async with stage(kind, records=kind.crowd) as on:
        clean = await _part(on, lambda source: source.ids())
        if clean is None:
            return []
        if clean.error is not None or not clean.is_whole:
            return [f"a listing of ids is not complete: {clean.error!r}"]
        places = on.places()
        for name, effect in {**LASTING, "a circle": None}.items():
            for at in places:
                chosen = Circle() if effect is None else effect
                on.trouble = Trouble(chosen, 0 if effect is None else at, None)
                found = await _part(on, lambda source: source.ids())
                wrong += _harm(f"{name} at request {at} of its ids", found, clean)
    return wrong


async def fetches_nothing_as_gone_that_is_there(kind: type[Vendor]) -> list[str]:
    """Only the vendor's own word that it is gone makes `fetch` say so."""
    wrong: list[str] = []
    async with stage(kind, records=20) as on:
        clean = await on.first_read()
        refs = [Ref(one.type, one.source_id) for one in clean.entities.values()][:SOME]
        if await _part(on, lambda source: source.fetch(refs)) is None:
            return []
        places = on.places()
        for name, effect in LASTING.items():
            for at in places:
                on.trouble = Trouble(effect, at, None)
                found = await _part(on, lambda source: source.fetch(refs))
                wrong += _harm(f"{name} at request {at} of fetch", found, Outcome())
    return wrong


async def opens_files_over_trouble(kind: type[Vendor]) -> list[str]:
    """A file comes in spite of one bad answer; if all are bad, it says so."""
    wrong: list[str] = []
    async with stage(kind, records=SOME) as on:
        source = on.connect()
        items = [item async for item in source.read(None)]
        for item in items:
            if isinstance(item, Shown) and item.entity.blob is not None:
                wrong += await _opened(on, item.entity.blob)
        await source.close()
    return wrong


async def _opened(on: Stage, blob: Blob) -> list[str]:
    on.trouble = Trouble()
    content = await asyncio.to_thread(_content, blob)
    wrong: list[str] = []
    for (name, effect), times in product(UNMISTAKABLE.items(), (1, None)):
        on.trouble = Trouble(effect, 0, times)
        where = f"{name} while {blob.name} is opened"
        try:
            found = await asyncio.to_thread(_content, blob)
        except SyncError as error:
            wrong += [f"{where}: {error}"] if times else []
            continue
        if on.trouble.hit and not times:
            wrong.append(f"{where}: no error")
        if found != content:
            wrong.append(f"{where}: another text is taken for it")
    return wrong


def _content(blob: Blob) -> bytes:
    path: Path = blob.open()
    return path.read_bytes()


async def _part(
    on: Stage, ask: Callable[[Source], AsyncIterator[Item] | None]
) -> Outcome | None:
    """Read a part once through; None if the source has no such thing."""
    on.trouble.requests.clear()
    source = on.connect()
    try:
        items = ask(source)
        return None if items is None else await take_all(items)
    finally:
        await source.close()


def _harm(where: str, found: Outcome | None, clean: Outcome) -> list[str]:
    if found is None:
        return [f"{where}: it cannot do this any more"]
    wrong = []
    if not isinstance(found.error, SyncError | None):
        wrong.append(f"{where}: {type(found.error).__name__}: {found.error}")
    lost = len(found.lost(clean)) + len(found.deleted)
    if lost:
        wrong.append(f"{where}: {lost} would be deleted")
    return wrong
