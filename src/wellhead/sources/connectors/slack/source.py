"""The source itself: what it asks Slack for, and in which order."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
)
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
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.connectors.slack.complaints import complaint
from wellhead.sources.connectors.slack.messages import (
    MESSAGE,
    Channel,
    Message,
    is_root,
    message_entity,
    people_in,
    reply_count,
    thread_text,
    time_of,
)
from wellhead.sources.connectors.slack.names import NEXT, Names
from wellhead.sources.http import (
    Answer,
    Api,
    ApiSource,
    Call,
    DeniedError,
    GoneError,
    Page,
    Resumed,
    by_cursor,
    document,
    pages,
)
from wellhead.sources.http.judge import moment_of
from wellhead.sources.rate_limits import RateLimit

PAGE = 200
REPLY_BYTES = 200
"""What a reply has, more or less."""
ODD = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


class SlackConfig(Config):
    channels: list[str] = Field(
        default_factory=list,
        title="Channels",
        description="Names or ids; none means all that the app is a member of.",
    )
    include_private: bool = Field(
        default=True,
        title="Private channels",
        description="Also private channels that the app was invited to.",
    )
    lookback_days: int = Field(
        default=3,
        ge=0,
        le=365,
        title="Look back",
        description="Days before the last job whose messages are looked at again.",
    )

    @field_validator("channels")
    @classmethod
    def _without_marks(cls, value: list[str]) -> list[str]:
        names = [one.strip().removeprefix("#") for one in value]
        if "" in names:
            raise ValueError("a channel has a name")
        return names


class SlackCredentials(Config):
    access_token: str = Field(
        title="Token",
        description="A bot token (xoxb-…) of an app that may read channels and users.",
        min_length=1,
        repr=False,
        json_schema_extra={"is_secret": True},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a reading has come; it is the token of a checkpoint."""

    until: float = 0
    """When this reading began, by Slack's clock, in seconds of Unix."""
    since: float | None = None
    """Messages before this are known; None in a full listing."""
    channel: str = ""
    page: str | None = None

    @property
    def is_listing(self) -> bool:
        return self.since is None

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(asdict(self))


