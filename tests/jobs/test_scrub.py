"""Scrubbing: damage of every kind is found, counted, mended; its absence is silence."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from tests.bench import thing

from wellhead.domain.entities import entity_key
from wellhead.domain.errors import FailureClass
from wellhead.domain.items import Failure, Item, Ref, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.store import ledger
from wellhead.worker import boot
from wellhead.worker.maintain import flush_garbage
from wellhead.worker.scrub import Damage, ScrubReport, scrub

LONG = "content word " * 400


@pytest.fixture
async def table(bench, tmp_path: Path) -> Any:
    """The collection's table, past the index port."""
    bench.script.world = {name: f"content {name}" for name in "abcdef"}
    bench.script.world["long"] = LONG
    await bench.sync()
    connection = await lancedb.connect_async(tmp_path / "index")
    return await connection.open_table(bench.collection_id.hex)


async def version_of(bench, ident: str) -> int:
    return int(
        await bench.scalar("SELECT version FROM entity WHERE source_id = :i", i=ident)
    )


async def rows_of(table: Any, version: int) -> pa.Table:
    return await table.query().where(f"version = {version}").to_arrow()


def with_column(rows: pa.Table, name: str, values: Iterable[Any]) -> pa.Table:
    at = rows.schema.get_field_index(name)
    column = pa.array(list(values), rows.schema.field(name).type)
    return rows.set_column(at, rows.schema.field(name), column)


def counted(report: ScrubReport) -> dict[Damage, int]:
    return {one.damage: one.count for one in report.findings}


async def assert_heals(bench, found: dict[Damage, int], *, rewritten: int) -> None:
    """Look, mend, look again, sync, look again."""
    looked = await scrub(bench.parts, repair=False)
    assert counted(looked) == found
    assert not looked.is_well
    assert counted(await scrub(bench.parts, repair=False)) == found, (
        "looking changed it"
    )

    mended = await scrub(bench.parts, repair=True)
    assert counted(mended) == found
    assert mended.is_well

    again = await scrub(bench.parts, repair=True)
    assert counted(again) == {}
    assert again.waiting == rewritten
    assert again.to_run == ((bench.connection_id,) if rewritten else ())

    job = await bench.sync()
    assert job.mode is JobMode.FULL
    assert (job.counts.inserted, job.counts.updated) == (0, rewritten)
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    last = await scrub(bench.parts, repair=False)
    assert (counted(last), last.waiting, last.to_run) == ({}, 0, ())
    expected = {k: v.strip() for k, v in bench.script.world.items() if k != "long"}
    shown = {hit.original_entity_id: hit.text for hit in await bench.search("content")}
    assert {k: v for k, v in shown.items() if k != "long"} == expected
    assert await bench.found("content") == set(bench.script.world)


async def test_a_healthy_installation_has_no_findings(bench, table) -> None:
    report = await scrub(bench.parts, repair=True)

    assert (counted(report), report.is_well) == ({}, True)
    assert (report.entities, report.versions, report.waiting) == (7, 7, 0)


async def test_lost_chunks_come_back_with_the_next_job(bench, table) -> None:
    for ident in "ab":
        await table.delete(f"version = {await version_of(bench, ident)}")
    await table.delete(f"version = {await version_of(bench, 'long')} AND ordinal = 1")

    await assert_heals(bench, {Damage.MISSING: 2, Damage.INCOMPLETE: 1}, rewritten=3)


async def test_half_an_entity_is_not_shown_once_it_is_known(bench, table) -> None:
    await table.delete(f"version = {await version_of(bench, 'long')} AND ordinal > 0")
    assert "long" in await bench.found("content")

    await scrub(bench.parts, repair=True)

    assert "long" not in await bench.found("content")
    assert "a" in await bench.found("content")


async def test_chunks_that_nobody_knows_are_removed(bench, table) -> None:
    rows = await rows_of(table, await version_of(bench, "a"))
    await bench.execute("SELECT setval('version_seq', 5000)")
    await table.add(with_column(rows, "version", [4000]))
    await table.add(with_column(rows, "version", [4001]))

    await assert_heals(bench, {Damage.STRAY: 2}, rewritten=0)

    assert {4000, 4001}.isdisjoint(await bench.stored_versions())


async def test_doubled_chunks_are_shown_once_all_the_time(bench, table) -> None:
    await table.add(await rows_of(table, await version_of(bench, "a")))
    before = await bench.search("content")

    await scrub(bench.parts, repair=True)

    shown = [hit.entity_id for hit in await bench.search("content")]
    assert len(shown) == len(set(shown))
    assert set(shown) == {hit.entity_id for hit in before}


async def test_doubled_chunks_heal(bench, table) -> None:
    await table.add(await rows_of(table, await version_of(bench, "a")))

    await assert_heals(bench, {Damage.DOUBLED: 1}, rewritten=1)


