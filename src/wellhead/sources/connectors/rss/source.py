"""The feeds source: what RSS and Atom feeds show, and what they showed before."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    EntityError,
    FailureClass,
    RetryableError,
    SyncError,
)
from wellhead.domain.items import (
    Checkpoint,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.open_web import POLITE, Visitor, normal, visited

ENTRY = "FeedEntry"
ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.8"
MOST_BYTES = 20 * 2**20
MOST_CHECKED = 5


def _addresses(given: list[str]) -> list[str]:
    for one in given:
        if not one.startswith(("http://", "https://")) or normal(one) is None:
            raise ValueError(f"'{one}' must begin with https:// and name a host")
    return given


class RSSConfig(Config):
    urls: Annotated[list[str], AfterValidator(_addresses)] = Field(
        min_length=1,
        max_length=500,
        title="Feeds",
        description="Addresses of RSS or Atom feeds.",
    )

    @property
    def feeds(self) -> list[str]:
        found = (normal(one) for one in self.urls)
        return list(dict.fromkeys(one for one in found if one))

    def digest(self) -> str:
        return blake2b("\n".join(self.feeds).encode(), digest_size=8).hexdigest()


class RSSSource(Source):
    """A feed is a window on what is new: what leaves it is not deleted.

    So the scope of a feed is never complete, and only that of all feeds is: entries of
    a feed that is not configured any more go.
    """

    info = SourceInfo(
        short_name="rss",
        name="RSS and Atom feeds",
        description="Entries of feeds, also those that have left them since.",
        entity_types=(ENTRY,),
        needs_trust=True,
        labels=("Web",),
        tested=Tested.REAL_SERVER,
        supports_continuous=True,
        is_incremental=True,
        yields_deletes=True,
        is_window=True,
        rate_limit=POLITE,
    )
    config_model = RSSConfig
    config: RSSConfig

    async def check(self) -> None:
        for url in self.config.feeds[:MOST_CHECKED]:
            await self._entries(url, {})

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Read feed after feed, each only if it is another one by now."""
        digest = self.config.digest()
        token = cursor or {"config": digest, "is_listing": True, "next": 0, "seen": {}}
        if token["config"] != digest:
            raise CursorInvalidError("other feeds were chosen than the last time")
        is_listing, seen = bool(token["is_listing"]), dict(token["seen"])
        errors: list[SyncError] = []
        yield ScopeStart()
        for place, url in enumerate(self.config.feeds):
            if place < token["next"]:
                continue
            async with aclosing(self._feed(url, seen, errors)) as items:
                async for item in items:
                    yield item
            if place + 1 < len(self.config.feeds):
                yield Checkpoint({**token, "next": place + 1, "seen": dict(seen)})
        if len(errors) == len(self.config.feeds):
            raise errors[0]
        yield ScopeEnd(complete=is_listing)
        yield Checkpoint(
            {"config": digest, "is_listing": False, "next": 0, "seen": seen}
        )

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Yield what their feeds still show; what has left them stays as it is."""
        shown: dict[str, dict[str, Entity]] = {}
        for ref in refs:
            url = ref.source_id.partition(" ")[0]
            try:
                if url not in shown:
                    entries, _, _ = await self._entries(url, {})
                    shown[url] = {one.source_id: one for one in entries}
            except (EntityError, CredentialsError, ConfigError) as error:
                yield Failure(ref, str(error))
                continue
            entity = shown[url].get(ref.source_id)
            if entity is None:
                yield Failure(ref, "It has left its feed", FailureClass.PERMANENT)
            else:
                yield Upsert(entity)

    async def close(self) -> None:
        if "_visitor" in self.__dict__:
            await self._visitor.close()

    @cached_property
    def _visitor(self) -> Visitor:
        return Visitor(self.surroundings)

    @cached_property
    def _parser(self) -> Any:
        """Loaded when it is needed: the program starts without it."""
        return import_module("wellhead.sources.connectors.rss.feed")

    async def _feed(
        self, url: str, seen: dict[str, dict[str, str]], errors: list[SyncError]
    ) -> AsyncGenerator[Item]:
        """Yield what is in it; its trouble is its own, so the others go on."""
        scope = _scope(url)
        yield ScopeStart(scope)
        try:
            entries, marks, wrong = await self._entries(url, seen.get(url, {}))
        except (EntityError, CredentialsError, ConfigError, RetryableError) as error:
            if isinstance(error, RetryableError) and error.after is not None:
                raise
            errors.append(_blamed(error, url))
            yield Failure(None, f"The feed '{url}' cannot be read: {error}")
        else:
            for entity in entries:
                yield Upsert(entity)
            if wrong is not None:
                yield Failure(None, f"The feed '{url}' is cut short: {wrong}")
            seen[url] = marks if wrong is None else {}
        yield ScopeEnd(scope, complete=False)

    async def _entries(
        self, url: str, marks: dict[str, str]
    ) -> tuple[list[Entity], dict[str, str], str | None]:
        """Return entries, what to ask with the next time, and what is wrong.

        Raises what the client does, and ConfigError if it is no feed.
        """
        _, answer = await self._visitor.follow(
            url, most_bytes=MOST_BYTES, headers={"accept": ACCEPT, **marks}
        )
        if answer.status == 304:
            return [], marks, None
        content_type = answer.headers.get("content-type", "")
        try:
            found = await asyncio.to_thread(
                self._parser.read_feed, answer.body, url, content_type
            )
        except self._parser.NoFeedError as error:
            raise ConfigError(f"'{url}' cannot be read: {error}") from error
        return found.entries, visited(answer.headers), found.wrong


def _blamed(error: SyncError, url: str) -> SyncError:
    """Return the error of a job for which this was the only feed."""
    if isinstance(error, EntityError):
        return ConfigError(f"'{url}' cannot be read: {error}")
    return error


def _scope(url: str) -> str:
    """Return a name that is no path and not too long, but tells whose it is."""
    mark = blake2b(url.encode(), digest_size=8).hexdigest()
    return f"{urlsplit(url).hostname}-{mark}"
