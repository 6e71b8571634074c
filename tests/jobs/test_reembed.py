"""A change of the embedder: nothing is lost, doubled or unsearchable on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.bench import Bench, thing
from tests.scripted_embedder import DIMENSION, embedding

from wellhead.domain.embedding import IndexTable
from wellhead.domain.entities import Access
from wellhead.domain.errors import EmbedderError, UnavailableError
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.domain.ports import Embedder, Scope
from wellhead.domain.principals import Principal
from wellhead.domain.search import InstantQuery, Strategy
from wellhead.embed.names import RemoteModel
from wellhead.embed.null import NullEmbedder
from wellhead.embed.remote import Access as ServerAccess
from wellhead.embed.remote import RemoteEmbedder
from wellhead.search.instant import search
from wellhead.store import index_tables, reembeddings
from wellhead.worker import reembed as module
from wellhead.worker.boot import want_embedder
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.maintain import drop_retired, flush_garbage
from wellhead.worker.reembed import reembed
from wellhead.worker.run_job import run_job
from wellhead.worker.scrub import scrub

OLD, NEW = 384, 96
LONG = "content\n\n" + "\n\n".join(f"paragraph {n}. " * 40 for n in range(20))
"""An entity of many chunks, one of which `world` shows."""
Stop = Callable[..., Awaitable[Any]]


def use(bench: Bench, embedder: Embedder, *formers: Embedder) -> None:
    """Start again with another embedder, as far as this process goes."""

    def former(name: str, dimension: int) -> Embedder | None:
        found = [
            one for one in formers if (one.name, one.dimension) == (name, dimension)
        ]
        return found[0] if found else None

    bench.parts = replace(bench.parts, embedder=embedder, former=former)
    bench.desk = replace(bench.desk, parts=bench.parts)


async def change(bench: Bench, dimension: int = NEW) -> None:
    use(bench, NullEmbedder(dimension), NullEmbedder(OLD), NullEmbedder(NEW))
    await want_embedder(bench.parts)


async def live(bench: Bench) -> IndexTable:
    found = await index_tables.live(bench.parts.reads, bench.collection_id)
    assert found is not None
    return found


async def nearest(bench: Bench, query: str) -> str:
    """Return what is nearest by meaning: equal texts have equal vectors."""
    asked = InstantQuery(
        collection_id=bench.collection_id, query=query, strategy=Strategy.SEMANTIC
    )
    parts = bench.parts
    found = await search(parts.reads, parts.index, parts.embedders, asked)
    assert found[0].relevance_score == pytest.approx(1, abs=1e-3)
    return found[0].original_entity_id


def titled(ident: str, said: str) -> str:
    return f"Thing {ident}\n\n{said}"


async def is_whole(bench: Bench) -> None:
    """The index holds what the ledger calls live, each once, and nothing else."""
    report = await scrub(bench.parts, repair=False)
    assert report.findings == ()


def worldly(count: int, said: str = "content") -> dict[str, str]:
    return {f"{n:03}": f"{said} number {n}" for n in range(count)}


async def test_another_dimension_is_searched_after_the_swap(bench: Bench) -> None:
    bench.script.world = worldly(30)
    bench.script.world["long"] = LONG
    await bench.sync()
    before, was = await bench.world(), await live(bench)
    cursors = len(bench.script.cursors)

    await change(bench)
    assert await nearest(bench, titled("007", "content number 7")) == "007", "before"
    await reembed(bench.parts)

    now = await live(bench)
    assert (now.model, now.dimension) == ("null", NEW)
    assert now.id != was.id
    assert await bench.world() == before
    assert await nearest(bench, titled("007", "content number 7")) == "007"
    assert len(bench.script.cursors) == cursors, "no source was read"
    await is_whole(bench)
    assert await reembeddings.under_way(bench.parts.reads) == []
    assert (await bench.sync()).counts.kept == 31
    bench.script.world["new"] = "content that is new"
    assert (await bench.sync()).counts.inserted == 1
    assert await nearest(bench, titled("new", "content that is new")) == "new"


async def test_an_empty_collection_is_swapped_at_once(bench: Bench) -> None:
    await change(bench)

    await reembed(bench.parts)

    assert (await live(bench)).dimension == NEW
    bench.script.world = worldly(3)
    assert (await bench.sync()).counts.inserted == 3
    assert await bench.found("content") == {"000", "001", "002"}


async def test_the_old_table_goes_when_nobody_reads_it_any_more(bench: Bench) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    was = await live(bench)
    await change(bench)
    await reembed(bench.parts)

    await drop_retired(bench.parts)
    assert was.id in await bench.parts.index.tables(), "its grace is not over"
    for _ in range(2):  # a writer that slept may have made it anew
        await bench.execute("UPDATE retired_table SET not_before = now()")
        await drop_retired(bench.parts)
        assert await bench.parts.index.tables() == [(await live(bench)).id]

    assert await bench.scalar("SELECT count(*) FROM retired_table") == 0
    assert await bench.found("content") == {"000", "001", "002"}


async def test_a_search_under_way_goes_on_in_the_old_table(bench: Bench) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    await change(bench)
    index, opened, go_on = bench.parts.index, asyncio.Event(), asyncio.Event()

    class Waiting:
        async def reader(self, table_id: UUID) -> Any:
            opened.set()
            await go_on.wait()
            return await index.reader(table_id)

    waiting = replace(bench, parts=replace(bench.parts, index=Waiting()))  # type: ignore[arg-type]
    found = asyncio.create_task(waiting.found("content"))
    await opened.wait()
    await reembed(bench.parts)
    go_on.set()

    assert await found == {"000", "001", "002"}


async def test_a_question_is_embedded_again_when_tables_were_swapped(
    bench: Bench,
) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    await change(bench)
    asked: list[int] = []

    class Swapping(NullEmbedder):
        async def embed_query(self, text: str) -> memoryview:
            asked.append(self.dimension)
            if self.dimension == OLD:
                await reembed(replace(bench.parts, embedder=NullEmbedder(NEW)))
            return await super().embed_query(text)

    use(bench, Swapping(NEW), Swapping(OLD))

    assert await nearest(bench, titled("002", "content number 2")) == "002"
    assert asked == [OLD, NEW]


async def test_who_may_see_an_entity_is_in_the_new_table_too(bench: Bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        for name, viewers in (
            ("hers", ("user:ann@x.org",)),
            ("his", ("user:bob@x.org",)),
        ):
            access = Access(viewers=viewers, is_public=False)
            yield Upsert(replace(thing(name, f"content of {name}"), access=access))
        yield Upsert(replace(thing("all", "content"), access=Access(is_public=True)))

    bench.script.items = items
    await bench.sync()
    await change(bench)
    await reembed(bench.parts)

    asked = InstantQuery(
        collection_id=bench.collection_id,
        query="content",
        principal=Principal(names=("user:ann@x.org",)),
    )
    parts = bench.parts
    found = await search(parts.reads, parts.index, parts.embedders, asked)
    assert {one.original_entity_id for one in found} == {"hers", "all"}
    table = await live(bench)
    reader = await parts.index.reader(table.id)
    hits = await reader.keyword("content", 9, Scope(principal=asked.principal))
    assert len(hits) == 2, "the index knows it, not the ledger alone"


class Killed(BaseException):
    """As kill -9: nothing after it happens."""


def places(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Callable[[], None]]:
    """Return what kills a worker at each step of a change, each once."""

    def at(owner: Any, name: str, *, after: bool, times: int = 1) -> None:
        real, left = getattr(owner, name), [times]

        async def dying(*given: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            result = await real(*given, **more)
            if left[0] == 0 and after:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, dying)

    index = bench.parts.index
    return {
        "before begin": lambda: at(reembeddings, "begin", after=False),
        "in begin": lambda: at(reembeddings, "begin", after=True),
        "begun": lambda: at(reembeddings, "under_way", after=False),
        "before append": lambda: at(index, "append", after=False, times=2),
        "after append": lambda: at(index, "append", after=True, times=2),
        "a piece of a large one": lambda: at(index, "append", after=True, times=7),
        "before closing": lambda: at(reembeddings, "close_door", after=False),
        "in closing": lambda: at(reembeddings, "close_door", after=True),
        "closed": lambda: at(reembeddings, "swap", after=False),
        "in the swap": lambda: at(reembeddings, "swap", after=True),
        "at maintenance": lambda: at(index, "maintain", after=False),
    }


PLACES = (
    *("before begin", "in begin", "begun", "before append", "after append"),
    *("a piece of a large one", "before closing", "in closing", "closed"),
    *("in the swap", "at maintenance"),
)


@pytest.mark.parametrize("place", PLACES)
async def test_killed_anywhere_it_goes_on_and_nothing_is_lost_or_doubled(
    bench: Bench, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_CHUNKS", 8)
    bench.script.world = worldly(40)
    bench.script.world["long"] = LONG
    await bench.sync()
    before = await bench.world()
    await change(bench)

    with monkeypatch.context() as dying:
        places(bench, dying)[place]()
        with pytest.raises(Killed):
            await reembed(bench.parts)
    assert await bench.world() == before, "search is up after the crash"
    bench.script.world["late"] = "content that came late"
    job = await bench.start()
    await reembed(bench.parts)
    done = await bench.run(job)

    assert done.status is JobStatus.COMPLETED
    assert (await live(bench)).dimension == NEW
    assert await bench.world() == before | {"late": "content that came late"}
    await is_whole(bench)


async def test_what_jobs_write_meanwhile_is_in_the_new_table(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_CHUNKS", 4)
    bench.script.world = worldly(20)
    await bench.sync()
    await change(bench)
    append, jobs_run = bench.parts.index.append, 0

    async def and_a_job(table_id: UUID, dimension: int, chunks: Any) -> None:
        nonlocal jobs_run
        await append(table_id, dimension, chunks)
        if dimension == NEW and jobs_run < 3:
            jobs_run += 1
            bench.script.world[f"{jobs_run:03}"] = f"content changed {jobs_run}"
            bench.script.world[f"new {jobs_run}"] = f"content new {jobs_run}"
            del bench.script.world[f"{10 + jobs_run:03}"]
            done = await bench.sync()
            assert done.status is JobStatus.COMPLETED
            await bench.ripen_garbage()

    monkeypatch.setattr(bench.parts.index, "append", and_a_job)
    flushing = asyncio.create_task(_flush_always(bench))
    await reembed(bench.parts)
    flushing.cancel()

    assert jobs_run == 3
    assert (await live(bench)).dimension == NEW
    assert await bench.world() == bench.script.world
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    await is_whole(bench)
    live_versions = {
        row.version for row in await bench.rows("SELECT version FROM entity")
    }
    table = (await live(bench)).id
    stored = {v async for v, _ in bench.parts.index.versions(table)}
    assert stored == live_versions, "no garbage came along"


async def test_garbage_that_is_flushed_before_the_swap_leaves_both_tables(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = worldly(5)
    await bench.sync()
    await change(bench)
    close_door, swap = reembeddings.close_door, reembeddings.swap

    async def delete_then_close(*given: Any) -> bool:
        del bench.script.world["003"]  # it has been copied by now
        assert (await bench.sync()).counts.deleted == 1
        return await close_door(*given)

    async def flush_then_swap(*given: Any) -> bool:
        await bench.ripen_garbage()
        assert await flush_garbage(bench.parts) == 1
        return await swap(*given)

    monkeypatch.setattr(reembeddings, "close_door", delete_then_close)
    monkeypatch.setattr(reembeddings, "swap", flush_then_swap)
    await reembed(bench.parts)

    assert await bench.world() == bench.script.world
    await is_whole(bench)


async def _flush_always(bench: Bench) -> None:
    while True:
        await flush_garbage(bench.parts)
        await asyncio.sleep(0.01)


class Halting:
    """A source that stands still behind its checkpoint, the first time it is read."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def items(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        for n in range(10):
            yield Upsert(thing(f"{n:03}", f"content number {n}"))
        yield Checkpoint({"done": 10})
        if cursor is None:
            await self.go_on.wait()
        yield Upsert(thing("last", "content at last"))
        yield ScopeEnd()


