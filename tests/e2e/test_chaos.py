"""Jobs on real processes that are killed and paused at random, watched by a reader.

The short form is part of `make test`, the long one of `make soak`; WELLHEAD_SEED
repeats the same decisions, WELLHEAD_CHAOS_SECONDS says how long the long one rages.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from signal import SIGTERM
from typing import Any

import lancedb
import numpy as np
import psycopg
import pytest
from tests.e2e.chaos import (
    PATIENCE_SECONDS,
    Client,
    Crew,
    Killer,
    Moment,
    Reader,
    World,
)

from wellhead.app.postgres import EmbeddedPostgres
from wellhead.domain.jobs import NEXT, OPEN, JobStatus

SECONDS = float(os.environ.get("WELLHEAD_CHAOS_SECONDS", "240"))  # noqa: TID251
SEED = os.environ.get("WELLHEAD_SEED")  # noqa: TID251
LEAST_SECONDS = 3
"""So long at least there are kills after the start of each of the first jobs."""
COLLECTION = "chaos"
Job = dict[str, Any]


class Chaos:
    """One connection to a folder, its jobs, and what they must add up to."""

    def __init__(self, program: Any, entities: int) -> None:
        self.seed = int(SEED or random.SystemRandom().randrange(2**32))
        self.chance = random.Random(self.seed)  # noqa: S311
        self.program = program
        self.world = World(program.data_dir / "chaos", self.chance, entities)
        self.crew = Crew(program, size=2)
        self.killer = Killer(program, self.chance, self.crew)
        self.client = Client(program)
        self.reader = Reader(self.client, self.world, COLLECTION)
        self.jobs: dict[str, Job] = {}
        self.live = 0
        self.blamed: set[str] = set()
        """Files at which workers happened to be killed again and again."""
        self.path = ""

    @property
    def summary(self) -> str:
        statuses = Counter(job["status"] for job in self.jobs.values())
        return (
            f"chaos: seed {self.seed}, kills {dict(self.killer.kills)},"
            f" pauses {dict(self.killer.pauses)}, {self.reader.searches} searches,"
            f" {len(self.jobs)} jobs {dict(statuses)}, {len(self.blamed)} blamed"
        )

    async def connect(self) -> None:
        await self.client.ask(
            "POST", "/collections", json={"name": "Chaos", "readable_id": COLLECTION}
        )
        made = await self.client.ask(
            "POST",
            "/source-connections",
            json={
                "short_name": "file_system",
                "readable_collection_id": COLLECTION,
                "config": {"path": str(self.world.root)},
                "sync_immediately": False,
            },
        )
        self.path = f"/source-connections/{made.json()['id']}"

    async def rage(self, seconds: float) -> None:
        """Run jobs while everything is killed, until the time is over."""
        end = time.monotonic() + seconds
        async with self.raging(end, only_updates=True):
            first = await self.run()
        assert first["status"] == "completed", first
        well = len(self.world.revisions) - len(self.blamed)
        assert first["entities_inserted"] == well, first
        assert first["entities_failed"] == len(self.blamed), first
        assert first["entities_updated"] == first["entities_deleted"] == 0, first
        assert first["entities_kept"] == 0, first
        hows = ["drop", "keep", ""]
        while hows or time.monotonic() < end:
            how = hows.pop() if hows else self.chance.choice(["", "", "drop", "keep"])
            soon = time.monotonic() + LEAST_SECONDS
            async with self.raging(max(end, soon), only_updates=False):
                self.world.stir()
                await self.run(how)

    @asynccontextmanager
    async def raging(self, end: float, *, only_updates: bool) -> AsyncIterator[None]:
        """Change, kill and search beside the block; what goes wrong there is raised."""
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self.reader.watch()),
                group.create_task(self.killer.rage(end)),
                group.create_task(self.change(only_updates=only_updates)),
            ]
            yield
            for task in beside:
                task.cancel()

    async def change(self, *, only_updates: bool) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.01, 0.1))
            self.world.change(only_updates=only_updates)

    async def run(self, how: str = "") -> Job:
        """Run a job to its end, whichever: the counts of each must add up.

        It is cancelled (`drop` and `keep` say what becomes of its data), left `alone`,
        or else sometimes loses workers.
        """
        before, moment = await self.reader.scan(), self.world.moment()
        started = await self.start()
        path = f"{self.path}/jobs/{started['id']}"
        await self.trouble(path, started, how)
        job = await self.until_over(path)
        await self.account(how, moment)
        if job["status"] == "cancelled" and how != "keep":
            new = (await self.reader.scan()).keys() - before.keys()
            assert not new, f"inserted by a cancelled job, and found: {new}"
        return job

    async def start(self) -> Job:
        """Start a job; where the answer was lost, it is the newest one."""
        answer = await self.client.ask("POST", f"{self.path}/run", 409)
        if answer.status_code == 409:
            answer = await self.client.ask("GET", f"{self.path}/jobs?limit=1")
            newest: Job = answer.json()[0]
            assert newest["id"] not in self.jobs, (
                f"refused, and not under way: {newest}"
            )
            return newest
        started: Job = answer.json()
        return started

    async def trouble(self, path: str, job: Job, how: str) -> None:
        """Cancel, or kill workers; at the first sign of progress, or soon."""
        is_cancelled = how in ("drop", "keep")
        if how == "alone" or (self.jobs and not is_cancelled and self.coin()):
            return
        if is_cancelled and self.coin():
            await asyncio.sleep(self.chance.uniform(0, 1.5))
        elif not await self.moves(path, job):
            return
        if is_cancelled:
            asked = {"keep_data": how == "keep"}
            await self.client.ask("POST", f"{path}/cancel", 409, params=asked)
        else:
            self.killer.kill_workers()

    def coin(self) -> bool:
        return self.chance.random() < 0.5

    async def moves(self, path: str, job: Job) -> bool:
        """Wait until a job has written something; False if it ends before that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (job["entities_inserted"] + job["entities_updated"]):
            if job["status"] not in OPEN:
                return False
            assert time.monotonic() < deadline, f"no progress: {job}"
            job = (await self.client.ask("GET", path)).json()
        return True

    async def until_over(self, path: str) -> Job:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.crew.keep()
            job: Job = (await self.client.ask("GET", path)).json()
            if job["status"] not in OPEN:
                return job
            assert time.monotonic() < deadline, f"still {job}"
            await asyncio.sleep(0.1)

    async def account(self, how: str, before: Moment) -> None:
        """Hold the new jobs' counts against what can be found now."""
        newest = await self.client.ask("GET", f"{self.path}/jobs?limit=1000")
        new = [job for job in newest.json() if job["id"] not in self.jobs]
        for job in reversed(new):
            is_hopeless = (job["error"] or "").startswith("the worker died 5 times")
            assert job["status"] in {"completed", "cancelled"} or is_hopeless, f"{job}"
            self.jobs[job["id"]] = job
            is_dropped = job["status"] == "cancelled" and how != "keep"
            details = job["error_details"] or {}
            removed = details.get("cleanup", {}).get("entities", 0)
            assert removed == (job["entities_inserted"] if is_dropped else 0), f"{job}"
            self.live += job["entities_inserted"] - removed - job["entities_deleted"]
            await self.excuse(job, before)
        connection = (await self.client.ask("GET", self.path)).json()
        found = (connection["entities"] or {"total_entities": 0})["total_entities"]
        assert found == self.live, f"{found} entities, by the counts {self.live}: {new}"
        if any(job["status"] == "completed" for job in new):
            self.world.settle(before, but=self.blamed)

    async def excuse(self, job: Job, before: Moment) -> None:
        """A file may fail that went away while it was read, or that is blamed."""
        path = f"{self.path}/jobs/{job['id']}/failures"
        for failure in (await self.client.ask("GET", path)).json():
            key = Path(failure["source_id"]).stem
            if failure["reason"].startswith("the worker died twice"):
                self.blamed.add(key)
            else:
                assert self.world.lives[key] != before.lives[key], failure

    async def finish(self) -> None:
        """Let everything live again; one more job then makes it all true."""
        self.killer.resume()
        self.crew.keep()
        for key in self.blamed & self.world.present:
            self.world.write(key)
        found, contents = await self.reader.scan(), self.world.contents()
        stale = {
            key
            for key in found.keys() & contents.keys()
            if found[key].modified != self.world.modified(key)
        }

        last = await self.run(how="alone")

        assert last["status"] == "completed", last
        assert last["entities_inserted"] == len(contents.keys() - found.keys()), last
        assert last["entities_deleted"] == len(found.keys() - contents.keys()), last
        assert last["entities_updated"] == len(stale), last
        assert last["entities_failed"] == 0, last
        kept = len(contents) - last["entities_inserted"] - len(stale)
        assert last["entities_kept"] == kept, last
        shown = {key: one.revision for key, one in (await self.reader.scan()).items()}
        assert shown == contents
        assert set(self.crew.dismiss()) <= {0, -SIGTERM}  # it may just be starting


