"""The executor: one class that reads whatever a definition declares.

A stream is listed page by page; for each of its records come the streams that are read
for it. With a cursor a stream that has `changes` is asked for these alone.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, ClassVar

from wellhead.domain.catalogue import Tested
from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import ConfigError, CredentialsError, EntityError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.base import SourceInfo
from wellhead.sources.declared.changing import Changing, one
from wellhead.sources.declared.definition import (
    ACCESS_TOKEN,
    Changes,
    Definition,
    Listing,
    Stream,
)
from wellhead.sources.declared.entities import Describer, Family
from wellhead.sources.declared.fields import config_model, credentials_model
from wellhead.sources.declared.progress import Progress
from wellhead.sources.declared.requests import DeclaredClient, api_of, call_of, listing
from wellhead.sources.declared.templates import template
from wellhead.sources.declared.walking import Level, Walk
from wellhead.sources.http import ApiSource, DeniedError, GoneError, document
from wellhead.sources.rate_limits import RateLimit, RateLimitLevel

PART_BYTES = 500
"""What a part of a text has, more or less."""
_ONLY_SHOWN = {"name", "description", "labels", "rate_limit", "busy"}
"""What says nothing of how entities are read and look."""


class DeclaredSource(ApiSource):
    """Reads what its definition says."""

    definition: ClassVar[Definition]
    digest: ClassVar[str]
    text_digest: ClassVar[str] = ""
    """Of the file it came from, where it was added to a running program."""
    client = DeclaredClient

    def __init__(self, config: Any, credentials: Any) -> None:
        super().__init__(config, credentials)
        self._config: dict[str, Any] = config.model_dump(mode="json")
        known = {"config": self._config, "credentials": credentials.model_dump()}
        self.api = api_of(self.definition, known)

    def token(self) -> str | None:
        auth = self.definition.auth
        if auth is None or auth.token == ACCESS_TOKEN:
            return None  # it may have to be renewed
        found: str | None = getattr(self.credentials, auth.token)
        return found

    async def check(self) -> None:
        call = call_of(self.definition.check, {"config": self._config})
        try:
            await self.http.json(call)
        except GoneError as error:
            raise ConfigError(str(error)) from error
        except DeniedError as error:
            raise CredentialsError(str(error)) from error

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Read stream after stream; each that is listed whole is a scope."""
        progress = Progress.at(cursor, self._digest())
        yield ScopeStart()
        for name, stream in self.definition.children(None).items():
            if name in progress.done:
                continue
            async with aclosing(self._stream(name, stream, progress)) as items:
                async for item in items:
                    yield item
            progress.finish(name)
            yield progress.checkpoint()
        yield ScopeEnd(complete=progress.is_listing)
        yield progress.end()

    def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item] | None:
        streams = self.definition.streams.values()
        return self._fetch(refs) if all(stream.one for stream in streams) else None

    def ids(self) -> AsyncIterator[Item] | None:
        return self._ids() if self.definition.is_incremental else None

    def _stream(
        self, name: str, stream: Stream, progress: Progress
    ) -> AsyncGenerator[Item]:
        if stream.changes is not None and name in progress.since:
            return self._changes(name, stream, stream.changes, progress)
        walk = self._walk(progress)
        return walk.through(Level(name=name, stream=stream, scope=name))

    async def _changes(
        self, name: str, stream: Stream, changes: Changes, progress: Progress
    ) -> AsyncGenerator[Item]:
        changing = Changing(
            client=self.http,
            name=name,
            stream=stream,
            describer=self._describer(stream, Family()),
            progress=progress,
            show=self._item,
        )
        yield ScopeStart(name)
        try:
            async with aclosing(changing.read(changes)) as items:
                async for item in items:
                    yield item
        except EntityError as error:
            yield Failure(None, str(error))
        yield ScopeEnd(name, complete=False)

    async def _fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        streams = {stream.type: stream for stream in self.definition.streams.values()}
        for ref in refs:
            if ref.type not in streams:
                yield Delete(ref)
                continue
            describer = self._describer(streams[ref.type], Family())
            yield await one(self.http, describer, ref, self._item)

    async def _ids(self) -> AsyncIterator[Item]:
        progress = Progress(self._digest())
        walk = replace(
            self._walk(progress),
            show=Describer.seen,
            pick=lambda stream: stream.ids or stream.listing,
        )
        yield ScopeStart()
        for name, stream in self.definition.children(None).items():
            level = Level(name=name, stream=stream, scope=name)
            async with aclosing(walk.through(level)) as items:
                async for item in items:
                    if not isinstance(item, Checkpoint):
                        yield item
            progress.finish(name)
        yield ScopeEnd()

    def _walk(self, progress: Progress) -> Walk:
        def pick(stream: Stream) -> Listing:
            return stream.listing

        return Walk(
            client=self.http,
            definition=self.definition,
            describer=self._describer,
            progress=progress,
            show=self._item,
            pick=pick,
        )

    def _describer(self, stream: Stream, family: Family) -> Describer:
        return Describer(stream, self._config, family, self.digest)

    def _digest(self) -> str:
        """Of definition and config: of what decides which records are read."""
        return f"{self.digest}-{_digest(self._config)}"

    def _item(self, describer: Describer, record: Any) -> Item:
        """Return an item; what takes more requests is asked for when it is opened."""
        item = describer.item(record)
        if not describer.stream.parts or not isinstance(item, Upsert):
            return item
        text = item.entity.text or ""
        blob = document(
            f"{item.entity.source_id}.md",
            partial(self._text, describer, record, text),
            size=len(text) + PART_BYTES,
        )
        return Upsert(replace(item.entity, text=None, blob=blob))

    async def _text(self, describer: Describer, record: Any, text: str) -> str:
        """Write the whole text: what the record says, and its parts."""
        found = [text]
        values = describer.values(record)
        for part in describer.stream.parts.values():
            more = [
                template(part.text).fill({**values, "record": one, "parent": record})
                async for page in listing(self.http, part, values)
                for one in page.records
            ]
            title = [] if part.title is None or not more else [f"## {part.title}"]
            found += title + more
        return "\n\n".join(one for one in found if one) + "\n"


