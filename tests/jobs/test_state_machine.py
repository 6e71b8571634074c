"""A job's states over the real database: every edge, no other, whoever races."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.bench import Bench

from wellhead.domain.errors import ConflictError, FencedError
from wellhead.domain.jobs import FINAL, NEXT, OPEN, JobStatus, SyncJob, move
from wellhead.store import jobs
from wellhead.store.database import connect
from wellhead.worker import endings
from wellhead.worker.run_job import _claim


@dataclass
class JumpyClock:
    """The clocks of several machines: each answer may be earlier than the last."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset  # noqa: TID251  # the real time, shifted


# the services that move a job, as a worker or a person calls them


async def claim(bench: Bench, job_id: UUID) -> SyncJob:
    claimed = await _claim(bench.parts, job_id)
    if claimed is None:
        raise ConflictError("not to be had")
    return claimed.claim.job


async def complete(bench: Bench, held: SyncJob) -> None:
    await endings.complete(bench.parts, held, bench.collection_id)


async def fail(bench: Bench, held: SyncJob) -> None:
    await endings.fail(bench.parts, held, bench.collection_id, error="broken")


async def end_cancel(bench: Bench, held: SyncJob) -> None:
    await endings.cancel(bench.parts, held, bench.collection_id)


async def row(bench: Bench, job_id: UUID) -> dict[str, Any]:
    (found,) = await bench.rows("SELECT * FROM sync_job WHERE id = :i", i=job_id)
    return dict(found._mapping)


async def told(bench: Bench, job_id: UUID) -> list[str]:
    rows = await bench.rows(
        "SELECT event_type FROM event WHERE payload->>'sync_job_id' = :i"
        " AND event_type LIKE 'sync.%' ORDER BY id",
        i=str(job_id),
    )
    return [found[0].removeprefix("sync.") for found in rows]


async def end_somehow(bench: Bench) -> None:
    """Make room for the next job, past all services."""
    await bench.execute(
        "UPDATE sync_job SET status = 'failed', completed_at = now()"
        " WHERE status = ANY(:open)",
        open=[status.value for status in OPEN],
    )


async def job_in(bench: Bench, status: JobStatus) -> tuple[SyncJob, SyncJob]:
    """Bring a new job into a status; returns it, and as a worker would hold it."""
    await end_somehow(bench)
    job = await bench.start()
    match status:
        case JobStatus.PENDING:
            return job, job
        case JobStatus.CANCELLED:
            await bench.cancel(job)
            return await bench.job(job.id), job
        case _:
            pass
    held = await claim(bench, job.id)
    match status:
        case JobStatus.COMPLETED:
            await complete(bench, held)
        case JobStatus.FAILED:
            await fail(bench, held)
        case JobStatus.CANCELLING:
            await bench.cancel(job)
        case _:
            pass
    return await bench.job(job.id), held


MOVES: dict[str, tuple[JobStatus, JobStatus]] = {
    "claim": (JobStatus.PENDING, JobStatus.RUNNING),
    "complete": (JobStatus.RUNNING, JobStatus.COMPLETED),
    "fail": (JobStatus.RUNNING, JobStatus.FAILED),
    "end_cancel": (JobStatus.CANCELLING, JobStatus.CANCELLED),
}


async def attempt(bench: Bench, name: str, held: SyncJob) -> None:
    match name:
        case "claim":
            await claim(bench, held.id)
        case "complete":
            await complete(bench, held)
        case "fail":
            await fail(bench, held)
        case "end_cancel":
            await end_cancel(bench, held)
        case "cancel":
            await bench.cancel(held)
        case _:
            raise ValueError(name)


