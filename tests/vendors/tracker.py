"""A small vendor, and a source on the kit that reads it: what the suite is tried on."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
from pydantic import Field

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.http import (
    Api,
    ApiSource,
    Call,
    GoneError,
    by_cursor,
    pages,
    path,
)
from wellhead.sources.rate_limits import RateLimit
from wellhead.sources.testing import Vendor

TYPE = "TrackerTicketEntity"
PAGE = 50
TOKEN = "trk-5ecret-0123456789"  # noqa: S105  # of nobody


class TrackerCredentials(Config):
    token: str = Field(
        title="Token",
        description="Made in the tracker's settings.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class TrackerSource(ApiSource):
    """Tickets, by the time of their last change."""

    info = SourceInfo(
        short_name="tracker",
        name="Tracker",
        description="Tickets of a tracker.",
        entity_types=(TYPE,),
        is_incremental=True,
        rate_limit=RateLimit(requests=1_000_000, seconds=1),
    )
    credentials_model = TrackerCredentials
    api = Api(name="Tracker", base_url="https://tracker.example/v1")

    async def check(self) -> None:
        try:
            await self.http.get_json("/me")
        except GoneError as error:
            raise ConfigError(str(error)) from error

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        place = cursor or {}
        since, page = place.get("since"), place.get("page")
        is_listing = place.get("is_listing", cursor is None)
        until = place.get("until") or (await self.http.get_json("/me"))["now"]
        yield ScopeStart()
        call = Call(url="/tickets", query={"since": None if is_listing else since})
        paging = by_cursor("page", "next")
        async for one in pages(self.http, call, paging, records="tickets", start=page):
            for ticket in one.records:
                yield Upsert(ticket_entity(ticket))
            if one.next is not None:
                yield Checkpoint(
                    {
                        "since": since,
                        "page": one.next,
                        "until": until,
                        "is_listing": is_listing,
                    }
                )
        yield ScopeEnd(complete=is_listing)
        yield Checkpoint({"since": until, "is_listing": False})

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            try:
                found = await self.http.get_json(path("tickets", ref.source_id))
            except GoneError:
                yield Delete(ref)
            else:
                yield Upsert(ticket_entity(found))

    async def ids(self) -> AsyncIterator[Item]:
        yield ScopeStart()
        async for one in pages(
            self.http,
            Call(url="/tickets"),
            by_cursor("page", "next"),
            records="tickets",
        ):
            for ticket in one.records:
                yield Seen(Ref(TYPE, ticket["id"]))
        yield ScopeEnd()


def ticket_entity(ticket: dict[str, Any]) -> Entity:
    return Entity(
        type=TYPE,
        source_id=ticket["id"],
        name=ticket["title"],
        text=ticket["body"],
        source_version=ticket["changed"],
        updated_at=datetime.fromisoformat(ticket["changed"]),
    )


@dataclass
class Ticket:
    id: str
    body: str
    changed: str


class Tracker(Vendor):
    """The tracker's account, in memory."""

    source = TrackerSource
    credentials: ClassVar = {"token": TOKEN}

    def __init__(self) -> None:
        self.tickets: dict[str, Ticket] = {}
        self.number = 0
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"message": "who are you?"})
        what = request.url.path.removeprefix("/v1")
        if what == "/me":
            return httpx.Response(200, json={"now": self.now.isoformat()})
        if what == "/tickets":
            return self._page(request.url.params)
        found = self.tickets.get(what.removeprefix("/tickets/"))
        if found is None:
            return httpx.Response(404, json={"message": "no such ticket"})
        return httpx.Response(200, json=_shown(found))

    def add(self, count: int) -> Sequence[Ref]:
        return [self._write(f"t{self.number + 1}") for _ in range(count)]

    def change(self) -> Ref:
        return self._write(next(iter(self.tickets)))

    def remove(self) -> Ref:
        ident = list(self.tickets)[len(self.tickets) // 2]
        del self.tickets[ident]
        return Ref(TYPE, ident)

    def is_about_one(self, request: httpx.Request) -> bool:
        return request.url.path.startswith("/v1/tickets/")

    def _write(self, ident: str) -> Ref:
        self.number += 1
        self.now += timedelta(seconds=1)
        body = f"What {ident} says, for the {self.number}th time"
        self.tickets[ident] = Ticket(ident, body, self.now.isoformat())
        return Ref(TYPE, ident)

    def _page(self, query: httpx.QueryParams) -> httpx.Response:
        since, after = query.get("since", ""), int(query.get("page", 0))
        chosen = [one for one in self.tickets.values() if one.changed > since]
        page = chosen[after : after + PAGE]
        goes_on = after + PAGE < len(chosen)
        body = {
            "tickets": [_shown(one) for one in page],
            "next": after + PAGE if goes_on else None,
        }
        return httpx.Response(200, text=json.dumps(body))


def _shown(ticket: Ticket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "title": f"Ticket {ticket.id}",
        "body": ticket.body,
        "changed": ticket.changed,
    }
