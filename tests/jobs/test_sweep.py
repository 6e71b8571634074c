"""When what is missing from a listing is deleted, and when it is held."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from wellhead.domain.entities import Entity
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.domain.jobs import JobMode, JobStatus


def thing(ident: str, content: str = "content") -> Upsert:
    return Upsert(Entity(type="Thing", source_id=ident, name=ident, text=content))


async def entities(bench) -> int:
    return int(await bench.scalar("SELECT count(*) FROM entity"))


async def test_an_incomplete_listing_deletes_nothing(bench) -> None:
    bench.script.world = {"a": "content", "b": "content b"}
    await bench.sync()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield ScopeEnd(complete=False)

    bench.script.items = items
    job = await bench.sync()

    assert (job.status, job.counts.deleted) == (JobStatus.COMPLETED, 0)
    assert job.error_details["incomplete_scopes"][0]["scope"] == ""


async def test_a_part_that_could_not_be_listed_makes_its_scope_incomplete(
    bench,
) -> None:
    bench.script.world = {"a": "content", "b": "content b"}
    await bench.sync()

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield Failure(None, "folder b cannot be read")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()

    assert job.counts.deleted == 0
    assert "folder b" in job.error_details["incomplete_scopes"][0]["reason"]


async def test_scopes_are_swept_one_by_one_and_a_vanished_one_by_its_parent(
    bench,
) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for scope in ("one", "two", "three"):
            yield ScopeStart(scope)
            yield thing(f"{scope}-a")
            yield thing(f"{scope}-b")
            yield ScopeEnd(scope)
        yield ScopeEnd()

    async def second(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield ScopeStart("one")
        yield thing("one-a")
        yield ScopeEnd("one")
        yield ScopeStart("two")
        yield thing("two-a")
        yield ScopeEnd("two", complete=False)
        yield ScopeEnd()

    bench.script.items = first
    await bench.sync()
    bench.script.items = second
    job = await bench.sync()

    assert job.counts.deleted == 3, "one-b, and both of three"
    assert await bench.found("content") == {"one-a", "two-a", "two-b"}


async def test_a_great_delete_waits_for_a_second_listing(bench) -> None:
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(150)}
    await bench.sync()
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(10)}

    held = await bench.sync()

    assert (held.status, held.counts.deleted) == (JobStatus.COMPLETED, 0)
    assert held.error_details["deletes_held"] == 140
    assert await entities(bench) == 150
    # one of them comes back before the second listing
    bench.script.world["149"] = "content 149"
    second = await bench.sync()
    assert second.counts.deleted == 139
    assert second.error_details is None
    assert await entities(bench) == 11


async def test_a_person_may_confirm_a_great_delete(bench) -> None:
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(150)}
    await bench.sync()
    bench.script.world = {}

    held = await bench.sync(confirm_deletes=149)
    confirmed = await bench.sync(confirm_deletes=150)

    assert held.error_details["deletes_held"] == 150
    assert confirmed.counts.deleted == 150
    assert await bench.scalar("SELECT count(*) FROM scope_hold") == 0


async def test_small_collections_delete_at_once(bench) -> None:
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(100)}
    await bench.sync()
    bench.script.world = {}

    assert (await bench.sync()).counts.deleted == 100


async def test_an_incremental_job_deletes_what_the_source_says_and_sweeps_nothing(
    bench,
) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in "abc":
            yield thing(ident)
        yield ScopeEnd()
        yield Checkpoint({"at": 1})

    async def second(_: Any) -> AsyncIterator[Item]:
        yield Delete(Ref("Thing", "b"))
        yield thing("d")
        yield Checkpoint({"at": 2})

    bench.script.info = incremental(bench, yields_deletes=True)
    bench.script.items = first
    await bench.sync()
    bench.script.items = second
    job = await bench.sync()

    assert job.mode is JobMode.INCREMENTAL
    assert (job.counts.inserted, job.counts.deleted) == (1, 1)
    assert await bench.found("content") == {"a", "c", "d"}
    assert await bench.scalar("SELECT cursor->>'at' FROM source_connection") == "2"


def incremental(bench, *, yields_deletes: bool):
    return replace(
        bench.script.info, is_incremental=True, yields_deletes=yields_deletes
    )


async def test_an_incremental_read_is_no_incomplete_listing(bench) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield ScopeEnd()
        yield Checkpoint({"at": 1})

    async def second(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("b")
        yield ScopeEnd(complete=False)
        yield Checkpoint({"at": 2})

    bench.script.info = incremental(bench, yields_deletes=True)
    bench.script.items = first
    await bench.sync()
    bench.script.items = second
    job = await bench.sync()

    assert (job.mode, job.counts.deleted) == (JobMode.INCREMENTAL, 0)
    assert job.error_details is None
    assert await bench.found("content") == {"a", "b"}


async def test_a_daily_id_listing_finds_deletes_and_what_the_cursor_missed(
    bench,
) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in "abc":
            yield thing(ident)
        yield ScopeEnd()
        yield Checkpoint({"at": 1})

    async def nothing(_: Any) -> AsyncIterator[Item]:
        yield Checkpoint({"at": 2})

    async def ids() -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in ("a", "c", "missed"):
            yield Seen(Ref("Thing", ident))
        yield ScopeEnd()

    async def fetched(refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            yield thing(ref.source_id)

    bench.script.info = incremental(bench, yields_deletes=False)
    bench.script.items, bench.script.ids = first, ids
    bench.script.fetched = fetched
    await bench.sync()
    bench.script.items = nothing
    too_early = await bench.sync()
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")

    job = await bench.sync()

    assert (too_early.counts.inserted, too_early.counts.deleted) == (0, 0)
    assert job.mode is JobMode.INCREMENTAL
    assert (job.counts.inserted, job.counts.deleted) == (1, 1)
    assert await bench.found("content") == {"a", "c", "missed"}


async def test_a_daily_listing_may_show_changes_that_the_cursor_missed(bench) -> None:
    async def first(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in "abc":
            yield thing(ident)
        yield ScopeEnd()
        yield Checkpoint({"at": 1})

    async def nothing(_: Any) -> AsyncIterator[Item]:
        yield Checkpoint({"at": 2})

    async def ids() -> AsyncIterator[Item]:
        yield ScopeStart()
        yield thing("a")
        yield thing("b", "content of b, said anew")
        yield thing("missed")
        yield ScopeEnd()

    bench.script.info = incremental(bench, yields_deletes=False)
    bench.script.items, bench.script.ids = first, ids
    await bench.sync()
    bench.script.items = nothing
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")

    job = await bench.sync()

    counts = job.counts
    assert job.mode is JobMode.INCREMENTAL
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 1)
    assert await bench.found("anew") == {"b"}
    assert await bench.found("content") == {"a", "b", "missed"}


async def test_a_checkpoint_of_a_source_without_cursor_is_no_cursor(bench) -> None:
    bench.script.items = bench.script.numbered
    bench.script.world = {"a": "content a", "b": "content b"}
    await bench.sync()
    bench.script.world = {"a": "content changed"}

    job = await bench.sync()

    assert job.mode is JobMode.FULL
    assert (job.counts.updated, job.counts.deleted) == (1, 1)