async def test_chunks_with_wrong_labels_are_written_anew(bench, table) -> None:
    columns = {
        "a": ("connection_id", str(uuid4())),
        "b": ("entity_key", entity_key("Thing", "somebody else")),
        "c": ("inserted_by", str(uuid4())),
    }
    for ident, (column, value) in columns.items():
        version = await version_of(bench, ident)
        rows = await rows_of(table, version)
        await table.delete(f"version = {version}")
        await table.add(with_column(rows, column, [value] * rows.num_rows))

    await assert_heals(bench, {Damage.FOREIGN: 2, Damage.MISLABELLED: 1}, rewritten=3)


async def test_a_table_that_has_gone_is_filled_again(bench, table, tmp_path) -> None:
    shutil.rmtree(tmp_path / "index" / f"{bench.collection_id.hex}.lance")

    await assert_heals(bench, {Damage.NO_TABLE: 1, Damage.MISSING: 7}, rewritten=7)


async def test_a_table_of_no_collection_is_dropped(bench, table, tmp_path) -> None:
    theirs = tmp_path / "index" / f"{uuid4().hex}.lance"
    shutil.copytree(tmp_path / "index" / f"{bench.collection_id.hex}.lance", theirs)

    await assert_heals(bench, {Damage.STRAY_TABLE: 1}, rewritten=0)

    assert not theirs.exists()


async def test_a_table_that_cannot_be_read_is_told_and_left_alone(
    bench, table, tmp_path
) -> None:
    folder = tmp_path / "index" / f"{bench.collection_id.hex}.lance" / "data"
    for file in folder.iterdir():
        file.write_bytes(b"broken")

    report = await scrub(bench.parts, repair=True)

    assert counted(report) == {Damage.UNREADABLE: 1}
    assert not report.is_well
    assert bench.collection_id.hex in report.findings[0].said
    assert await bench.scalar("SELECT count(*) FROM entity WHERE chunk_count > 0") == 7


async def test_a_ledger_at_odds_with_itself_is_mended(bench, table) -> None:
    await bench.execute(
        "INSERT INTO garbage (version, collection_id, connection_id, not_before)"
        " SELECT version, :c, connection_id, now() - interval '1 hour' FROM entity"
        " WHERE source_id IN ('a', 'b')",
        c=bench.collection_id,
    )
    await bench.execute(
        "INSERT INTO intent (connection_id, version, chunk_count, fence)"
        " SELECT :c, nextval('version_seq'), 1, 1 FROM generate_series(1, 3)",
        c=bench.connection_id,
    )
    await bench.execute(
        "INSERT INTO intent (connection_id, version, chunk_count, fence)"
        " VALUES (:c, nextval('version_seq'), 1, 1)",
        c=uuid4(),
    )

    await assert_heals_ledger(
        bench,
        {Damage.CONDEMNED: 2, Damage.STRANDED: 3, Damage.OWNERLESS: 1},
    )

    assert await flush_garbage(bench.parts) == 0
    assert await bench.found("content") == set(bench.script.world)


async def assert_heals_ledger(bench, found: dict[Damage, int]) -> None:
    looked = counted(await scrub(bench.parts, repair=False))
    assert looked.pop(Damage.OVERDUE, 0) == looked.get(Damage.CONDEMNED, 0)
    assert looked == found
    mended = await scrub(bench.parts, repair=True)
    assert counted(mended) == found, "condemned rows are gone before they are due"
    assert counted(await scrub(bench.parts, repair=True)) == {}


async def test_overdue_garbage_is_flushed(bench, table) -> None:
    bench.script.world["a"] = "content anew"
    await bench.sync()
    await bench.execute("UPDATE garbage SET not_before = now() - interval '1 hour'")
    assert counted(await scrub(bench.parts, repair=False)) == {Damage.OVERDUE: 1}

    report = await scrub(bench.parts, repair=True)

    assert (counted(report), report.is_well) == ({Damage.OVERDUE: 1}, True)
    assert await bench.scalar("SELECT count(*) FROM garbage") == 0
    assert len(await bench.stored_versions()) == 7


async def test_a_version_is_never_drawn_again_after_an_old_ledger(bench, table) -> None:
    """As after a restore of the ledger beside an index that has moved on."""
    newest = await bench.scalar("SELECT last_value FROM version_seq")
    await bench.execute("SELECT setval('version_seq', :v)", v=newest - 4)
    looked = await scrub(bench.parts, repair=False)

    await scrub(bench.parts, repair=True)

    assert counted(looked) == {Damage.SEQUENCE: 4}
    assert await bench.scalar("SELECT nextval('version_seq')") == newest + 1
    assert counted(await scrub(bench.parts, repair=False)) == {}


async def test_a_connection_being_deleted_is_the_purges_affair(bench, table) -> None:
    await table.delete(f"version = {await version_of(bench, 'a')}")
    await bench.execute("UPDATE source_connection SET is_deleting = true")

    assert counted(await scrub(bench.parts, repair=True)) == {}
    assert await bench.scalar("SELECT count(*) FROM entity") == 7


