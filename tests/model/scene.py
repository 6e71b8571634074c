"""Workers, searches and a maintainer at work on one connection, and their ends."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from tests.bench import Bench
from tests.model.faults import FaultyIndex, Gate, Gates
from tests.model.observe import Observer, Visible

from wellhead.domain.errors import ConflictError
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store.database import is_gone
from wellhead.worker.maintain import flush_garbage
from wellhead.worker.run_job import run_job


@dataclass(slots=True)
class Sleeper:
    """A worker asleep at a gate, long after its lease was over."""

    task: asyncio.Task[None]
    gate: Gate


@dataclass
class Scene:
    """Everybody who has to do with the connection of one history."""

    bench: Bench
    index: FaultyIndex
    gates: Gates
    killing: set[asyncio.Task[Any]]
    """Tasks that end as by kill -9: nothing may be done in their name any more."""
    story: list[str] = field(default_factory=list)
    sleepers: list[Sleeper] = field(default_factory=list)
    search: tuple[asyncio.Task[Any], Gate, Visible] | None = None
    has_flushed_since_sleep: bool = False
    forgets_crashes: bool = True
    """Else a job whose worker died twice goes on carefully, entity by entity."""

    @property
    def observer(self) -> Observer:
        return Observer(self.bench)

    def begin(self, job: SyncJob) -> asyncio.Task[None]:
        return asyncio.create_task(run_job(self.bench.desk, job.id))

    # --- how workers end --------------------------------------------------------------

    async def kill(self, task: asyncio.Task[None]) -> None:
        self.killing.add(task)
        await self.shut_down(task)

    async def shut_down(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def fall_asleep(self, task: asyncio.Task[None], gate: Gate) -> None:
        if not self.sleepers:
            self.has_flushed_since_sleep = False
        self.sleepers.append(Sleeper(task, gate))

    async def try_second_worker(self, job: SyncJob) -> None:
        held = await self.bench.job(job.id)
        await run_job(self.bench.desk, job.id)
        fence = (await self.bench.job(job.id)).fence
        is_alone = held.status is JobStatus.PENDING or fence == held.fence
        assert is_alone, "I3: two owners"

    async def cancel(self, job: SyncJob, *, keep_data: bool) -> None:
        try:
            await self.bench.cancel(job, keep_data=keep_data)
        except ConflictError:
            assert not (await self.bench.job(job.id)).is_open
        else:
            try:
                next_one = await self.bench.start()
            except ConflictError:
                return
            assert not (await self.bench.job(job.id)).is_open, "I3: two open jobs"
            await self.bench.cancel(next_one)

    async def cut_off(self) -> None:
        """Everyone loses the database for a moment, as when it restarts."""
        name = self.bench.parts.db.url.database
        url = self.bench.parts.db.url.set(drivername="postgresql", database="postgres")
        async with await psycopg.AsyncConnection.connect(
            url.render_as_string(hide_password=False), autocommit=True
        ) as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s",
                [name],
            )

    async def run_out(self, job: SyncJob) -> None:
        """The lease of a worker that was killed or sleeps is over."""
        held = await self.bench.job(job.id)
        self.bench.desk.leases.drop(held)
        await self.bench.execute(
            "UPDATE sync_job SET lease_until = now() - interval '1 second',"
            " crashes = CASE WHEN :forgets THEN 0 ELSE crashes END,"
            " deaths = CASE WHEN :forgets THEN 0 ELSE deaths END"
            " WHERE id = :id AND status IN ('running', 'cancelling')",
            id=job.id,
            forgets=self.forgets_crashes,
        )

    async def see_end(self, task: asyncio.Task[None]) -> None:
        try:
            await task
        except psycopg.Error as error:
            self.story.append(f"the worker gave up: {error}")
        except Exception as error:
            if not is_gone(error):
                raise
            self.story.append(f"the worker gave up: {type(error).__name__}")

    async def drain(self, job: SyncJob) -> None:
        for _ in range(20):
            if not (await self.bench.job(job.id)).is_open:
                return
            await self.run_out(job)
            await self.see_end(self.begin(job))
        raise AssertionError("the job never ends")

    async def begin_search(self, when: str) -> None:
        """A slow search: it has its snapshot, and reads the index only later."""
        gate = Gate("reader", when, 0)
        self.index.slow_search = gate
        shown = await self.observer.visible()
        task = asyncio.create_task(self.bench.search("content"))
        if not await reached(task, gate):
            await task
            return
        self.search = task, gate, shown

    async def end_search(self) -> None:
        if self.search is None:
            return
        (task, gate, shown), self.search = self.search, None
        gate.go.set()
        self.story.append("the slow search reads on")
        try:
            hits = await task
        except Exception as error:
            if not is_gone(error):
                raise
            return
        wanted = {
            key: (chunks, name) for key, (chunks, name) in shown.items() if chunks
        }
        found: dict[str, tuple[int, str]] = {}
        for hit in hits:
            count, name = found.get(hit.original_entity_id, (0, hit.name))
            found[hit.original_entity_id] = count + 1, name
        assert found == wanted, "I1: a search did not see its own snapshot"

    async def clear_away(self) -> None:
        """The next history begins in an empty house."""
        bench = self.bench
        await bench.execute(
            "UPDATE source_connection SET is_deleting = true WHERE id = :c",
            c=bench.connection_id,
        )
        for table in ("entity", "intent", "garbage"):
            await bench.execute(
                f"DELETE FROM {table} WHERE connection_id = :c",  # noqa: S608
                c=bench.connection_id,
            )
        await bench.execute(
            "DELETE FROM source_connection WHERE id = :c", c=bench.connection_id
        )
        await bench.execute(
            "DELETE FROM collection WHERE id = :c", c=bench.collection_id
        )
        await bench.parts.index.drop(bench.collection_id)

    async def collect_garbage(self) -> None:
        """What is due is deleted; time flies unless someone is looking.

        While workers sleep it does so once: nobody sleeps longer than the fifteen
        minutes after which their garbage is collected for the second time.
        """
        is_calm = self.search is None
        if is_calm and not (self.sleepers and self.has_flushed_since_sleep):
            self.has_flushed_since_sleep = True
            await self.bench.ripen_garbage()
        await flush_garbage(self.bench.parts)

    async def wake_sleepers(self) -> None:
        for sleeper in self.sleepers:
            self.story.append(f"the one at {sleeper.gate.name} wakes")
            sleeper.gate.go.set()
            await asyncio.gather(sleeper.task, return_exceptions=True)
        self.sleepers.clear()


async def reached(task: asyncio.Task[Any], gate: Gate) -> bool:
    """Wait until the task stands at the gate; False when it ended before."""
    waiting = asyncio.create_task(gate.reached.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return gate.reached.is_set() and not task.done()


async def new_connection(bench: Bench) -> None:
    """A collection of its own with one connection, copied from the bench's first."""
    collection, connection = uuid4(), uuid4()
    await bench.execute(
        "INSERT INTO collection SELECT (jsonb_populate_record(c, jsonb_build_object("
        "'id', CAST(:c AS uuid), 'readable_id', CAST(:r AS text),"
        " 'is_deleting', false))).* FROM collection c LIMIT 1",
        c=collection,
        r=collection.hex,
    )
    await bench.execute(
        "INSERT INTO source_connection SELECT (jsonb_populate_record(s,"
        " jsonb_build_object('id', CAST(:s AS uuid), 'collection_id',"
        " CAST(:c AS uuid), 'is_deleting', false, 'purged_at', NULL,"
        " 'cursor', NULL, 'needs_full', false, 'paused_reason', NULL))).*"
        " FROM source_connection s LIMIT 1",
        s=connection,
        c=collection,
    )
    bench.collection_id, bench.connection_id = collection, connection