async def test_every_service_in_every_status_takes_an_edge_or_changes_nothing(
    bench,
) -> None:
    taken: set[tuple[JobStatus, JobStatus]] = set()
    for status in JobStatus:
        for name in [*MOVES, "cancel"]:
            job, held = await job_in(bench, status)
            assert job.status is status
            before = await row(bench, job.id)
            events = await told(bench, job.id)
            try:
                await attempt(bench, name, held)
            except (ConflictError, FencedError):
                assert await row(bench, job.id) == before, (status, name)
                assert await told(bench, job.id) == events
                assert name == "cancel" or MOVES[name][0] is not status
                continue
            now = (await bench.job(job.id)).status
            if now is status:
                assert (status, name) == (JobStatus.CANCELLING, "cancel")
                assert await row(bench, job.id) == before
                continue
            taken.add((status, now))
            assert await told(bench, job.id) == [*events, now.value]

    edges = {(one, other) for one in JobStatus for other in NEXT[one]}
    assert taken == edges - {(JobStatus.PENDING, JobStatus.FAILED)}


async def test_a_job_can_fail_before_it_began_though_no_service_does_that(
    bench,
) -> None:
    job = await bench.start()
    failed = move(job, JobStatus.FAILED, at=bench.parts.clock.now())
    async with bench.parts.db.begin() as connection:
        await jobs.save(connection, failed, was=job)

    now = await bench.job(job.id)
    assert (now.status, now.started_at, now.duration_seconds) == (
        JobStatus.FAILED,
        None,
        None,
    )
    assert now.completed_at is not None
    with pytest.raises(ConflictError):
        await claim(bench, job.id)


async def test_a_job_that_moved_meanwhile_is_not_written(bench) -> None:
    job = await bench.start()
    cancelled = move(job, JobStatus.CANCELLED, at=bench.parts.clock.now())
    held = await claim(bench, job.id)
    before = await row(bench, job.id)

    for was in (job, replace(held, fence=0)):
        async with bench.parts.db.begin() as connection:
            with pytest.raises(ConflictError):
                await jobs.save(connection, cancelled, was=was)
    assert await row(bench, job.id) == before


# random histories

OPERATIONS = [
    *["start", "claim"] * 2,
    "complete",
    "fail",
    "cancel",
    "end_cancel",
    "crash",
    "release",
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.integers(0, 3),  # whose claim: the newest, or one of a worker that slept
        st.sampled_from([-3600, -1, 0, 0, 1, 3600]),  # its clock
    ),
    max_size=14,
)


ENDS = {"complete", "fail", "end_cancel"}
LEASED = {JobStatus.RUNNING, JobStatus.CANCELLING}
ALLOWED: dict[tuple[str, JobStatus | None], JobStatus] = {
    **{("start", status): JobStatus.PENDING for status in [None, *FINAL]},
    **{(name, before): after for name, (before, after) in MOVES.items()},
    ("cancel", JobStatus.PENDING): JobStatus.CANCELLED,
    ("cancel", JobStatus.RUNNING): JobStatus.CANCELLING,
    ("cancel", JobStatus.CANCELLING): JobStatus.CANCELLING,
}


TAKEN_OVER = [("start", 0, 0), ("claim", 0, 0), ("crash", 0, 0), ("claim", 0, 0)]


@dataclass
class Expected:
    """What must be true of the newest job of the connection."""

    job: SyncJob | None = None
    history: list[JobStatus] = field(default_factory=list)
    held: list[SyncJob] = field(default_factory=list)
    is_free: bool = False
    """Nobody holds its lease."""

    @property
    def status(self) -> JobStatus | None:
        return self.history[-1] if self.history else None

    def after(self, name: str, held: SyncJob | None) -> JobStatus | None:
        """Return the status that a step leads to, None if it must be refused."""
        if name in ENDS and (held is None or held.fence != self.held[-1].fence):
            return None
        if name == "claim" and self.is_free and self.status in LEASED:
            return self.status
        return ALLOWED.get((name, self.status))