async def test_a_kept_entity_is_not_forgotten_to_be_written_anew(bench) -> None:
    """A batch that had compared the content already commits after the scrub."""
    bench.script.world = {"a": "content a"}
    await bench.sync()
    await bench.parts.index.delete_versions(
        bench.collection_id, [await version_of(bench, "a")]
    )
    await scrub(bench.parts, repair=True)
    key = entity_key("Thing", "a")
    async with bench.parts.db.begin() as connection:
        await ledger.mark_seen(connection, bench.connection_id, 99, "", [key])
        await ledger.move_versions(connection, bench.connection_id, {key: "v2"})

    assert await bench.scalar("SELECT source_version FROM entity") is None


async def test_a_lost_entity_whose_source_fails_is_tried_again(bench) -> None:
    """A standing failure of the same version is looked at once more, and listed."""
    fails = {"now": False}

    async def items(_: Any) -> AsyncIterator[Item]:
        entity = thing("a", "content a" if not fails["now"] else "content refused")
        yield ScopeStart()
        if fails["now"]:
            permanent = FailureClass.PERMANENT
            yield Failure(Ref("Thing", "a"), "corrupt", permanent, source_version="2")
        else:
            yield Upsert(replace(entity, source_version="3"))
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    fails["now"] = True
    await bench.sync()
    await bench.execute("UPDATE failure SET source_version = '3'")
    version = await version_of(bench, "a")
    await bench.parts.index.delete_versions(bench.collection_id, [version])
    fails["now"] = False

    await scrub(bench.parts, repair=True)
    job = await bench.sync()

    assert job.counts.updated == 1
    assert await bench.found("content") == {"a"}
    assert counted(await scrub(bench.parts, repair=False)) == {}


async def test_a_power_loss_is_mended_the_same_way(bench, table) -> None:
    assert await boot.after_power_loss(bench.parts, boot_id="first") == 0
    await table.delete(f"version = {await version_of(bench, 'long')} AND ordinal > 0")

    assert await boot.after_power_loss(bench.parts, boot_id="second") == 1

    assert "long" not in await bench.found("content"), "half of it was shown"
    report = await scrub(bench.parts, repair=False)
    assert (counted(report), report.waiting) == ({}, 1)
    assert (await bench.sync()).counts.updated == 1
    assert "long" in await bench.found("content")


@pytest.mark.parametrize("repair", [False, True])
async def test_what_moves_on_at_every_step_of_a_scrub_is_no_damage(
    bench, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    """After each look at the index every entity is new, and its old version flushed."""
    index, turns = bench.parts.index, count(1)
    asked: list[Any] = []
    stored = index.stored

    async def move_on() -> None:
        turn = next(turns)
        bench.script.world = {name: f"content {name} in {turn}" for name in "abc"}
        assert (await bench.sync()).status is JobStatus.COMPLETED
        await bench.ripen_garbage()
        await flush_garbage(bench.parts)

    async def stored_then_new(collection_id: Any, versions: Any = None) -> Any:
        asked.append(versions)
        if versions is not None:
            await move_on()
        for one in [one async for one in stored(collection_id, versions)]:
            yield one
        await move_on()

    await move_on()
    monkeypatch.setattr(index, "stored", stored_then_new)

    report = await scrub(bench.parts, repair=repair)

    assert len(asked) == 3, "all, then suspects, then strays"
    assert report.findings == ()
    query = "SELECT count(*) FROM entity WHERE content_hash = ''"
    assert await bench.scalar(query) == 0
    assert await bench.scalar("SELECT needs_full FROM source_connection") is False
    assert len(await bench.stored_versions()) == 3


async def test_no_false_alarm_while_jobs_commit_and_garbage_is_flushed(bench) -> None:
    stop = asyncio.Event()

    async def work() -> None:
        for turn in range(6):
            bench.script.world = {
                f"{n}": f"content {n} in turn {turn if n % 3 else 0}"
                for n in range(turn * 10, 120 + turn * 10)
            }
            job = await bench.sync()
            assert job.status is JobStatus.COMPLETED
        stop.set()

    async def flush() -> None:
        while not stop.is_set():
            await bench.ripen_garbage()
            await flush_garbage(bench.parts)
            await asyncio.sleep(0.01)

    async def look() -> list[ScrubReport]:
        reports: list[ScrubReport] = []
        while not stop.is_set():
            reports.append(await scrub(bench.parts, repair=len(reports) % 2 == 1))
        return reports

    _, _, reports = await asyncio.gather(work(), flush(), look())

    assert len(reports) > 3
    assert [one.findings for one in reports if one.findings] == []
    assert (
        await bench.scalar("SELECT count(*) FROM entity WHERE content_hash = ''") == 0
    )
    assert len(await bench.found("content")) == 120
