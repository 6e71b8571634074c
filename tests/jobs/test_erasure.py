"""Erasing one entity: gone from search at once, from disk soon, and it stays away."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.bench import thing

from wellhead.domain.entities import entity_key
from wellhead.domain.errors import ConflictError, EntityError, NotFoundError
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
from wellhead.domain.ports import Scope
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_upkeep import Upkeep
from wellhead.services import erasure
from wellhead.services.erasure import Which
from wellhead.sources.base import SourceInfo
from wellhead.store.tombstones import Erasable
from wellhead.sync import commit
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.maintain import flush_garbage

TOKEN = "zqxjkvwyrtheron"  # noqa: S105  # a word to look for
SECRET = f"content {TOKEN}"
EVERYTHING = Scope()
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def brief(bench, tmp_path: Path) -> AsyncIterator[Any]:
    """The bench, with an index whose readers are done after a moment."""
    upkeep = Upkeep(keep=timedelta(milliseconds=1), quiet=timedelta(0))
    index = await LanceIndex.open(tmp_path / "index", upkeep=upkeep)
    parts = replace(bench.parts, index=index)
    bench.parts, bench.desk = parts, replace(bench.desk, parts=parts)
    yield bench
    await index.close()


async def erase(bench, ident: str, **options: Any) -> erasure.Erased:
    which = Which(entity_id=ident)
    return await erasure.erase_entity(
        bench.parts, bench.organization_id, "test", which, **options
    )


async def allow(bench, ident: str) -> Erasable:
    which = Which(entity_id=ident)
    return await erasure.allow_entity(bench.parts, bench.organization_id, "test", which)


def files_with(root: Path, *words: str) -> list[str]:
    return [
        str(file.relative_to(root))
        for file in sorted(root.rglob("*"))
        if file.is_file() and any(word.encode() in file.read_bytes() for word in words)
    ]


def index_folders(root: Path) -> set[str]:
    return {one.name for one in root.glob("*.lance/_indices/*")}


async def upkeep(bench) -> None:
    """What a worker does within a quarter of an hour."""
    for _ in range(2):
        await bench.ripen_garbage()
        await flush_garbage(bench.parts)
        await expunge_erased(bench.parts)
        await bench.execute(
            "UPDATE expunge SET rewritten_at = rewritten_at - :m", m=MINUTE
        )
        await asyncio.sleep(0.01)
        await expunge_erased(bench.parts)


async def test_an_erased_entity_is_gone_at_once_and_stays_away(bench) -> None:
    bench.script.world = {"a": SECRET, "b": "content b"}
    await bench.sync()

    done = await erase(bench, "a")

    assert (done.was_stored, done.may_return) == (True, False)
    assert await bench.found("content") == {"b"}
    bench.script.world["a"] = f"{SECRET} changed"
    job = await bench.sync(force_full=True)
    assert (job.counts.inserted, job.counts.failed, job.counts.kept) == (0, 0, 1)
    assert job.status is JobStatus.COMPLETED
    assert await bench.found("content") == {"b"}
    assert await bench.stored_versions() != {}
    assert await bench.scalar("SELECT count(*) FROM entity") == 1


async def test_what_a_source_says_of_an_erased_entity_is_not_heard(bench) -> None:
    bench.script.world = {"a": SECRET, "b": "content b", "c": "content c"}
    await bench.sync()
    for ident in "abc":
        await erase(bench, ident)

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Failure(Ref("Thing", "a"), f"cannot read {TOKEN}")
        yield Delete(Ref("Thing", "b"))
        yield Seen(Ref("Thing", "c"))
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync(force_full=True)

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.failed, job.counts.deleted, job.counts.kept) == (0, 0, 0)
    assert await bench.scalar("SELECT count(*) FROM failure") == 0
    assert await bench.scalar("SELECT count(*) FROM job_failure") == 0


@pytest.mark.parametrize("others", [0, 5, 99])
async def test_no_file_of_the_index_holds_what_was_erased(
    brief, tmp_path: Path, others: int
) -> None:
    root = tmp_path / "index"
    brief.script.world = {str(n): f"content {n}" for n in range(others)}
    brief.script.world["secret"] = "content older " + TOKEN[::-1]
    await brief.sync()
    brief.script.world["secret"] = SECRET
    await brief.sync()
    await brief.ripen_garbage()
    await flush_garbage(brief.parts)
    await brief.parts.index.maintain(brief.collection_id)
    words = (TOKEN, TOKEN[::-1])
    assert files_with(root, *words), "else this test would see nothing"
    before = index_folders(root)

    await erase(brief, "secret")
    assert files_with(root, *words)
    await upkeep(brief)

    assert files_with(root, *words) == []
    assert before.isdisjoint(index_folders(root)), "their words are listed in these"
    assert await brief.scalar("SELECT count(*) FROM expunge") == 0
    assert len(await brief.found("content")) == others
    table = await brief.parts.index._open(brief.collection_id)
    everything = (await table.to_arrow()).to_pylist()
    assert not any(TOKEN in str(row) for row in everything)


async def test_what_only_a_failure_names_may_have_left_its_text_on_disk(
    brief, tmp_path: Path
) -> None:
    root = tmp_path / "index"
    brief.script.world = {str(n): f"content {n}" for n in range(99)}
    brief.script.world["secret"] = SECRET
    await brief.sync()
    del brief.script.world["secret"]
    await brief.sync(force_full=True)
    await brief.ripen_garbage()
    await flush_garbage(brief.parts)
    listing = brief.script.listing

    async def items(cursor: Any) -> AsyncIterator[Item]:
        async for item in listing(cursor):
            if isinstance(item, ScopeEnd):
                yield Failure(Ref("Thing", "secret"), "it stumbles")
            yield item

    brief.script.items = items
    await brief.sync(force_full=True)
    assert files_with(root, TOKEN)

    assert not (await erase(brief, "secret")).was_stored
    await upkeep(brief)

    assert files_with(root, TOKEN) == []
    assert await brief.scalar("SELECT count(*) FROM expunge") == 0


async def test_ordinary_upkeep_would_leave_it_on_disk(brief, tmp_path: Path) -> None:
    """The control: without a word about erasure one row in a hundred stays."""
    brief.script.world = {str(n): f"content {n}" for n in range(99)}
    brief.script.world["secret"] = SECRET
    await brief.sync()
    await brief.parts.index.maintain(brief.collection_id)
    await erase(brief, "secret")
    await brief.execute("DELETE FROM expunge")

    await upkeep(brief)
    await brief.parts.index.maintain(brief.collection_id)

    assert files_with(tmp_path / "index", TOKEN)


async def test_states_that_a_reader_may_have_open_are_kept(
    bench, tmp_path: Path
) -> None:
    """With the usual ten minutes nothing leaves the disk under a search."""
    bench.script.world = {str(n): f"content {n}" for n in range(50)}
    bench.script.world["secret"] = SECRET
    await bench.sync()
    reader = await bench.parts.index.reader(bench.collection_id)
    await erase(bench, "secret")

    await upkeep(bench)

    found = await reader.keyword(TOKEN, 5, EVERYTHING)
    assert [hit.text for hit in found] == [SECRET]
    assert await bench.scalar("SELECT count(*) FROM expunge") == 1, "it waits"
    assert await bench.scalar("SELECT clean_state > 0 FROM expunge")


async def test_a_batch_under_way_does_not_bring_it_back(
    brief, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erased between the append of its new version and the commit."""
    brief.script.world = {"a": "content older", "b": "content b"}
    await brief.sync()
    brief.script.world = {"a": SECRET, "b": "content b anew"}
    append = brief.parts.index.append

    async def append_then_erase(*arguments: Any) -> None:
        await append(*arguments)
        await erase(brief, "a")

    monkeypatch.setattr(brief.parts.index, "append", append_then_erase)

    job = await brief.sync()

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.inserted, job.counts.updated, job.counts.failed) == (0, 1, 0)
    assert await brief.found("content") == {"b"}
    assert await brief.scalar("SELECT count(*) FROM intent") == 0
    assert files_with(tmp_path / "index", TOKEN)
    monkeypatch.undo()
    await upkeep(brief)
    assert files_with(tmp_path / "index", TOKEN) == []
    assert len(await brief.stored_versions()) == 1


