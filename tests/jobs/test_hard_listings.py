"""Listings that are broken, moved, resumed or restarted: nothing living is deleted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import CursorInvalidError, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.sync import intake
from wellhead.worker import endings
from wellhead.worker.run_job import run_job


def thing(ident: str, content: str = "content") -> Upsert:
    return Upsert(
        Entity(
            type="Thing", source_id=ident, name=ident, text=content, source_version="1"
        )
    )


@pytest.fixture
def quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a source has given is committed soon, although it stands still."""
    monkeypatch.setattr(intake, "PAGE_SECONDS", 0.2)


def incremental(bench, *, yields_deletes: bool):
    return replace(
        bench.script.info, is_incremental=True, yields_deletes=yields_deletes
    )


async def two_scopes(a: str, b: str, *, is_b_whole: bool = True) -> AsyncIterator[Item]:
    """List scopes a and b, an entity for each letter."""
    yield ScopeStart()
    yield ScopeStart("a")
    for ident in a:
        yield thing(ident)
    yield ScopeEnd("a")
    yield ScopeStart("b")
    for ident in b:
        yield thing(ident)
    yield ScopeEnd("b", complete=is_b_whole)
    yield ScopeEnd()


async def listed(idents: str, at: int) -> AsyncIterator[Item]:
    yield ScopeStart()
    for ident in idents:
        yield thing(ident)
    yield ScopeEnd()
    yield Checkpoint({"at": at})


async def seen(idents: Sequence[str]) -> AsyncIterator[Item]:
    yield ScopeStart()
    for ident in idents:
        yield Seen(Ref("Thing", ident))
    yield ScopeEnd()


async def test_an_unchanged_entity_belongs_to_the_scope_it_was_last_listed_in(
    bench,
) -> None:
    bench.script.items = lambda _: two_scopes("x", "")
    await bench.sync()
    bench.script.items = lambda _: two_scopes("", "x")
    moved = await bench.sync()
    bench.script.items = lambda _: two_scopes("", "", is_b_whole=False)
    job = await bench.sync()

    assert (moved.counts.kept, moved.counts.deleted) == (1, 0)
    assert job.status is JobStatus.COMPLETED
    assert job.counts.deleted == 0, "b was not listed whole"


def broken_before_the_checkpoint(*, is_busy: bool):
    """A listing that cannot list a part, then stops after a checkpoint."""

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        if cursor is None:
            yield thing("a")
            yield Failure(None, "folder b cannot be read")
            yield Checkpoint({"after": "b"})
            if is_busy:
                raise RetryableError("busy", after=0.01)
            await asyncio.Event().wait()
        yield thing("c")
        yield ScopeEnd()

    return items


async def test_a_read_that_is_tried_again_remembers_what_it_could_not_list(
    bench,
) -> None:
    bench.script.world = {"a": "content", "b": "content b", "c": "content c"}
    await bench.sync()
    bench.script.items = broken_before_the_checkpoint(is_busy=True)
    job = await bench.sync()

    assert bench.script.cursors[1:] == [None, {"after": "b"}]
    assert (job.status, job.counts.deleted) == (JobStatus.COMPLETED, 0)
    assert "folder b" in job.error_details["incomplete_scopes"][0]["reason"]


@pytest.mark.usefixtures("quick_pages")
async def test_a_resumed_job_remembers_what_its_predecessor_could_not_list(
    bench,
) -> None:
    bench.script.world = {"a": "content", "b": "content b", "c": "content c"}
    await bench.sync()
    bench.script.items = broken_before_the_checkpoint(is_busy=False)
    job = await bench.start()
    task = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.checkpoint is not None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    job = await bench.run(job)

    assert bench.script.cursors[1:] == [None, {"after": "b"}]
    assert (job.status, job.counts.deleted) == (JobStatus.COMPLETED, 0)
    assert "folder b" in job.error_details["incomplete_scopes"][0]["reason"]


async def test_what_could_not_be_listed_is_remembered_over_two_resumptions(
    bench,
) -> None:
    bench.script.world = {"a": "content", "b": "content b", "c": "content c"}
    await bench.sync()
    deaths = [asyncio.Event(), asyncio.Event()]

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        at = 0 if cursor is None else int(cursor["at"])
        yield ScopeStart()
        if at == 0:
            yield Failure(None, "folder b is not readable")
        if at < 2:
            yield Checkpoint({"at": at + 1})
            await deaths[at].wait()
        yield thing("c", "content c")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    for at in range(2):
        task = asyncio.create_task(run_job(bench.desk, job.id))
        await bench.until(job, lambda now, at=at: now.checkpoint == {"at": at + 1})
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    job = await bench.run(job)

    assert (job.status, job.counts.deleted) == (JobStatus.COMPLETED, 0)
    assert "folder b" in job.error_details["incomplete_scopes"][0]["reason"]


async def test_a_hold_is_not_confirmed_by_its_own_resumed_job(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(150)}
    await bench.sync()
    bench.script.world = {"000": "content 0"}

    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    job = await bench.start()
    with monkeypatch.context() as patch:
        patch.setattr(endings, "complete", die)
        with pytest.raises(asyncio.CancelledError):
            await run_job(bench.desk, job.id)
    job = await bench.run(job)

    assert job.status is JobStatus.COMPLETED
    assert len(bench.script.cursors) == 3, "the second job ran twice"
    assert job.counts.deleted == 0, "one listing, resumed by another worker"
    assert job.error_details["deletes_held"] == 149


