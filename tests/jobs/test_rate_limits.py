"""A vendor's limit holds for all workers together, and its waits are shown."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.bench import Bench
from tests.things import thing

from wellhead.domain.items import Item, ScopeEnd, ScopeStart
from wellhead.domain.jobs import JobStatus
from wellhead.sources.rate_limits import RateLimit, RateLimitLevel
from wellhead.store import rate_limits
from wellhead.store.database import connect
from wellhead.worker.rate_limits import SharedLimiter
from wellhead.worker.surroundings import surroundings

LIMIT = RateLimit(requests=40, seconds=1.0)
OWNER = uuid4()
WORKERS = 3
EACH = 50


def limiter(db: AsyncEngine, limit: RateLimit = LIMIT) -> SharedLimiter:
    return SharedLimiter(db, limit, short_name="acme", owner=OWNER)


def _ask(url: str, owner: UUID, begin: Any, sent: Any) -> None:
    """Another worker process: takes its turns as fast as it may."""

    async def ask() -> None:
        db = connect(url)
        one = SharedLimiter(db, LIMIT, short_name="acme", owner=owner)
        begin.wait()
        for _ in range(EACH):
            await asyncio.sleep(await one.turn())
            sent.put(time.time())
        await db.dispose()

    asyncio.run(ask())


async def test_processes_share_one_limit(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    sent, begin = spawn.SimpleQueue(), spawn.Barrier(WORKERS)
    workers = [
        spawn.Process(target=_ask, args=(database_url, OWNER, begin, sent))
        for _ in range(WORKERS)
    ]
    for one in workers:
        one.start()
    everything = range(WORKERS * EACH)
    times = sorted([await asyncio.to_thread(sent.get) for _ in everything])
    for one in workers:
        one.join()

    # a busy machine makes it last longer, never shorter
    least = (len(times) - LIMIT.burst) * LIMIT.interval - LIMIT.slack
    assert times[-1] - times[0] >= least
    window = LIMIT.seconds
    most = max(
        sum(begin <= other < begin + window for other in times) for begin in times
    )
    assert most < 1.5 * LIMIT.requests


async def test_turns_come_evenly_after_a_burst(db: AsyncEngine) -> None:
    one = limiter(db, RateLimit(requests=100, seconds=3_600))

    turns = [await one.turn() for _ in range(12)]

    assert turns[:10] == [0.0] * 10
    interval = RateLimit(requests=100, seconds=3_600).interval
    assert turns[11] - turns[10] == pytest.approx(interval, abs=5)


async def test_turns_of_others_count(db: AsyncEngine) -> None:
    limit = RateLimit(requests=100, seconds=3_600)
    first, second = limiter(db, limit), limiter(db, limit)
    for _ in range(10):
        await first.turn()

    assert await second.turn() > 0


async def test_a_vendor_that_wants_silence_gets_it_from_all(db: AsyncEngine) -> None:
    first, second = limiter(db), limiter(db)
    await second.turn()

    await first.hold(50)

    assert await second.turn() == pytest.approx(50, abs=10)


async def test_limits_of_others_are_their_own(db: AsyncEngine) -> None:
    await limiter(db).hold(50)

    other = SharedLimiter(db, LIMIT, short_name="acme", owner=uuid4())
    assert await other.turn() == 0.0


async def test_quick_work_asks_the_ledger_seldom(db: AsyncEngine) -> None:
    one = limiter(db, RateLimit(requests=100_000, seconds=1))
    asked = 0

    async def counting() -> None:
        nonlocal asked
        asked += 1
        await reserve()

    reserve = one._reserve
    one._reserve = counting  # type: ignore[method-assign]
    for _ in range(1_000):
        await one.turn()

    assert asked < 40


async def test_what_is_gone_is_forgotten(db: AsyncEngine) -> None:
    await limiter(db).turn()

    async with db.begin() as connection:
        await rate_limits.forget(connection, OWNER)
        left = await connection.scalar(text("SELECT count(*) FROM rate_limit"))

    assert left == 0


@pytest.mark.parametrize("level", RateLimitLevel)
async def test_a_job_takes_turns_for_whom_the_limit_is(
    bench: Bench, level: RateLimitLevel
) -> None:
    limit = RateLimit(requests=5, seconds=1, level=level)
    info = replace(bench.script.info, rate_limit=limit)
    job = await bench.start()

    lent = surroundings(bench.parts, job, info).limiter
    assert lent is not None
    await lent.turn()

    owner = await bench.scalar("SELECT owner_id FROM rate_limit")
    is_shared = level is RateLimitLevel.ORGANIZATION
    assert owner == (bench.organization_id if is_shared else bench.connection_id)


async def test_a_wait_between_items_is_shown_and_costs_nothing(bench: Bench) -> None:
    async def waiting(_: Any) -> AsyncIterator[Item]:
        source = bench.script.source
        assert source is not None
        waits = source.surroundings.waits
        yield ScopeStart()
        yield thing("a")
        async with waits.wait(120):
            await _until_shown(bench, is_waiting=True)
        yield thing("b")
        await _until_shown(bench, is_waiting=False)
        yield ScopeEnd()

    bench.script.items = waiting
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED
    assert job.counts.inserted == 2
    assert job.attempt == 1


async def _until_shown(bench: Bench, *, is_waiting: bool) -> None:
    """Wait for what the job says of itself; the test ends in time if it never does."""
    async with asyncio.timeout(30):
        while True:
            shown = await bench.scalar("SELECT waiting_until > now() FROM sync_job")
            if bool(shown) is is_waiting:
                return
            await asyncio.sleep(0.05)
