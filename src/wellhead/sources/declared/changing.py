"""Reading what changed since a cursor, what is gone, and single records."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wellhead.domain.errors import CursorInvalidError, EntityError
from wellhead.domain.items import Delete, Failure, Item, Ref
from wellhead.sources.declared.definition import Changes, Removed, Stream
from wellhead.sources.declared.entities import Describer, holds
from wellhead.sources.declared.progress import Progress
from wellhead.sources.declared.requests import call_of, listing, since_of
from wellhead.sources.declared.templates import Values, moment, path, template
from wellhead.sources.http import ApiClient, GoneError, field
from wellhead.sources.http.judge import moment_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing:
    """Reads one stream by what changed in it."""

    client: ApiClient
    name: str
    stream: Stream
    describer: Describer
    progress: Progress
    show: Callable[[Describer, Any], Item]

    async def read(self, changes: Changes) -> AsyncGenerator[Item]:
        since = datetime.fromisoformat(self.progress.since[self.name])
        values = {**self.describer.values({}), "since": since_of(changes, since)}
        start, asked = self.progress.step(0).page, set[Ref]()
        async for page in listing(self.client, changes, values, start=start):
            now = moment_of(page.answer.headers)
            self.progress.mark(self.name, now)
            _refuse_old(changes, since, now)
            for entry in page.records:
                item = await self._changed(changes, entry, asked)
                if item is not None:
                    yield item
            if page.next is not None:
                self.progress.turn(0, page.next)
                yield self.progress.checkpoint()
        if self.stream.removed is not None:
            after = since - timedelta(seconds=changes.overlap)
            removed = self._removed(self.stream.removed, values, after)
            async with aclosing(removed) as items:
                async for item in items:
                    yield item

    async def _changed(
        self, changes: Changes, entry: Any, asked: set[Ref]
    ) -> Item | None:
        """Return what became of a record; asked for only once, if it has to be."""
        if changes.only and not holds(changes.only, entry, {}):
            return None
        record = path(changes.record).find({"record": entry})
        if not changes.fetch:
            return self.show(self.describer, record)
        try:
            ref = self.describer.ref(record)
        except ValueError as error:
            return Failure(None, f"a change of {self.stream.type} is odd: {error}")
        if ref in asked:
            return None
        asked.add(ref)
        return await one(self.client, self.describer, ref, self.show)

    async def _removed(
        self, removed: Removed, values: Values, after: datetime
    ) -> AsyncGenerator[Item]:
        async for page in listing(self.client, removed, values):
            for record in page.records:
                found = {**values, "record": record}
                try:
                    gone = Ref(self.stream.type, template(removed.id).fill_all(found))
                    at = moment(path(removed.at).find(found)) if removed.at else None
                except ValueError as error:
                    yield Failure(None, f"a removed {self.stream.type}: {error}")
                    continue
                if at is None or at >= after:
                    yield Delete(gone)


async def one(
    client: ApiClient,
    describer: Describer,
    ref: Ref,
    show: Callable[[Describer, Any], Item],
) -> Item:
    """Ask for one record; it is gone if the vendor says so, or answers with another."""
    asked = describer.stream.one
    if asked is None:
        return Failure(ref, "there is no request for a single one")
    values = {**describer.values({"id": ref.source_id})}
    try:
        _, body = await client.json(call_of(asked, values))
    except GoneError:
        return Delete(ref)
    except EntityError as error:
        return Failure(ref, str(error))
    record = field(asked.record)(body)
    try:
        found = describer.ref(record)
    except ValueError as error:
        return Failure(ref, f"it is odd: {error}")
    return show(describer, record) if found == ref else Delete(ref)


def _refuse_old(changes: Changes, since: datetime, now: datetime | None) -> None:
    """Raise CursorInvalidError if the vendor no longer knows all changes since then."""
    if changes.kept_days is None or now is None:
        return
    if now - since > timedelta(days=changes.kept_days):
        raise CursorInvalidError(f"changes are kept for {changes.kept_days} days only")
