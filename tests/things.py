"""Items and listings that tests of jobs put together a source from."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from wellhead.domain.entities import Blob, Entity
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert


def thing(ident: str, content: str = "content") -> Upsert:
    return Upsert(Entity(type="Thing", source_id=ident, name=ident, text=content))


def file(name: str, path: Path) -> Upsert:
    return opened_by(name, lambda: path)


def opened_by(name: str, open_it: Callable[[], Path]) -> Upsert:
    blob = Blob(name=name, size=1, open=open_it)
    return Upsert(Entity(type="File", source_id=name, name=name, blob=blob))


def listing(*items: Item) -> Callable[[Any], AsyncIterator[Item]]:
    """A source's `read`: these items, listed whole."""

    async def listed(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for item in items:
            yield item
        yield ScopeEnd()

    return listed