async def step(bench: Bench, now: Expected, name: str, which: int) -> None:
    held = now.held[-1 - which] if which < len(now.held) else None
    if name == "crash" and now.job is not None and now.status in OPEN:
        await bench.expire_lease(now.job)
        now.is_free = True
        return
    if name == "release" and held is not None:
        is_mine = held.fence == now.held[-1].fence and now.status in OPEN
        async with bench.parts.db.begin() as connection:
            assert await jobs.release(connection, held) is is_mine
        now.is_free = now.is_free or is_mine
        return
    if name in {"crash", "release"} or (name != "start" and now.job is None):
        return
    if name not in {"start", "claim", "cancel"} and held is None:
        return
    await take(bench, now, name, held)


async def take(bench: Bench, now: Expected, name: str, held: SyncJob | None) -> None:
    wanted = now.after(name, held)
    before = None if now.job is None else await row(bench, now.job.id)
    try:
        if name == "start":
            started = await bench.start()
        elif name == "claim":
            assert now.job is not None
            now.held.append(await claim(bench, now.job.id))
            now.is_free = False
        else:
            assert now.job is not None
            await attempt(bench, name, held or now.job)
    except (ConflictError, FencedError):
        assert wanted is None, (name, now.history)
        assert now.job is None or await row(bench, now.job.id) == before
        return
    assert wanted is not None, (name, now.history)
    if name == "start":
        now.job, now.history, now.held, now.is_free = started, [], [], False
    if wanted is not now.status:
        now.history.append(wanted)


async def is_true(bench: Bench, now: Expected) -> None:
    """Everything a reader can see of the job fits its history."""
    if now.job is None:
        return
    job = await bench.job(now.job.id)
    assert job.status is now.status
    assert await told(bench, job.id) == [status.value for status in now.history]
    assert (job.started_at is not None) == (JobStatus.RUNNING in now.history)
    assert (job.completed_at is not None) == (job.status in FINAL)
    moments = [job.created_at, job.started_at, job.completed_at]
    known = [moment for moment in moments if moment is not None]
    assert known == sorted(known), "what came later is never said to be earlier"
    if job.started_at is None or job.status not in FINAL:
        assert job.duration_seconds is None
    else:
        assert job.duration_seconds == (known[-1] - job.started_at).total_seconds()
    assert (job.error is not None) == (job.status is JobStatus.FAILED)
    if job.status in FINAL:
        assert (job.lease_until, job.waiting_until) == (None, None)
    opened = [status.value for status in OPEN]
    count = "SELECT count(*) FROM sync_job WHERE status = ANY(:o)"
    assert await bench.scalar(count, o=opened) == (job.status in OPEN)


