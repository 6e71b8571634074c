"""Random histories of jobs on the shipped code, checked after every step.

A history that fails says its seed: `make model SEED=<seed>` lives it again. `make test`
lives the same seeds every time, `make soak` new ones. Steps of
parallel tasks interleave by the clock, so a seed repeats what happens and to whom, and
nearly always when. What is never true, at any commit, is in watch.sql.
"""

import asyncio
import os
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.bench import Bench
from tests.model import oracle
from tests.model.fate import Fate
from tests.model.faults import FaultyIndex, Gates, RefusingEmbedder
from tests.model.history import History
from tests.model.scene import Scene

from wellhead.sync import commit, intake, pipeline, sweep
from wellhead.worker import lease, run_job
from wellhead.worker.run_job import Desk

SECONDS = float(os.environ.get("WELLHEAD_MODEL_SECONDS", "40"))  # noqa: TID251
SOAK_SECONDS = float(os.environ.get("WELLHEAD_SOAK_SECONDS", "3600"))  # noqa: TID251
SEED = os.environ.get("WELLHEAD_MODEL_SEED")  # noqa: TID251
FEWEST = 35
LONGEST_SECONDS = 120


async def live(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, folder: Path, seeds: Any
) -> int:
    """Live one history for each seed; returns how many held."""
    gates = Gates()
    gates.install(monkeypatch)
    killing = quicken(monkeypatch)
    index = FaultyIndex(bench.parts.index, gates)
    bench.parts = replace(bench.parts, index=index, embedder=RefusingEmbedder())
    bench.desk = Desk(bench.parts, bench.desk.converter, bench.desk.leases)
    await watch(bench)
    lived = 0
    for seed in seeds:
        scene = Scene(bench, index, gates, killing)
        history = History(scene, Fate(seed), folder)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await history.live()
        except BaseException as error:
            # the end of a long report is what is read: what broke, and how to see it
            again = f"{error}\nlived again by: make model SEED={seed}"
            error.add_note("\n".join([*scene.story, again]))
            raise
        lived += 1
    return lived


def quicken(monkeypatch: pytest.MonkeyPatch) -> set[asyncio.Task[Any]]:
    """Small pages, few entities under guard, no waiting; and what kill -9 means."""
    monkeypatch.setattr(pipeline, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(intake, "PAGE_ITEMS", 4)
    monkeypatch.setattr(commit, "APPEND_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "GUARD_ENTITIES", oracle.GUARD)
    monkeypatch.setattr(sweep, "RECONCILE_EVERY", sweep.RECONCILE_EVERY * 0)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(run_job, "GIVE_BACK_SECONDS", 0.02)
    killing: set[asyncio.Task[Any]] = set()
    last_words = run_job._whatever_comes

    async def unless_killed(work: Any) -> None:
        if asyncio.current_task() in killing:
            work.close()
        else:
            await last_words(work)

    monkeypatch.setattr(run_job, "_whatever_comes", unless_killed)
    return killing


async def watch(bench: Bench) -> None:
    script = (Path(__file__).parent / "watch.sql").read_text()
    async with bench.parts.db.begin() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(script)


def _seeds(seconds: float, chance: random.Random) -> Any:
    end = time.monotonic() + seconds
    lived = 0
    while lived < FEWEST or time.monotonic() < end:
        yield chance.randrange(2**32)
        lived += 1


async def test_random_histories_keep_every_promise(
    bench, monkeypatch, tmp_path, tell
) -> None:
    """The same seeds every time: what is new is tried where there is time for it."""
    seeds = [int(SEED)] if SEED else _seeds(SECONDS, random.Random("always"))  # noqa: S311
    lived = await live(bench, monkeypatch, tmp_path, seeds)
    tell(f"{lived} random histories kept every promise")


@pytest.mark.soak
async def test_an_hour_of_random_histories(bench, monkeypatch, tmp_path, tell) -> None:
    """New seeds every time."""
    seeds = _seeds(SOAK_SECONDS, random.SystemRandom())
    lived = await live(bench, monkeypatch, tmp_path, seeds)
    tell(f"{lived} random histories kept every promise")