async def test_a_job_under_way_goes_on_after_the_swap_and_is_charged_nothing(
    bench: Bench,
) -> None:
    bench.script.world = worldly(5)
    await bench.sync()
    await change(bench)
    halting = Halting()
    bench.script.items = halting.items
    job = await bench.start(force_full=True)
    running = asyncio.create_task(run_job(bench.desk, job.id))
    await bench.until(job, lambda now: now.counts.inserted == 5)
    await reembed(bench.parts)
    assert (await live(bench)).dimension == NEW
    halting.go_on.set()
    await running
    left = await bench.job(job.id)
    assert left.status is JobStatus.RUNNING, "its fence has moved on"

    done = await bench.run(job)

    assert done.status is JobStatus.COMPLETED
    assert (done.attempt, done.counts.inserted) == (left.attempt, 6)
    assert bench.script.cursors[-1] == {"done": 10}, "it went on from its checkpoint"
    assert await bench.found("content") == {*(f"{n:03}" for n in range(10)), "last"}
    assert await nearest(bench, titled("last", "content at last")) == "last"
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    await is_whole(bench)


async def test_a_batch_between_append_and_commit_is_written_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = worldly(5)
    await bench.sync()
    await change(bench)
    append = bench.parts.index.append
    appended, go_on = asyncio.Event(), asyncio.Event()

    async def then_wait(table_id: UUID, dimension: int, chunks: Any) -> None:
        await append(table_id, dimension, chunks)
        if dimension == OLD:
            appended.set()
            await go_on.wait()

    monkeypatch.setattr(bench.parts.index, "append", then_wait)
    bench.script.world["late"] = "content that came late"
    job = await bench.start()
    running = asyncio.create_task(run_job(bench.desk, job.id))
    await appended.wait()
    await reembed(bench.parts)
    go_on.set()
    await running

    assert "late" not in await bench.world(), "its writer was fenced off"
    assert (await bench.run(job)).status is JobStatus.COMPLETED
    assert await bench.world() == bench.script.world
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    await is_whole(bench)


