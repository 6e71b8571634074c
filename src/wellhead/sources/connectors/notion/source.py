"""The source itself: who it is to Notion, and what it makes of what it finds."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
)
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
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.connectors.notion.content import PageWriter
from wellhead.sources.connectors.notion.entities import entity_of, is_in_trash, ref_of
from wellhead.sources.connectors.notion.listing import search
from wellhead.sources.connectors.notion.places import DATABASE, PAGE, Places
from wellhead.sources.connectors.notion.walk import (
    LONG_AGO,
    RECENT,
    Found,
    Place,
    Step,
    from_the_other_end,
    walk,
)
from wellhead.sources.http import (
    Api,
    ApiSource,
    Call,
    DeniedError,
    GoneError,
    Page,
    document,
    path,
)
from wellhead.sources.http.judge import moment_of
from wellhead.sources.rate_limits import RateLimit, RateLimitLevel

PAGE_BYTES = 2_000
"""What a page has, more or less."""
NAMELESS = "Notion shows something without an id"


class NotionCredentials(Config):
    access_token: str = Field(
        title="Token",
        description="The secret of an internal integration that may read content.",
        min_length=1,
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class NotionSource(ApiSource):
    """A listing shows titles, properties and dates; blocks are read where it changed.

    Search is all that Notion has to list pages with, and its index is neither complete
    by promise nor immediate. So rows are asked of their databases.
    """

    info = SourceInfo(
        short_name="notion",
        name="Notion",
        description="Pages and databases of a workspace, with all their blocks.",
        entity_types=(DATABASE, PAGE),
        auth_methods=(
            AuthMethod.DIRECT,
            AuthMethod.OAUTH_BROWSER,
            AuthMethod.OAUTH_TOKEN,
            AuthMethod.OAUTH_BYOC,
        ),
        labels=("Knowledge Base", "Productivity"),
        is_incremental=True,
        tested=Tested.CONTRACT_AND_FAKE,
        rate_limit=RateLimit(requests=180, seconds=60, level=RateLimitLevel.CONNECTION),
    )
    credentials_model = NotionCredentials
    credentials: NotionCredentials
    api = Api(
        name="Notion",
        base_url="https://api.notion.com/v1",
        headers={"notion-version": "2025-09-03"},
    )

    async def check(self) -> None:
        try:
            await self._first()
        except DeniedError as error:
            raise CredentialsError(
                f"the integration needs the capability to read content: {error}"
            ) from error
        except EntityError as error:
            raise ConfigError(str(error)) from error

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        place = Place(**cursor) if cursor else await self._beginning()
        if place.part == RECENT and place.page is None and not place.is_listing:
            place = replace(place, until=(await self._beginning()).until)
        yield ScopeStart()
        async with aclosing(walk(self.http, place)) as steps:
            async for step in steps:
                yield await self._item(step) if isinstance(step, Found) else step
        yield ScopeEnd(complete=place.is_listing)
        yield Place(until=place.until, since=place.until, part=RECENT).checkpoint

    async def ids(self) -> AsyncIterator[Item]:
        """List from both ends: what the index leaves out once, it may not twice."""
        yield ScopeStart()
        begin = await self._beginning()
        async with aclosing(walk(self.http, begin)) as steps:
            async for step in steps:
                for item in _seen(step):
                    yield item
        async with aclosing(from_the_other_end(self.http)) as steps:
            async for step in steps:
                if isinstance(step, Found):  # where it ends, the walk has gone on
                    for item in _seen(step):
                        yield item
        yield ScopeEnd()

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            yield await self._fetched(ref)

    @cached_property
    def _places(self) -> Places:
        return Places(self.http)

    @cached_property
    def _writer(self) -> PageWriter:
        return PageWriter(self.http, self._places)

    async def _first(self) -> Page:
        return await anext(search(self.http, size=1))

    async def _beginning(self) -> Place:
        """Begin now, by Notion's clock; without it nothing counts as known."""
        moment = moment_of((await self._first()).answer.headers) or LONG_AGO
        return Place(until=moment.astimezone(UTC).isoformat())

    async def _fetched(self, ref: Ref) -> Item:
        if not _is_id(ref.source_id):
            return Delete(ref)  # Notion would call the question wrong, not the thing
        room = "pages" if ref.type == PAGE else "data_sources"
        try:
            call = Call(url=path(room, ref.source_id))
            answer, thing = await self.http.json(call)
        except GoneError:
            return Delete(ref)
        except EntityError as error:
            return Failure(ref, str(error), error.failure_class)
        return await self._item(Found(thing, moment_of(answer.headers)))

    async def _item(self, found: Found) -> Item:
        thing, ref = found.thing, ref_of(found.thing)
        if ref is None:
            return Failure(None, NAMELESS)
        if is_in_trash(thing):
            return Delete(ref)
        try:
            self._places.note(thing)
            way = await self._places.way(thing)
            entity = entity_of(thing, way=way, listed_at=found.at)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            said = f"Notion describes it oddly: {error!r}"
            return Failure(ref, said, FailureClass.PERMANENT)
        if ref.type == DATABASE:
            return Upsert(entity)
        text = partial(self._writer.text, thing)
        blob = document(f"{ref.source_id}.md", text, size=PAGE_BYTES)
        return Upsert(replace(entity, blob=blob))


def _seen(step: Step) -> Iterator[Item]:
    """Return what a step means for a listing of ids."""
    if isinstance(step, Failure):
        yield step
    elif isinstance(step, Found):
        ref = ref_of(step.thing)
        if ref is None:
            yield Failure(None, NAMELESS)
        elif not is_in_trash(step.thing):
            yield Seen(ref)


def _is_id(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False