def source_of(
    definition: Definition, *, is_shipped: bool = False
) -> type[DeclaredSource]:
    """Make the source of a definition.

    Where one that people added leads, only they know: it needs trust.
    """
    name = "".join(part.capitalize() for part in definition.short_name.split("_"))
    auth, limit = definition.auth, definition.rate_limit
    info = SourceInfo(
        short_name=definition.short_name,
        name=definition.name,
        description=definition.description,
        entity_types=tuple(one.type for one in definition.streams.values()),
        labels=tuple(definition.labels),
        supports_continuous=definition.is_incremental,
        is_incremental=definition.is_incremental,
        yields_deletes=definition.is_incremental and _tells_deletes(definition),
        needs_trust=not is_shipped,
        tested=Tested.FAKE if is_shipped else Tested.COMMUNITY,
        rate_limit=None
        if limit is None
        else RateLimit(
            requests=limit.requests,
            seconds=limit.seconds,
            level=RateLimitLevel(limit.level),
        ),
        auth_methods=(AuthMethod.DIRECT,) if auth is None else tuple(auth.methods),
    )
    # without defaults: a later program may know more keys
    chosen = definition.model_dump(
        mode="json", exclude=_ONLY_SHOWN, exclude_defaults=True
    )
    return type(
        f"{name}Source",
        (DeclaredSource,),
        {
            "__doc__": definition.description,
            "info": info,
            "definition": definition,
            "digest": _digest(chosen),
            "config_model": config_model(definition, name),
            "credentials_model": credentials_model(definition, name),
        },
    )


def _tells_deletes(definition: Definition) -> bool:
    """Tell whether changes say of every stream what is gone."""
    return all(
        stream.changes is not None and stream.changes.tells_deletes
        for stream in definition.streams.values()
    )


def _digest(value: Any) -> str:
    coded = json.dumps(value, sort_keys=True).encode()
    return blake2b(coded, digest_size=6).hexdigest()