async def test_no_job_begins_while_the_door_is_closed(bench: Bench) -> None:
    bench.script.world = worldly(3)
    await change(bench)
    job = await bench.start()
    seen: list[SyncJob] = []
    swap = reembeddings.swap

    async def asked_meanwhile(*given: Any) -> bool:
        await run_job(bench.desk, job.id)
        seen.append(await bench.job(job.id))
        return await swap(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reembeddings, "swap", asked_meanwhile)
        await reembed(bench.parts)

    assert [one.status for one in seen] == [JobStatus.PENDING]
    assert (await bench.run(job)).counts.inserted == 3
    assert await bench.world() == bench.script.world


async def test_without_the_old_embedder_words_are_searched_and_jobs_wait(
    bench: Bench,
) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    use(bench, NullEmbedder(NEW))
    await want_embedder(bench.parts)
    parts, told = bench.parts, list[str]()

    async def ask(strategy: Strategy) -> set[str]:
        asked = InstantQuery(
            collection_id=bench.collection_id, query="content", strategy=strategy
        )
        found = await search(
            parts.reads, parts.index, parts.embedders, asked, fell_back=told.append
        )
        return {one.original_entity_id for one in found}

    everything = {"000", "001", "002"}
    assert await ask(Strategy.KEYWORD) == everything
    assert told == []
    assert await ask(Strategy.HYBRID) == everything
    assert "of null, which is out of reach" in told[0]
    with pytest.raises(UnavailableError, match="made anew with null"):
        await ask(Strategy.SEMANTIC)
    bench.script.world["late"] = "content that came late"
    job = await bench.start()
    assert (await bench.run(job)).status is JobStatus.PENDING
    await reembed(parts)

    assert (await bench.run(job)).counts.inserted == 1
    assert await ask(Strategy.SEMANTIC) == everything | {"late"}


