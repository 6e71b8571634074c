"""Random histories of jobs, crashes, pauses and cancels against an oracle.

Run by `make soak`. Every history prints nothing when it holds; when it fails, its seed
is in the message: `WELLHEAD_SEED=<seed> pytest -m soak tests/jobs/test_histories.py`
runs just that one. Steps of tasks interleave by the clock, so a seed narrows a failure
down but need not repeat it.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import FailureClass
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
from wellhead.domain.jobs import JobStatus
from wellhead.sync import commit, intake, pipeline
from wellhead.worker import endings
from wellhead.worker.maintain import flush_garbage
from wellhead.worker.run_job import run_job

KEYS = "abcdefghij"
SECONDS = float(os.environ.get("WELLHEAD_HISTORY_SECONDS", "25"))  # noqa: TID251
ONLY = os.environ.get("WELLHEAD_SEED")  # noqa: TID251
FEWEST = 5


class Points:
    """Places where a run can be made to stand still, before or after a step."""

    NAMES = ("declare", "append", "finish", "delete", "complete")

    def __init__(self) -> None:
        self.armed: tuple[str, int] | None = None
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    def arm(self, name: str, count: int) -> None:
        self.armed = (name, count)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def hit(self, name: str) -> None:
        if self.armed is None or self.armed[0] != name:
            return
        if self.armed[1] > 0:
            self.armed = (name, self.armed[1] - 1)
            return
        self.armed = None
        go = self.go
        self.reached.set()
        await go.wait()

    def around(
        self, name: str, step: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def stepped(*words: Any, **more: Any) -> Any:
            await self.hit(f"before {name}")
            result = await step(*words, **more)
            await self.hit(f"after {name}")
            return result

        return stepped


class History:
    """One connection's life, and what ought to be true of it."""

    def __init__(self, bench: Any, points: Points, seed: int) -> None:
        self.bench, self.points = bench, points
        self.chance = random.Random(seed)  # noqa: S311
        self.world: dict[str, str] = {}
        self.log: list[tuple[str, str | None]] = []
        self.failing: set[str] = set()
        self.is_incremental = self.chance.random() < 0.5
        self.zombies: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    # --- the source -----------------------------------------------------------------

    async def items(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if cursor is not None and "at" not in cursor:
            for at in range(cursor["log"], len(self.log)):
                yield self.item(*self.log[at])
                yield Checkpoint({"log": at + 1})
            return
        high = len(self.log) if cursor is None else cursor["log"]
        done = "" if cursor is None else cursor["at"]
        yield ScopeStart()
        for key in sorted(self.world):
            if key > done and key in self.world:
                yield self.item(key, self.world[key])
                yield Checkpoint({"at": key, "log": high})
        yield ScopeEnd()
        yield Checkpoint({"log": high})

    def item(self, key: str, content: str | None) -> Item:
        ref = Ref("Thing", key)
        if content is None:
            return Delete(ref)
        if key in self.failing:
            return Failure(ref, "busy", FailureClass.TRANSIENT)
        return Upsert(Entity(type="Thing", source_id=key, name=key, text=content))

    async def fetched(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            yield self.item(ref.source_id, self.world.get(ref.source_id))

    def change(self) -> None:
        for key in KEYS:
            if self.chance.random() < 0.3:
                self.world[key] = f"content {key} {self.chance.randrange(1000)}"
                self.log.append((key, self.world[key]))
            elif self.chance.random() < 0.15 and key in self.world:
                del self.world[key]
                self.log.append((key, None))
        self.failing = {key for key in KEYS if self.chance.random() < 0.07}

    # --- what happens ---------------------------------------------------------------

    async def live(self) -> None:
        """A few jobs, each with its own misfortunes; then one that goes well."""
        await self.move_in()
        for _ in range(self.chance.randint(2, 4)):
            for _ in range(self.chance.randint(1, 2)):
                self.change()
            before = await self.bench.world()
            await self.bench.execute("UPDATE failure SET next_retry_at = now()")
            job = await self.bench.start()
            for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
                await self.misfortune(job)
                await self.check_always()
            wants_cancel = self.chance.random() < 0.2
            await self.finish(job, cancels=wants_cancel)
            await self.check_after(job, before)
            await self.wake_zombies()
            await self.check_always()
        await self.check_end()

    async def move_in(self) -> None:
        bench = self.bench
        bench.script.info = replace(
            bench.script.info, is_incremental=self.is_incremental, yields_deletes=True
        )
        bench.script.items, bench.script.fetched = self.items, self.fetched
        collection, connection = uuid4(), uuid4()
        await bench.execute(
            "INSERT INTO collection SELECT :c, organization_id, :r, name, sync_config,"
            " vector_size, embedding_model_name, is_deleting, NULL, created_at,"
            " modified_at FROM collection LIMIT 1",
            c=collection,
            r=collection.hex,
        )
        await bench.execute(
            "INSERT INTO source_connection (id, organization_id, collection_id,"
            " short_name, name, config, auth_method, created_at, modified_at)"
            " SELECT :s, organization_id, :c, short_name, name, config, auth_method,"
            " created_at, modified_at FROM source_connection LIMIT 1",
            s=connection,
            c=collection,
        )
        bench.collection_id, bench.connection_id = collection, connection

    async def misfortune(self, job: Any) -> None:
        """A worker dies or falls asleep at some step; its lease runs out."""
        name = self.chance.choice(Points.NAMES)
        when = self.chance.choice(("before", "after"))
        self.points.arm(f"{when} {name}", self.chance.randint(0, 3))
        task = asyncio.create_task(run_job(self.bench.desk, job.id))
        reached = asyncio.create_task(self.points.reached.wait())
        await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        self.points.armed = None
        if self.chance.random() < 0.5:
            await self.wake_zombies()  # while another worker has the job
        if task.done():
            await task
            return
        # a deletion stands within a transaction: asleep there it would hold its locks
        if name != "delete" and self.chance.random() < 0.4:
            self.zombies.append((task, self.points.go))
        else:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        held = await self.bench.job(job.id)
        self.bench.desk.leases.drop(held)
        await self.bench.execute(
            "UPDATE sync_job SET released = false, crashes = 0,"
            " lease_until = now() - interval '1 second'"
            " WHERE id = :id AND status IN ('running', 'cancelling')",
            id=job.id,
        )

    async def finish(self, job: Any, *, cancels: bool) -> None:
        if cancels:
            self.points.arm("before finish", self.chance.randint(0, 2))
            task = asyncio.create_task(run_job(self.bench.desk, job.id))
            reached = asyncio.create_task(self.points.reached.wait())
            await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
            reached.cancel()
            self.points.armed = None
            if (await self.bench.job(job.id)).is_open:
                await self.bench.cancel(job)
            self.points.go.set()
            await task
        deadline = time.monotonic() + 30
        while (await self.bench.job(job.id)).is_open:
            assert time.monotonic() < deadline, "the job never ends"
            await run_job(self.bench.desk, job.id)
            await self.bench.execute(
                "UPDATE sync_job SET lease_until = now() - interval '1 second'"
                " WHERE id = :id AND status IN ('running', 'cancelling')",
                id=job.id,
            )

    async def wake_zombies(self) -> None:
        for task, go in self.zombies:
            go.set()
            await asyncio.gather(task, return_exceptions=True)
        self.zombies.clear()

    # --- what must be true ----------------------------------------------------------

    async def entities(self) -> dict[str, tuple[int, int]]:
        rows = await self.bench.rows(
            "SELECT source_id, version, chunk_count FROM entity"
            " WHERE connection_id = :c",
            c=self.bench.connection_id,
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def check_always(self) -> None:
        """I1, I2: all that is committed is there; nothing else is shown, none twice."""
        stored = await self.bench.stored_versions()
        for key, (version, chunks) in (await self.entities()).items():
            assert stored.get(version) == chunks, f"{key} is not whole in the index"
        await self.bench.world()

    async def check_after(self, job: Any, before: dict[str, str]) -> None:
        done = await self.bench.job(job.id)
        intents = await self.bench.scalar(
            "SELECT count(*) FROM intent WHERE connection_id = :c",
            c=self.bench.connection_id,
        )
        if not self.zombies:
            assert intents == 0, "I7: an ended job leaves no intent"
        shown = await self.bench.world()
        if done.status is JobStatus.COMPLETED:
            wanted = {k: v for k, v in self.world.items() if k not in self.failing}
            # what failed keeps its old version, unless a delete came before the failure
            kept = {
                k: before[k]
                for k in self.failing & set(before) & set(self.world)
                if k in shown or not self.is_incremental
            }
            assert shown == wanted | kept, "I4: what is live is what was listed"
            counts = done.counts
            assert counts.inserted == len(set(shown) - set(before)), "I5: inserted"
            assert counts.deleted == len(set(before) - set(shown)), "I5: deleted"
            changed = sum(before[k] != shown[k] for k in set(before) & set(shown))
            assert counts.updated >= changed, "I5: updated"
            assert counts.failed <= len(self.failing)
        else:
            assert done.status is JobStatus.CANCELLED, done.error
            assert set(shown) <= set(before), "I14: what it inserted is not shown"

    async def check_end(self) -> None:
        """I11, I13: a clean job converges, and the index holds just what is live."""
        self.failing = set()
        self.points.armed = None
        last = await self.bench.sync(force_full=True)
        assert last.status is JobStatus.COMPLETED, last.error
        assert await self.bench.world() == self.world
        for _ in range(3):
            await self.bench.ripen_garbage()
            await flush_garbage(self.bench.parts)
        live = dict((await self.entities()).values())
        assert await self.bench.stored_versions() == live


@pytest.mark.soak
async def test_random_histories_keep_every_promise(bench, monkeypatch, capsys) -> None:
    points = Points()
    monkeypatch.setattr(pipeline, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(intake, "PAGE_ITEMS", 3)
    for module, name in (
        (commit, "declare"),
        (commit, "finish"),
        (commit, "delete"),
        (endings, "complete"),
    ):
        monkeypatch.setattr(module, name, points.around(name, getattr(module, name)))
    index = bench.parts.index
    monkeypatch.setattr(index, "append", points.around("append", index.append))
    end = time.monotonic() + SECONDS
    seeds = [int(ONLY)] if ONLY else iter(lambda: random.randrange(2**32), None)  # noqa: S311
    lived = 0
    for seed in seeds:
        try:
            async with asyncio.timeout(60):
                await History(bench, points, seed).live()
        except BaseException as error:
            error.add_note(f"WELLHEAD_SEED={seed}")
            raise
        lived += 1
        if lived >= FEWEST and time.monotonic() > end:
            break
    with capsys.disabled():
        print(f"\n{lived} random histories held")  # noqa: T201


@pytest.fixture(autouse=True)
def _quick_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.0)