class SlackSource(ApiSource):
    """A channel is a scope. Its history shows what begins threads, and counts replies.

    Nothing tells of a reply to an old message, nor of edits and deletes: a job looks at
    the last days again, and the daily listing of ids at everything.
    """

    info = SourceInfo(
        short_name="slack",
        name="Slack",
        description="Messages of channels, each with its whole thread.",
        entity_types=(MESSAGE,),
        auth_methods=(
            AuthMethod.DIRECT,
            AuthMethod.OAUTH_BROWSER,
            AuthMethod.OAUTH_TOKEN,
            AuthMethod.OAUTH_BYOC,
        ),
        labels=("Communication", "Messaging"),
        is_incremental=True,
        rate_limit=RateLimit(requests=50, seconds=60),
        tested=Tested.FAKE,
    )
    config_model = SlackConfig
    credentials_model = SlackCredentials
    config: SlackConfig
    credentials: SlackCredentials
    api = Api(name="Slack", base_url="https://slack.com/api", complaint=complaint)

    async def check(self) -> None:
        try:
            await self._workspace()
            await self._channels()
        except DeniedError as error:
            raise CredentialsError(str(error)) from error
        except EntityError as error:
            raise ConfigError(str(error)) from error

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        place = Place(**cursor) if cursor else Place()
        answer, home = await self._workspace()
        if not place.channel:
            place = replace(place, until=_seconds(answer))
        yield ScopeStart()
        for channel in await self._channels(home):
            if channel.id >= place.channel:
                async with aclosing(self._scope(channel, place)) as items:
                    async for item in items:
                        yield item
        yield ScopeEnd(complete=place.is_listing)
        yield Place(since=place.until, until=place.until).checkpoint

    async def ids(self) -> AsyncIterator[Item]:
        """List everything as it looks: so late replies and edits are found as well."""
        _, home = await self._workspace()
        yield ScopeStart()
        for channel in await self._channels(home):
            async with aclosing(self._scope(channel, Place())) as items:
                async for item in items:
                    if not isinstance(item, Checkpoint):
                        yield item
        yield ScopeEnd()

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        _, home = await self._workspace()
        channels = {one.id: one for one in await self._channels(home)}
        for ref in refs:
            ident, _, ts = ref.source_id.partition(":")
            channel = channels.get(ident)
            yield (
                Delete(ref)
                if channel is None
                else await self._fetched(ref, channel, ts)
            )

    # --- what there is ---

    @cached_property
    def _names(self) -> Names:
        return Names(self.http)

    async def _workspace(self) -> tuple[Answer, str]:
        """Return the answer to who this is, and the address of the workspace."""
        answer, found = await self.http.json(Call(url="/auth.test"))
        home = str(found.get("url") or "https://slack.com/")
        return answer, f"{home.rstrip('/')}/"

    async def _channels(self, home: str = "") -> list[Channel]:
        """Return those that are read, by their ids; raises ConfigError."""
        kinds = ["public_channel", *["private_channel"] * self.config.include_private]
        call = Call(
            url="/users.conversations",
            query={"types": ",".join(kinds), "exclude_archived": True, "limit": PAGE},
        )
        listing = pages(self.http, call, by_cursor("cursor", NEXT), records="channels")
        found = []
        try:
            async for page in listing:
                for one in page.records:
                    self._names.note(one)
                    found.append(Channel(id=one["id"], name=one["name"], home=home))
        except DeniedError as error:
            raise CredentialsError(str(error)) from error
        return sorted(self._wanted(found), key=lambda one: one.id)

    def _wanted(self, channels: Iterable[Channel]) -> list[Channel]:
        chosen, found = set(self.config.channels), list(channels)
        if not chosen:
            return found
        known = {name for one in found for name in (one.id, one.name)}
        missing = ", ".join(sorted(chosen - known))
        if missing:
            raise ConfigError(
                f"the app is in no channel called {missing}: invite it there"
            )
        return [one for one in found if chosen & {one.id, one.name}]

    # --- messages ---

    async def _scope(
        self, channel: Channel, place: Place
    ) -> AsyncGenerator[Item, None]:
        """Read a channel from a place in it on."""
        is_whole = place.is_listing
        yield ScopeStart(channel.id)
        try:
            async for page in self._history(channel, place):
                for item in await self._items(page, channel):
                    yield item
                if page.next is not None:
                    yield replace(place, channel=channel.id, page=page.next).checkpoint
        except EntityError as error:
            yield Failure(None, f"#{channel.name} is not shown: {error}")
            is_whole = False
        yield ScopeEnd(channel.id, complete=is_whole)

    def _history(self, channel: Channel, place: Place) -> Resumed:
        query: dict[str, str | int] = {"channel": channel.id, "limit": PAGE}
        if place.since is not None:
            back = timedelta(days=self.config.lookback_days).total_seconds()
            query["oldest"] = f"{max(0.0, place.since - back):.6f}"
        call = Call(url="/conversations.history", query=query)
        paging = by_cursor("cursor", NEXT)
        return Resumed(
            lambda token: pages(
                self.http, call, paging, records="messages", start=token
            ),
            place.page if place.channel == channel.id else None,
        )

    async def _items(self, page: Page, channel: Channel) -> list[Item]:
        now = moment_of(page.answer.headers)
        items: list[Item] = []
        for message in page.records:
            item = await self._item(message, channel, now)
            items += [] if item is None else [item]
        return items

    async def _item(
        self, message: Any, channel: Channel, now: datetime | None
    ) -> Item | None:
        ts = message.get("ts") if isinstance(message, dict) else None
        if not isinstance(ts, str) or not ts:
            return Failure(None, f"#{channel.name} shows a message without its time")
        try:
            if not is_root(message):
                return None
            names = await self._names.of(people_in([message]))
            entity = message_entity(message, channel, names, now)
        except ODD as error:
            said = f"Slack describes it oddly: {error!r}"
            return Failure(channel.ref(ts), said, FailureClass.PERMANENT)
        replies = reply_count(message)
        if not replies:
            return Upsert(entity)
        write = partial(self._thread, channel, ts)
        size = len(str(message.get("text") or "")) + replies * REPLY_BYTES
        return Upsert(replace(entity, blob=document(f"{ts}.txt", write, size=size)))

    async def _thread(self, channel: Channel, ts: str) -> str:
        call = Call(
            url="/conversations.replies",
            query={"channel": channel.id, "ts": ts, "limit": PAGE},
        )
        listing = pages(
            self.http,
            call,
            by_cursor("cursor", NEXT),
            records="messages",
        )
        found = [one async for page in listing for one in page.records]
        try:
            # each page may begin with the message that all the others answer
            messages: list[Message] = list({one["ts"]: one for one in found}.values())
            names = await self._names.of(people_in(messages))
            return thread_text(messages, channel, names)
        except ODD as error:
            raise EntityError(f"Slack writes a thread oddly: {error!r}") from error

    async def _fetched(self, ref: Ref, channel: Channel, ts: str) -> Item:
        try:
            time_of(ts)
        except ODD:
            return Delete(ref)  # Slack would call the question wrong, not the message
        call = Call(
            url="/conversations.history",
            query={"channel": channel.id, "oldest": ts, "latest": ts, "limit": 1},
        ).with_query(inclusive=True)
        try:
            page = await anext(
                pages(self.http, call, by_cursor("cursor", NEXT), records="messages")
            )
        except GoneError:
            return Delete(ref)
        except EntityError as error:
            return Failure(ref, str(error), error.failure_class)
        for item in await self._items(page, channel):
            if isinstance(item, Upsert | Failure):
                return item
        return Delete(ref)


def _seconds(answer: Answer) -> float:
    """Return the time by Slack's clock; without it nothing counts as known."""
    now = moment_of(answer.headers)
    return 0.0 if now is None else now.timestamp()