async def test_a_former_embedder_that_stays_away_fails_no_job(bench: Bench) -> None:
    class Away(NullEmbedder):
        async def embed(self, texts: Any) -> memoryview:
            raise EmbedderError("it refuses the key")

    use(bench, NullEmbedder(NEW), Away(OLD))
    await want_embedder(bench.parts)
    bench.script.world = worldly(3)
    job = await bench.start()

    assert (await bench.run(job)).status is JobStatus.RUNNING
    await reembed(bench.parts)
    done = await bench.run(job)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)
    assert await bench.world() == bench.script.world


async def test_trouble_with_the_new_embedder_is_told_and_jobs_go_on(
    bench: Bench,
) -> None:
    class Away(NullEmbedder):
        async def embed(self, texts: Any) -> memoryview:
            raise EmbedderError("it refuses the key")

    bench.script.world = worldly(3)
    await bench.sync()
    use(bench, Away(NEW), NullEmbedder(OLD))
    await want_embedder(bench.parts)

    await reembed(bench.parts)

    [found] = await reembeddings.under_way(bench.parts.reads)
    assert (found.error, found.chunks, found.copied) == ("it refuses the key", 3, 0)
    bench.script.world["late"] = "content that came late"
    assert (await bench.sync()).counts.inserted == 1
    await change(bench)
    await reembed(bench.parts)
    assert await bench.world() == bench.script.world
    await is_whole(bench)


