"""Listing streams whole: page by page, and for each record what is read for it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from wellhead.domain.errors import EntityError
from wellhead.domain.items import (
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.sources.declared.definition import Definition, Listing, Stream
from wellhead.sources.declared.entities import Describer, Family
from wellhead.sources.declared.progress import Progress
from wellhead.sources.declared.requests import listing
from wellhead.sources.http import ApiClient
from wellhead.sources.http.judge import moment_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One listing: of a stream, and of which record if it belongs to one."""

    name: str
    stream: Stream
    scope: str
    depth: int = 0
    family: Family = field(default_factory=Family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How everything is listed: with all that is known, or ids only."""

    client: ApiClient
    definition: Definition
    describer: Callable[[Stream, Family], Describer]
    progress: Progress
    show: Callable[[Describer, Any], Item]
    pick: Callable[[Stream], Listing]

    async def through(self, at: Level) -> AsyncGenerator[Item]:
        """Yield one listing as a scope; refused in part, it is no complete one."""
        yield ScopeStart(at.scope)
        is_complete = at.stream.whole
        try:
            async with aclosing(self._pages(at)) as items:
                async for item in items:
                    yield item
        except EntityError as error:
            yield Failure(None, str(error))
            is_complete = False
        yield ScopeEnd(at.scope, complete=is_complete)

    async def _pages(self, at: Level) -> AsyncGenerator[Item]:
        describer = self.describer(at.stream, at.family)
        asked, start = self.pick(at.stream), self.progress.step(at.depth).page
        values = describer.values({})
        async for page in listing(self.client, asked, values, start=start):
            if at.depth == 0:
                self.progress.mark(at.name, moment_of(page.answer.headers))
            async with aclosing(self._records(at, describer, page.records)) as items:
                async for item in items:
                    yield item
            if page.next is not None:
                self.progress.turn(at.depth, page.next)
                yield self.progress.checkpoint()

    async def _records(
        self, at: Level, describer: Describer, records: list[Any]
    ) -> AsyncGenerator[Item]:
        children = self.definition.children(at.name)
        rest, inside = self._rest(at, describer, records)
        for record in rest:
            item = self.show(describer, record)
            if isinstance(item, Delete) and at.stream.whole:
                continue  # a whole list tells of it by not showing it
            yield item
            if not children or not isinstance(item, Upsert | Seen):
                continue
            ref = describer.ref(record)
            names = list(children)
            if inside is not None:
                names = names[names.index(inside) :]
            for name in names:
                if name != inside:
                    self.progress.move(at.depth, record=ref.source_id, inside=name)
                below = self._below(at, name, ref, describer.within(record, ref))
                async with aclosing(self.through(below)) as items:
                    async for item in items:
                        yield item
            inside = None
            self.progress.move(at.depth, record=ref.source_id, inside=None)
            yield self.progress.checkpoint()

    def _below(self, at: Level, name: str, ref: Ref, family: Family) -> Level:
        """Return a listing for one record: a scope within the scope of its list."""
        return Level(
            name=name,
            stream=self.definition.streams[name],
            scope=f"{at.scope}/{name}:{quote(ref.source_id, safe='')}",
            depth=at.depth + 1,
            family=family,
        )

    def _rest(
        self, at: Level, describer: Describer, records: list[Any]
    ) -> tuple[list[Any], str | None]:
        """Return what is left of a page after a crash, and in which stream it was.

        A page on which the last record is not found any more is read from its start.
        """
        step = self.progress.step(at.depth)
        if step.record is None:
            return records, None
        for place, record in enumerate(records):
            if _id(describer, record) != step.record:
                continue
            if step.inside is None:
                return records[place + 1 :], None
            return records[place:], step.inside
        self.progress.move(at.depth, record=None, inside=None)
        return records, None


def _id(describer: Describer, record: Any) -> str | None:
    try:
        return describer.ref(record).source_id
    except ValueError:
        return None