def check_history(database: psycopg.Connection[Any], jobs: dict[str, Job]) -> None:
    """Every job went along the edges of the graph, and none is left open."""
    rows = database.execute(
        "SELECT payload ->> 'sync_job_id', event_type FROM event"
        " WHERE event_type LIKE 'sync.%' ORDER BY id"
    ).fetchall()
    ways: dict[str, list[JobStatus]] = {}
    for job, name in rows:
        ways.setdefault(job, []).append(JobStatus(name.removeprefix("sync.")))
    assert ways.keys() == jobs.keys()
    for job, way in ways.items():
        assert way[0] is JobStatus.PENDING, way
        assert all(after in NEXT[one] for one, after in pairwise(way)), way
        assert way[-1].value == jobs[job]["status"], way
    query = "SELECT id FROM sync_job WHERE completed_at IS NULL"
    assert database.execute(query).fetchall() == []
    assert database.execute("SELECT version FROM intent").fetchall() == []


def flush_garbage(database: psycopg.Connection[Any]) -> None:
    """Make all garbage due, for as many passes as it takes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    rolling_back = "SELECT 1 FROM sync_job WHERE rollback = 'pending'"
    while (
        database.execute(rolling_back).fetchone()
        or database.execute("UPDATE garbage SET not_before = now()").rowcount
    ):
        assert time.monotonic() < deadline, "garbage is left"
        time.sleep(0.5)


def check_index(database: psycopg.Connection[Any], folder: Path) -> None:
    """The index holds the committed chunks, each once, and nothing else."""
    rows = database.execute(
        "SELECT collection.id, version, chunk_count FROM entity"
        " JOIN source_connection c ON c.id = connection_id"
        " JOIN collection ON collection.id = c.collection_id"
    ).fetchall()
    committed = {(version, n) for _, version, chunks in rows for n in range(chunks)}
    table = lancedb.connect(folder).open_table(rows[0][0].hex)
    stored = table.to_arrow()
    found = list(
        zip(stored["version"].to_pylist(), stored["ordinal"].to_pylist(), strict=True)
    )
    assert len(found) == len(set(found)), "chunks twice"
    assert set(found) == committed
    assert np.isfinite(np.stack(stored["vector"].to_numpy())).all()


async def live_through(program: Any, entities: int, seconds: float) -> str:
    server = program.serve()
    chaos = Chaos(program, entities)
    try:
        chaos.crew.keep()
        await chaos.connect()
        await chaos.rage(seconds)
        await chaos.finish()
    except BaseException as error:
        error.add_note(f"WELLHEAD_SEED={chaos.seed}; {chaos.summary}")
        raise
    finally:
        chaos.killer.resume()
        await chaos.client.close()
    url = EmbeddedPostgres.ensure(program.data_dir).url
    with psycopg.connect(url, autocommit=True) as database:
        check_history(database, chaos.jobs)
        flush_garbage(database)
        check_index(database, program.data_dir / "index")
    server.terminate()
    assert server.wait(60) == 0
    program.until(lambda: not program.processes(), f"left: {program.processes()}")
    return chaos.summary


async def test_jobs_are_true_whatever_is_killed_while_they_run(program, tell) -> None:
    tell(await live_through(program, entities=500, seconds=12))


@pytest.mark.soak
async def test_jobs_are_true_after_minutes_of_kills(program, tell) -> None:
    tell(await live_through(program, entities=5_000, seconds=SECONDS))
