"""The conformance suite passes a good source, and catches each kind of careless one."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest
from tests.vendors.github import Account, Issue
from tests.vendors.tracker import TOKEN, Tracker, TrackerSource, ticket_entity

from wellhead.domain.errors import EntityError, RetryableError, SyncError
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
from wellhead.sources.connectors.github import GitHubSource
from wellhead.sources.connectors.github.texts import Remark
from wellhead.sources.testing import VENDOR_CHECKS, Vendor, vendor_suite

test_a_source_on_the_kit_conforms = vendor_suite(Tracker)


class Naive(TrackerSource):
    """Written without the kit, by somebody who expects no trouble."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        page: int | None = 0
        headers = {"authorization": f"Bearer {TOKEN}"}
        yield ScopeStart()
        async with httpx.AsyncClient(
            transport=self.surroundings.transport, headers=headers
        ) as client:
            while page is not None:
                answer = await client.get(f"{self.api.base_url}/tickets?page={page}")
                body = answer.json()
                for ticket in body.get("tickets", ()):
                    yield Upsert(ticket_entity(ticket))
                page = body.get("next")
        yield ScopeEnd()


class Trusting(TrackerSource):
    """Takes whatever goes wrong for the end of the list."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        with suppress(SyncError):
            async for item in super().read(cursor):
                if isinstance(item, Upsert):
                    yield item
        yield ScopeEnd()


class Forgetful(TrackerSource):
    """After a crash takes the present for the moment when its listing began."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        place = None if cursor is None else {**cursor, "until": None}
        async for item in super().read(place):
            yield item


class Hoarding(TrackerSource):
    """Remembers everything that it ever read."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        kept = set()
        async for item in super().read(cursor):
            if isinstance(item, Upsert):
                kept.add(item.entity.source_id + "!")
            yield item


class Stubborn(TrackerSource):
    """Finishes what it does before it stops."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        try:
            async for item in super().read(cursor):
                yield item
        except asyncio.CancelledError:
            await asyncio.sleep(1.5)
            raise


class Talkative(TrackerSource):
    """Logs how it connects."""

    def token(self) -> str | None:
        logging.getLogger("tracker").info("connecting with %s", super().token())
        return super().token()


class Proud(TrackerSource):
    """Says that it tells of deletes."""

    info = replace(TrackerSource.info, yields_deletes=True)


class Demanding(TrackerSource):
    """Expects that there is something."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        body = await self.http.get_json("/tickets")
        json.dumps(body["tickets"][0])
        async for item in super().read(cursor):
            yield item


class Vague(TrackerSource):
    """Calls refused credentials a passing trouble."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        try:
            async for item in super().read(cursor):
                yield item
        except (SyncError, EntityError) as error:
            raise RetryableError(f"something went wrong: {error}") from error


class Hasty(TrackerSource):
    """Takes trouble in its ids for their end, and any error of fetch for a delete."""

    async def ids(self) -> AsyncIterator[Item]:
        yield ScopeStart()
        with suppress(SyncError):
            async for item in super().ids():
                if isinstance(item, Seen):
                    yield item
        yield ScopeEnd()

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            try:
                async for item in super().fetch([ref]):
                    yield item
            except SyncError:
                yield Delete(ref)


class Late(TrackerSource):
    """Begins the next job where the clock stood after the listing, and later."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in super().read(cursor):
            if isinstance(item, Checkpoint) and "page" not in item.token:
                yield Checkpoint({"since": "2030-01-01", "is_listing": False})
            else:
                yield item


class Silent(GitHubSource):
    """Takes comments that cannot be had for none."""

    async def _remarks(self, part: str, number: int, what: str) -> list[Remark]:
        try:
            return await super()._remarks(part, number, what)
        except SyncError:
            return []


async def test_a_text_without_what_could_not_be_had_is_caught() -> None:
    class Talked(Account):
        source: ClassVar = Silent

        def open(self, body: str | None = "It stops.") -> Issue:
            issue = super().open(body)
            self.say(issue, "It goes on.")
            return issue

    found = await VENDOR_CHECKS["opens_files_over_trouble"](Talked)

    assert "another text is taken for it" in " ".join(found)


def _vendor_of(kind: type[TrackerSource]) -> type[Vendor]:
    class Other(Tracker):
        source: ClassVar = kind

    return Other


@pytest.mark.parametrize(
    ("careless", "check"),
    [
        (Naive, "gets_over_passing_trouble"),
        (Naive, "gives_up_on_lasting_trouble"),
        (Naive, "refuses_to_go_round_in_circles"),
        (Naive, "waits_as_it_was_told"),
        (Naive, "names_refused_credentials"),
        (Trusting, "deletes_nothing_that_was_refused"),
        (Trusting, "does_not_wait_for_ever"),
        (Trusting, "refuses_to_go_round_in_circles"),
        (Forgetful, "reads_changes_from_every_checkpoint"),
        (Hoarding, "keeps_its_memory_flat"),
        (Stubborn, "stops_within_a_second"),
        (Talkative, "tells_no_secret"),
        (Proud, "notices_deletes"),
        (Demanding, "reads_an_empty_account"),
        (Vague, "names_refused_credentials"),
        (Late, "notices_changes"),
        (Hasty, "lists_ids_whole_or_not_at_all"),
        (Hasty, "fetches_nothing_as_gone_that_is_there"),
    ],
)
async def test_a_careless_source_is_caught(
    careless: type[TrackerSource], check: str
) -> None:
    assert await VENDOR_CHECKS[check](_vendor_of(careless)) != []