async def test_back_again_half_way_the_new_table_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    was = await live(bench)
    await change(bench)
    with monkeypatch.context() as dying:
        places(bench, dying)["closed"]()
        with pytest.raises(Killed):
            await reembed(bench.parts)

    await change(bench, OLD)
    await reembed(bench.parts)

    assert await live(bench) == was
    assert (await bench.sync()).counts.kept == 3
    await bench.execute("UPDATE retired_table SET not_before = now()")
    await drop_retired(bench.parts)
    assert await bench.parts.index.tables() == [was.id]


async def test_a_worker_with_an_older_embedder_changes_nothing(bench: Bench) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    await change(bench)
    await change(bench, OLD)  # was started last
    use(bench, NullEmbedder(NEW), NullEmbedder(OLD))

    await reembed(bench.parts)

    assert (await live(bench)).dimension == OLD
    assert await reembeddings.under_way(bench.parts.reads) == []


async def test_two_workers_copy_each_chunk_once(bench: Bench) -> None:
    bench.script.world = worldly(30)
    await bench.sync()
    await change(bench)
    embedded: list[str] = []

    class Counting(NullEmbedder):
        async def embed(self, texts: Any) -> memoryview:
            embedded.extend(texts)
            await asyncio.sleep(0.05)
            return await super().embed(texts)

    use(bench, Counting(NEW), NullEmbedder(OLD))

    await asyncio.gather(reembed(bench.parts), reembed(bench.parts))

    assert (await live(bench)).dimension == NEW
    assert len(embedded) == len(set(embedded)) == 30


async def test_what_the_old_table_had_lost_comes_with_the_next_job(
    bench: Bench,
) -> None:
    bench.script.world = worldly(5)
    await bench.sync()
    version = await bench.scalar("SELECT version FROM entity WHERE source_id = '003'")
    await bench.parts.index.delete_versions(bench.collection_id, [version])
    await change(bench)

    await reembed(bench.parts)

    assert (await live(bench)).dimension == NEW
    assert await bench.found("content") == {"000", "001", "002", "004"}
    await bench.sync()
    assert await bench.world() == bench.script.world


async def test_what_was_erased_is_expunged_anew_from_the_new_table(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    await change(bench)
    with monkeypatch.context() as dying:
        places(bench, dying)["begun"]()
        with pytest.raises(Killed):
            await reembed(bench.parts)
    await bench.execute(
        "INSERT INTO expunge (version, collection_id, clean_state, rewritten_at)"
        " SELECT 1, id, 1000000, now() - interval '1 hour' FROM collection"
    )

    assert await expunge_erased(bench.parts) == 0, "the next table may hold it"
    await reembed(bench.parts)

    assert await bench.scalar("SELECT clean_state FROM expunge") is None
    await expunge_erased(bench.parts)
    assert await bench.scalar("SELECT clean_state FROM expunge") is not None


async def test_a_passage_that_the_new_embedder_refuses_is_found_by_its_words(
    bench: Bench,
) -> None:
    async with embedding(refused="poison") as server:
        to = RemoteEmbedder(
            RemoteModel("openai", "m", DIMENSION), ServerAccess(url=server.url)
        )
        bench.script.world = worldly(5) | {"bad": "content that is poison"}
        await bench.sync()
        use(bench, to, NullEmbedder(OLD))
        await want_embedder(bench.parts)
        await reembed(bench.parts)

        assert (await live(bench)).model == "openai:m"
        assert await bench.world() == bench.script.world
        assert await nearest(bench, titled("003", "content number 3")) == "003"
        await is_whole(bench)
        await to.close()


async def test_it_leaves_room_on_the_disk_and_says_so(bench: Bench) -> None:
    bench.script.world = worldly(3)
    await bench.sync()
    await change(bench)
    limits = replace(bench.parts.limits, data_dir=Path("/"), min_free_bytes=2**62)
    small = replace(bench.parts, limits=limits)

    await reembed(small)

    [found] = await reembeddings.under_way(bench.parts.reads)
    assert "disk full" in str(found.error)
    assert await bench.world() == bench.script.world
    await reembed(bench.parts)
    assert (await live(bench)).dimension == NEW


async def test_a_table_that_is_filled_is_looked_after(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_CHUNKS", 1)
    monkeypatch.setattr(module, "APPENDS", 4)
    bench.script.world = worldly(9)
    await bench.sync()
    await change(bench)
    maintain, times = bench.parts.index.maintain, 0

    async def counted(table_id: UUID) -> None:
        nonlocal times
        times += 1
        await maintain(table_id)

    monkeypatch.setattr(bench.parts.index, "maintain", counted)
    await reembed(bench.parts)

    assert times == 2 + 1
    assert await bench.world() == bench.script.world
