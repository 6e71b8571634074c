"""Counts of a job: what its list of changes adds up to, whatever happens meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from tests.bench import Bench, thing

from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.domain.jobs import Rollback
from wellhead.store import rollbacks
from wellhead.sync import commit, intake, pipeline
from wellhead.sync.recover import roll_back
from wellhead.worker.run_job import run_job

COUNTED = (
    "SELECT j.inserted, j.updated, j.deleted,"
    " count(*) FILTER (WHERE c.after AND NOT c.before),"
    " count(*) FILTER (WHERE c.after AND c.before),"
    " count(*) FILTER (WHERE c.before AND NOT c.after)"
    " FROM sync_job j LEFT JOIN job_change c ON c.job_id = j.id"
    " WHERE j.id = :id GROUP BY j.id"
)


async def test_counts_are_what_the_changes_add_up_to_at_every_moment(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(intake, "PAGE_ITEMS", 4)
    monkeypatch.setattr(pipeline, "STOP_SECONDS", 0.02)
    finish, forget = commit.finish, rollbacks.forget_changes
    checked: list[tuple[int, ...]] = []

    def adds_up(found: Any) -> None:
        assert tuple(found[:3]) == tuple(found[3:])
        checked.append(tuple(found[:3]))

    async def and_check(run: Any, *rest: Any) -> None:
        await finish(run, *rest)
        adds_up((await bench.rows(COUNTED, id=run.job.id))[0])

    async def check_and_forget(connection: Any, job_id: UUID) -> None:
        found = await connection.execute(text(COUNTED), {"id": job_id})
        adds_up(found.one())
        await forget(connection, job_id)

    monkeypatch.setattr(commit, "finish", and_check)
    monkeypatch.setattr(rollbacks, "forget_changes", check_and_forget)
    for seed in range(8):
        await live_through(bench, random.Random(seed))  # noqa: S311

    assert len(checked) > 40
    assert all(max(one[part] for one in checked) > 1 for part in range(3))


def changes(chance: random.Random) -> list[Item]:
    """Entities that come, change, come again and go, some in one page, some not."""
    items: list[Item] = []
    for number in range(chance.randrange(10, 30)):
        ident = str(chance.randrange(8))
        if chance.random() < 0.3:
            items.append(Delete(Ref("Thing", ident)))
        else:
            items.append(Upsert(thing(ident, f"content {chance.randrange(3)}")))
        if chance.random() < 0.3:
            items.append(Checkpoint({"at": number, "items": len(items) + 1}))
    return items


@dataclass
class Faltering:
    """A source that stands still at some items, each time it gets there first."""

    items: list[Item]
    stops: list[int]
    stands: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        done = (cursor or {}).get("items", 0)
        yield ScopeStart()
        for at, item in enumerate(self.items[done:], start=done):
            if self.stops and at >= self.stops[0]:
                self.stops.pop(0)
                self.stands.set()
                await asyncio.Event().wait()
            yield item
        yield ScopeEnd()


async def live_through(bench: Bench, chance: random.Random) -> None:
    """One job over changes in random order, with crashes, that ends in some way."""
    items = changes(chance)
    stops = sorted(chance.sample(range(len(items)), k=chance.randrange(3)))
    source = Faltering(items, stops)
    bench.script.items = source.read
    job = await bench.start(force_full=True)
    is_cancelled = chance.random() < 0.4
    async with asyncio.timeout(60):
        while (await bench.job(job.id)).is_open:
            source.stands.clear()
            task = asyncio.create_task(run_job(bench.desk, job.id))
            stands = asyncio.create_task(source.stands.wait())
            await asyncio.wait({task, stands}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(chance.random() * 0.1)
            if is_cancelled and not source.stops and not task.done():
                await bench.cancel(job)
            else:
                task.cancel()
            stands.cancel()
            await asyncio.gather(task, stands, return_exceptions=True)
            await as_after_a_crash(bench)
    before = await bench.job(job.id)
    if before.rollback is Rollback.PENDING:
        await roll_back(bench.parts.db, job.id)
        assert (await bench.job(job.id)).counts == before.counts


async def as_after_a_crash(bench: Bench) -> None:
    await bench.execute(
        "UPDATE sync_job SET released = false,"
        " lease_until = now() - interval '1 second'"
        " WHERE status IN ('running', 'cancelling')"
    )