@pytest.mark.parametrize("moment", ["before T1", "after the crash"])
async def test_a_crash_with_it_in_the_batch_leaves_nothing_either(
    brief, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    brief.script.world = {str(n): f"content {n}" for n in range(99)}
    await brief.sync()
    brief.script.world["a"] = SECRET
    append, declare = brief.parts.index.append, commit.declare

    async def append_and_die(*arguments: Any) -> None:
        await append(*arguments)
        raise asyncio.CancelledError

    async def erase_and_declare(*arguments: Any) -> Any:
        if moment == "before T1":
            await erase_by_key(brief)
        return await declare(*arguments)

    monkeypatch.setattr(brief.parts.index, "append", append_and_die)
    monkeypatch.setattr(commit, "declare", erase_and_declare)
    job = await brief.start()
    with pytest.raises(asyncio.CancelledError):
        await brief.run(job)
    monkeypatch.undo()
    if moment == "after the crash":
        await erase_by_key(brief)
    assert files_with(tmp_path / "index", TOKEN), "else this test would see nothing"

    await brief.expire_lease(job)
    after = await brief.run(job)
    await upkeep(brief)

    assert after.status is JobStatus.COMPLETED
    assert after.counts.inserted == 0
    assert files_with(tmp_path / "index", TOKEN) == []
    assert await brief.scalar("SELECT count(*) FROM expunge") == 0


async def erase_by_key(bench) -> None:
    """Erase what the ledger does not know yet."""
    one = Erasable(
        connection_id=bench.connection_id,
        entity_key=entity_key("Thing", "a"),
        type="Thing",
    )
    await erasure.erase_again(bench.parts, bench.organization_id, "test", one)


async def test_a_failure_under_way_does_not_name_it_either(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = {"a": "content", "b": "content b"}
    await bench.sync()
    embed = bench.parts.embedder.embed

    async def refuse(texts: Any) -> Any:
        if any(TOKEN in one for one in texts):
            await erase(bench, "a") if await known(bench, "a") else None
            raise EntityError(f"cannot embed {TOKEN}")
        return await embed(texts)

    monkeypatch.setattr(bench.parts.embedder, "embed", refuse)
    bench.script.world["a"] = SECRET
    job = await bench.sync()

    assert (job.status, job.counts.failed) == (JobStatus.COMPLETED, 0)
    assert await everything_said(bench) == []


async def known(bench, ident: str) -> bool:
    query = "SELECT EXISTS (SELECT FROM entity WHERE source_id = :i)"
    return bool(await bench.scalar(query, i=ident))


async def everything_said(bench) -> list[str]:
    """Tables of the ledger that hold the token."""
    tables = await bench.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return [
        table
        for (table,) in tables
        if await bench.scalar(
            f"SELECT EXISTS (SELECT FROM {table} t"  # noqa: S608
            " WHERE strpos(t::text, :w) > 0)",
            w=TOKEN,
        )
    ]


async def test_no_table_of_the_ledger_names_it(bench) -> None:
    """Failures, their samples in jobs, a job's error and the events that repeat it."""
    well = {str(n): f"content {n}" for n in range(100)}

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident, content in well.items():
            yield Upsert(thing(ident, content))
        yield Upsert(thing(TOKEN, SECRET))
        yield ScopeEnd()

    async def failing(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for n in range(40):
            yield Failure(Ref("Thing", str(n)), "cannot read it")
        yield Failure(Ref("Thing", TOKEN), f"cannot read {TOKEN} for its owner")
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    bench.script.items = failing
    failed = await bench.sync()
    assert TOKEN in (failed.error or ""), "else this test would see nothing"
    assert set(await everything_said(bench)) >= {
        "entity",
        "event",
        "failure",
        "job_failure",
        "sync_job",
    }

    await erase(bench, TOKEN)

    assert await everything_said(bench) == []
    after = await bench.job(failed.id)
    assert after.counts == failed.counts
    assert (after.error or "").endswith("with: (erased)")
    details = after.error_details or {}
    assert len(details["failures"]) in (19, 20)
    assert json.dumps(details).count("cannot read it") == len(details["failures"])


async def test_an_entity_that_only_ever_failed_can_be_erased(bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Failure(Ref("Thing", TOKEN), f"cannot read {TOKEN}")
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()

    done = await erase(bench, TOKEN)

    assert not done.was_stored
    assert await everything_said(bench) == []
    job = await bench.sync()
    assert job.counts.failed == 0


async def test_it_may_return_if_that_was_said(bench) -> None:
    bench.script.world = {"a": SECRET}
    await bench.sync()

    done = await erase(bench, "a", may_return=True)

    assert done.may_return
    assert await bench.found("content") == set()
    job = await bench.sync()
    assert job.counts.inserted == 1
    assert await bench.found("content") == {"a"}


async def test_what_is_allowed_again_comes_with_the_next_job(bench) -> None:
    """Also where a cursor is past it: that job is a full one."""
    bench.script.info = SourceInfo(
        short_name="scripted",
        name="Scripted",
        description="",
        entity_types=(),
        is_incremental=True,
        yields_deletes=True,
    )

    async def items(cursor: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        if cursor is None:
            yield Upsert(thing("a", SECRET))
        yield Checkpoint({"at": 1})
        yield ScopeEnd(complete=cursor is None)

    bench.script.items = items
    await bench.sync()
    await erase(bench, "a")
    assert (await bench.sync()).mode is JobMode.INCREMENTAL
    with pytest.raises(NotFoundError):
        await allow(bench, "b")

    await allow(bench, "a")

    with pytest.raises(NotFoundError):
        await allow(bench, "a")
    job = await bench.sync()
    assert (job.mode, job.counts.inserted) == (JobMode.FULL, 1)
    assert await bench.found("content") == {"a"}


async def test_an_erasure_is_repeated_by_key_after_a_restore(bench) -> None:
    bench.script.world = {"a": SECRET}
    await bench.sync()
    await erase(bench, "a")
    [kept] = await erasure.list_erased(
        bench.parts, bench.organization_id, "test", skip=0, limit=10
    )
    await bench.execute("DELETE FROM tombstone")  # as in a backup made before
    await bench.sync()
    assert await bench.found("content") == {"a"}
    one = Erasable(
        connection_id=kept.connection_id, entity_key=kept.entity_key, type=kept.type
    )

    for was_stored in (True, False):
        done = await erasure.erase_again(
            bench.parts, bench.organization_id, "test", one
        )
        assert done.was_stored is was_stored

    await bench.sync()
    assert await bench.found("content") == set()


async def test_of_several_with_one_id_none_is_guessed(bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Upsert(thing("a", "content one"))
        yield Upsert(replace(thing("a", "content two"), type="Other"))
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    with pytest.raises(ConflictError, match="2 entities have this id"):
        await erase(bench, "a")
    which = Which(entity_id="a", entity_type="Other")

    done = await erasure.erase_entity(bench.parts, bench.organization_id, "test", which)

    assert done.entity.type == "Other"
    assert {hit.text for hit in await bench.search("content")} == {"content one"}


async def test_of_several_erased_with_one_id_none_is_allowed_by_guess(bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Upsert(thing("a", "content one"))
        yield Upsert(replace(thing("a", "content two"), type="Other"))
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    this = Which(entity_id="a", entity_type="Other")
    where = (bench.parts, bench.organization_id, "test")
    await erasure.erase_entity(*where, this)
    await erase(bench, "a")

    with pytest.raises(ConflictError, match="2 entities have this id"):
        await allow(bench, "a")
    await bench.sync()
    assert await bench.found("content") == set()

    await erasure.allow_entity(*where, this)
    await bench.sync()
    assert {hit.text for hit in await bench.search("content")} == {"content two"}


async def test_tombstones_go_with_their_connection(bench) -> None:
    bench.script.world = {"a": SECRET}
    await bench.sync()
    await erase(bench, "a")

    await bench.execute("DELETE FROM source_connection")

    assert await bench.scalar("SELECT count(*) FROM tombstone") == 0


async def test_erasures_and_jobs_at_once_never_bring_anything_back(bench) -> None:
    """Every entity is erased at a random moment of jobs that rewrite all of them."""
    idents = [f"{n}" for n in range(60)]
    bench.script.world = {ident: f"content {ident}" for ident in idents}
    await bench.sync()

    async def work() -> None:
        for turn in range(4):
            bench.script.world = {i: f"content {i} in {turn}" for i in idents}
            assert (await bench.sync()).status is JobStatus.COMPLETED

    async def erase_some() -> None:
        for ident in idents[::2]:
            await erase(bench, ident)
            assert ident not in await bench.found("content")

    await asyncio.gather(work(), erase_some())

    assert await bench.found("content") == set(idents[1::2])
    assert await bench.scalar("SELECT count(*) FROM intent") == 0


async def test_many_erasures_share_one_rewrite(bench, monkeypatch) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(20)}
    await bench.sync()
    rewrites = []
    expunge = bench.parts.index.expunge

    async def counted(collection_id: Any) -> Any:
        rewrites.append(collection_id)
        return await expunge(collection_id)

    monkeypatch.setattr(bench.parts.index, "expunge", counted)
    for n in range(4):
        await erase(bench, str(n))
        await bench.ripen_garbage()
        await flush_garbage(bench.parts)
        await expunge_erased(bench.parts)
    assert len(rewrites) == 1

    await bench.execute("UPDATE expunge SET rewritten_at = rewritten_at - :m", m=MINUTE)
    await expunge_erased(bench.parts)

    assert len(rewrites) == 2
    query = "SELECT count(*) FROM expunge WHERE clean_state IS NULL"
    assert await bench.scalar(query) == 0
