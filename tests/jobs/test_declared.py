"""Jobs of a source that people added: it may be replaced while one runs."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from tests.bench import Bench

from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.services import definitions
from wellhead.sources.registry import Registry
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer
from wellhead.store import connections
from wellhead.store import definitions as store

DEFINITION = """\
wellhead: 1
short_name: my_tracker
name: My tracker
description: Tickets.
base_url: http://127.0.0.1:PORT/v1
credentials:
  token: {title: Token, description: Made in the settings.}
auth: {kind: bearer, token: token}
check: {path: /me}
streams:
  tickets:
    type: MyTicket
    list:
      path: /tickets
      records: tickets
      pages: {by: cursor, send: page, next: next}
    changes: {query: {since: "{since}"}}
    name: "{title}"
    text: "Formerly: {title}"
    updated: changed
"""
PAGES = 3


@dataclass
class Tracker:
    """Three pages of tickets; a change is never told of."""

    bench: Bench
    text: str = DEFINITION
    replacing: str | None = None
    """Put in the place of the definition while the second page is asked for."""
    replaced: asyncio.Task[Any] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)

    def respond(self, request: httpx.Request) -> Reply:
        query = dict(request.url.params)
        self.asked.append(query)
        if "since" in query:
            return self._answer([], None)
        page = int(query.get("page", 0))
        if page == 1 and self.replacing is not None and self.replaced is None:
            self.replaced = asyncio.create_task(self.add(self.replacing))
        tickets = [
            {"id": number, "title": f"ticket{number}", "changed": "1"}
            for number in range(page * 10, page * 10 + 10)
        ]
        return self._answer(tickets, page + 1 if page + 1 < PAGES else None)

    async def add(self, text: str) -> None:
        parts = self.bench.parts
        elsewhere = replace(parts, sources=Registry.load(include_demo=False))
        await definitions.add(elsewhere, self.bench.organization_id, text, replace=True)

    def _answer(self, tickets: list[dict[str, Any]], after: int | None) -> Reply:
        now = format_datetime(self.bench.parts.clock.now(), usegmt=True)
        body = json.dumps({"tickets": tickets, "next": after})
        return Reply(httpx.Response(200, headers={"date": now}, text=body))


@pytest.fixture
async def tracker(bench: Bench) -> AsyncIterator[Tracker]:
    parts = replace(bench.parts, sources=Registry.load(include_demo=False))
    found = Tracker(replace(bench, desk=replace(bench.desk, parts=parts), parts=parts))
    await bench.configure("my_tracker")
    async with parts.db.begin() as connection:
        sealed = parts.cipher.encrypt({"token": "secret-token-1"})
        await connections.save_credential(
            connection, bench.connection_id, sealed, at=parts.clock.now()
        )
    async with VendorServer(found.respond) as server:
        found.text = DEFINITION.replace("PORT", str(server.port))
        await found.add(found.text)
        yield found


async def test_a_worker_knows_what_was_added_elsewhere(tracker: Tracker) -> None:
    first = await tracker.bench.sync()
    second = await tracker.bench.sync()

    assert (first.status, first.mode) == (JobStatus.COMPLETED, JobMode.FULL)
    assert first.counts.inserted == 10 * PAGES
    assert (second.status, second.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert "since" in tracker.asked[-1]


async def test_a_job_ends_by_the_definition_it_began_with(tracker: Tracker) -> None:
    tracker.replacing = tracker.text.replace("Formerly", "Nowadays")

    job = await tracker.bench.sync()
    assert tracker.replaced is not None
    await tracker.replaced

    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 10 * PAGES)
    assert len(await tracker.bench.found("formerly")) == 10 * PAGES
    assert await tracker.bench.found("nowadays") == set()


async def test_the_next_job_reads_everything_by_the_new_one(tracker: Tracker) -> None:
    tracker.replacing = tracker.text.replace("Formerly", "Nowadays")
    await tracker.bench.sync()
    assert tracker.replaced is not None
    await tracker.replaced

    job = await tracker.bench.sync()

    assert (job.status, job.counts.updated) == (JobStatus.COMPLETED, 10 * PAGES)
    assert job.counts.deleted == 0
    assert len(await tracker.bench.found("nowadays")) == 10 * PAGES
    assert await tracker.bench.found("formerly") == set()


async def test_a_definition_that_went_ends_the_job_with_its_name(
    tracker: Tracker,
) -> None:
    async with tracker.bench.parts.db.begin() as connection:
        await store.remove(connection, "my_tracker")

    job = await tracker.bench.sync()

    assert job.status is JobStatus.FAILED
    assert "Source 'my_tracker' not found" in str(job.error)