async def test_no_more_is_deleted_than_was_confirmed_over_all_scopes(bench) -> None:
    sizes = {"one": 150, "two": 140}

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for scope, size in sizes.items():
            yield ScopeStart(scope)
            for n in range(size):
                yield thing(f"{scope}-{n}")
            yield ScopeEnd(scope)
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    sizes["one"] = 0
    held = await bench.sync()
    sizes["two"] = 0  # an outage
    job = await bench.sync(confirm_deletes=150)

    assert held.error_details["deletes_held"] == 150
    assert job.counts.deleted <= 150
    assert job.error_details["held_scopes"] == {"two": 140}


async def nested(_: Any) -> AsyncIterator[Item]:
    yield ScopeStart()
    yield ScopeStart("p")
    yield ScopeStart("p/x")
    yield thing("a")
    yield thing("b")
    yield ScopeEnd("p/x")
    yield ScopeEnd("p")
    yield ScopeEnd()
    yield Checkpoint({"at": 1})


@pytest.mark.usefixtures("quick_pages")
async def test_a_restart_as_full_forgets_the_scopes_of_the_refused_cursor(
    bench,
) -> None:
    bench.script.info = incremental(bench, yields_deletes=True)
    bench.script.items = nested
    await bench.sync()
    job = await bench.start()

    async def second(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if cursor is not None:
            yield ScopeStart("p/x")
            yield thing("new")
            yield ScopeEnd("p/x")
            await bench.until(job, lambda now: now.counts.inserted == 1)
            raise CursorInvalidError("410")
        yield ScopeStart()
        yield ScopeStart("p")
        yield Failure(None, "p cannot be listed")
        yield ScopeEnd("p")
        yield ScopeEnd()

    bench.script.items = second
    job = await bench.run(job)

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.FULL)
    assert bench.script.cursors[1:] == [{"at": 1}, None]
    assert job.counts.deleted == 0, "p was never listed whole"


async def test_a_failed_entity_that_vanished_does_not_make_every_job_a_full_one(
    bench,
) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield Failure(Ref("Thing", "b"), "busy")
        yield ScopeEnd()
        yield Checkpoint({"at": 1})

    bench.script.info = incremental(bench, yields_deletes=True)
    bench.script.items = first
    await bench.sync()
    bench.script.items = lambda _: listed("a", 2)
    await bench.execute("UPDATE failure SET next_retry_at = now()")
    modes = [(await bench.sync()).mode for _ in range(3)]

    assert modes == [JobMode.FULL, JobMode.INCREMENTAL, JobMode.INCREMENTAL]


@pytest.mark.parametrize("lists_ids", [False, True])
async def test_what_an_incremental_read_could_not_list_is_listed_by_the_next_job(
    bench, lists_ids
) -> None:
    async def with_a_gap(_: Any) -> AsyncIterator[Item]:
        yield Failure(None, "a page of changes is missing")
        yield Checkpoint({"at": 2})

    bench.script.info = incremental(bench, yields_deletes=not lists_ids)
    bench.script.items = lambda _: listed("a", 1)
    bench.script.ids = (lambda: seen("a")) if lists_ids else None
    await bench.sync()
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")
    bench.script.items = with_a_gap
    gap = await bench.sync()
    bench.script.items = lambda _: listed("ab", 3)
    jobs = [await bench.sync() for _ in range(2)]

    assert (gap.status, gap.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert [job.mode for job in jobs] == [JobMode.FULL, JobMode.INCREMENTAL]
    assert jobs[0].counts.inserted == 1


async def test_scopes_in_an_incremental_read_do_not_put_off_the_id_listing(
    bench,
) -> None:
    bench.script.info = incremental(bench, yields_deletes=False)
    bench.script.items = lambda _: listed("a", 1)
    bench.script.ids = lambda: seen("a")
    await bench.sync()
    await bench.execute(
        "UPDATE source_connection SET reconciled_at = now() - interval '23 hours'"
    )
    before = await bench.scalar("SELECT reconciled_at FROM source_connection")
    job = await bench.sync()
    after = await bench.scalar("SELECT reconciled_at FROM source_connection")

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert after == before


async def test_missed_entities_that_cannot_be_fetched_are_not_forgotten(bench) -> None:
    async def nothing(_: Any) -> AsyncIterator[Item]:
        yield Checkpoint({"at": 2})

    async def busy(refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            if ref.source_id == "missed":
                raise RetryableError("busy")
            yield thing(ref.source_id)

    bench.script.info = incremental(bench, yields_deletes=False)
    bench.script.items, bench.script.fetched = (lambda _: listed("a", 1)), busy
    bench.script.ids = lambda: seen(["a", "missed"])
    await bench.sync()
    bench.script.items = nothing
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")
    job = await bench.sync()
    bench.script.items = lambda _: listed("am", 3)
    later = await bench.sync()

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert (later.mode, later.counts.inserted) == (JobMode.FULL, 1)


async def test_what_is_read_and_also_seen_is_still_read(bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a", "content")
        yield Seen(Ref("Thing", "a"))
        yield ScopeEnd()

    bench.script.items = items

    done = await bench.sync()

    assert (done.status, done.counts.inserted) == (JobStatus.COMPLETED, 1)
    assert await bench.found("content") == {"a"}