async def test_every_history_of_the_services_is_a_path_and_looks_like_one(
    bench,
) -> None:
    clock = JumpyClock()
    bench.parts = replace(bench.parts, clock=clock)
    loop = asyncio.get_running_loop()
    paths: set[tuple[JobStatus, JobStatus]] = set()

    async def live(steps: list[tuple[str, int, int]]) -> None:
        await end_somehow(bench)
        now = Expected()
        for name, which, seconds in steps:
            clock.offset = timedelta(seconds=seconds)
            await step(bench, now, name, which)
            await is_true(bench, now)
            paths.update(zip(now.history, now.history[1:], strict=False))

    @settings(
        max_examples=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    @example([("start", 0, 0), ("cancel", 0, -3600)])
    @example([("start", 0, 0), ("claim", 0, -3600), ("complete", 0, -3600)])
    @example([("start", 0, 0), ("claim", 0, 3600), ("fail", 0, 0)])
    @example([("start", 0, 0), ("claim", 0, 1), ("cancel", 0, 0), ("end_cancel", 0, 0)])
    @example([*TAKEN_OVER, ("complete", 1, 0), ("complete", 0, 0)])
    @example([*TAKEN_OVER, ("fail", 1, 0), ("fail", 0, 0)])
    @example([*TAKEN_OVER, ("cancel", 1, 0), ("end_cancel", 1, 0), ("claim", 0, 0)])
    def check(steps: list[tuple[str, int, int]]) -> None:
        asyncio.run_coroutine_threadsafe(live(steps), loop).result(60)

    await asyncio.to_thread(check)
    edges = {(one, other) for one in JobStatus for other in NEXT[one]}
    assert paths == edges - {(JobStatus.PENDING, JobStatus.FAILED)}


# races from many connections


async def gathered(*wishes: Any) -> list[bool]:
    """Wish all of it at once; tells which were granted."""
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            assert isinstance(answer, ConflictError | FencedError), repr(answer)
    return [not isinstance(answer, BaseException) for answer in answers]


@pytest.fixture
async def crowd(bench, database_url: str) -> AsyncIterator[Callable[[], Bench]]:
    """Several processes as the database sees them: each with a pool of its own."""
    engines = [connect(database_url) for _ in range(4)]
    others = [replace(bench, parts=replace(bench.parts, db=one)) for one in engines]
    yield lambda: random.choice(others)  # noqa: S311
    for engine in engines:
        await engine.dispose()


async def test_of_many_starts_from_many_connections_one_wins(bench, crowd) -> None:
    for _ in range(5):
        granted = await gathered(*(crowd().start() for _ in range(12)))

        assert sum(granted) == 1
        assert (
            await bench.scalar("SELECT count(*) FROM sync_job WHERE status = 'pending'")
            == 1
        )
        await end_somehow(bench)


async def test_of_many_claims_one_wins(bench, crowd) -> None:
    for is_takeover in (False, True, True):
        if not is_takeover:
            job = await bench.start()
        else:
            await bench.expire_lease(job)
        granted = await gathered(*(claim(crowd(), job.id) for _ in range(12)))

        assert sum(granted) == 1
    assert (await bench.job(job.id)).attempt == 3


async def test_of_many_ends_and_cancels_at_once_one_is_true(bench, crowd) -> None:
    ends: set[JobStatus] = set()
    for turn in range(16):
        job, held = await job_in(bench, JobStatus.RUNNING)
        wishes = [complete, complete, fail, fail] if turn % 2 else [complete, fail]
        granted = await gathered(
            *(wish(crowd(), held) for wish in wishes),
            # a cancel is the shortest, so it wins whenever it is there
            *(crowd().cancel(job) for _ in range(turn % 4)),
            claim(crowd(), job.id),
            claim(crowd(), job.id),
        )
        now = await bench.job(job.id)
        ended, cancelled = granted[: len(wishes)], granted[len(wishes) : -2]
        assert granted[-2:] == [False, False], "its worker lives"
        assert sum(ended) == (now.status in FINAL)
        assert any(cancelled) == (now.status is JobStatus.CANCELLING)
        if now.status is JobStatus.CANCELLING:
            assert all(cancelled)
            await gathered(*(end_cancel(crowd(), held) for _ in range(4)))
            now = await bench.job(job.id)
            assert now.status is JobStatus.CANCELLED
        events = await told(bench, job.id)
        assert len(events) == len(set(events)), "each is told once"
        assert events[-1] == now.status.value
        assert now.completed_at is not None
        assert (now.error is not None) == (now.status is JobStatus.FAILED)
        ends.add(now.status)

    assert len(ends) > 1, "no race at all"


async def test_a_waiting_job_is_cancelled_or_claimed_but_never_both(
    bench, crowd
) -> None:
    ends: set[JobStatus] = set()
    for _ in range(12):
        job, _held = await job_in(bench, JobStatus.PENDING)
        wishes = [claim(crowd(), job.id) for _ in range(3)]
        wishes += [crowd().cancel(job) for _ in range(3)]
        random.shuffle(wishes)
        await gathered(*wishes)

        now = await bench.job(job.id)
        ends.add(now.status)
        paths = {
            JobStatus.CANCELLED: ["pending", "cancelled"],
            JobStatus.CANCELLING: ["pending", "running", "cancelling"],
            JobStatus.RUNNING: ["pending", "running"],
        }
        assert await told(bench, job.id) == paths[now.status]
        assert (now.started_at is None) == (now.status is JobStatus.CANCELLED)

    assert JobStatus.RUNNING not in ends, "each was asked to stop"
