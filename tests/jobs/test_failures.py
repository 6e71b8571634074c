"""What goes wrong with single entities, and with a source."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wellhead.domain.entities import Blob, Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
)
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
from wellhead.domain.jobs import JobStatus
from wellhead.sync import pipeline


def file(ident: str, path: Path, version: str, opened: list[str]) -> Upsert:
    def open_it() -> Path:
        opened.append(ident)
        return path

    return Upsert(
        Entity(
            type="File",
            source_id=ident,
            name=ident,
            blob=Blob(name=ident, size=1, open=open_it),
            source_version=version,
        )
    )


async def test_a_file_that_cannot_be_read_fails_alone_and_keeps_its_old_version(
    bench, tmp_path
) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("content that is fine")
    bad.write_text("content at first")
    versions = {"good.txt": "1", "bad.txt": "1"}
    opened: list[str] = []

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield file("good.txt", good, versions["good.txt"], opened)
        yield file("bad.txt", bad, versions["bad.txt"], opened)
        yield ScopeEnd()

    bench.script.items = items
    await bench.sync()
    bad.write_bytes(b"\x00\x01\x02 not text at all")
    versions["bad.txt"] = "2"

    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.updated, job.counts.failed, job.counts.deleted) == (0, 1, 0)
    failure = job.error_details["failures"][0]
    assert (failure["source_id"], failure["stage"]) == ("bad.txt", "convert")
    assert (await bench.world())["bad.txt"] == "content at first"

    opened.clear()
    again = await bench.sync()

    assert opened == [], "a permanent failure is not tried while nothing changed"
    assert again.counts.failed == 0
    assert again.error_details == {"quarantined": 1}, "it is not well yet"
    bad.write_text("content mended")
    versions["bad.txt"] = "3"
    mended = await bench.sync()
    assert (mended.counts.updated, mended.counts.failed) == (1, 0)
    assert await bench.scalar("SELECT count(*) FROM failure") == 0


async def test_a_passing_failure_is_tried_again_at_the_end_of_the_job(bench) -> None:
    tries: list[str] = []

    def open_it() -> Path:
        tries.append("x")
        raise EntityError("busy", failure_class=FailureClass.TRANSIENT)

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        entity = Entity(
            type="Thing",
            source_id="x",
            name="x",
            blob=Blob(name="x.txt", size=1, open=open_it),
        )
        yield Upsert(entity)
        yield ScopeEnd()

    async def fetched(refs: list[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            yield Upsert(
                Entity(type=ref.type, source_id="x", name="x", text="content at last")
            )

    bench.script.items, bench.script.fetched = items, fetched
    job = await bench.sync()

    assert tries == ["x"]
    assert job.status is JobStatus.COMPLETED
    assert (job.counts.inserted, job.counts.failed) == (1, 0)
    assert await bench.world() == {"x": "content at last"}


async def test_refused_credentials_fail_the_job_and_delete_nothing(bench) -> None:
    bench.script.world = {"a": "content"}
    await bench.sync()

    async def refused(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        raise CredentialsError("token revoked")

    bench.script.items = refused
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert (job.error, job.error_category) == ("token revoked", "api_key_invalid")
    assert job.completed_at is not None
    assert job.duration_seconds is not None
    assert await bench.world() == {"a": "content"}
    assert (
        await bench.scalar("SELECT paused_reason FROM source_connection")
        == "api_key_invalid"
    )


async def test_a_vanished_folder_fails_with_a_category_and_may_be_run_again(
    bench,
) -> None:
    bench.script.world = {"a": "content"}
    await bench.sync()

    async def gone(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        raise ConfigError("the folder /x does not exist")

    bench.script.items = gone
    job = await bench.sync()
    bench.script.items = None
    back = await bench.sync()

    assert (job.status, job.error_category) == (JobStatus.FAILED, "config_invalid")
    assert back.status is JobStatus.COMPLETED
    assert await bench.scalar("SELECT paused_reason FROM source_connection") is None


async def test_a_bug_in_a_connector_fails_the_job_with_its_words(bench) -> None:
    async def broken(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        raise KeyError("title")

    bench.script.items = broken
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "KeyError" in (job.error or "")


async def test_a_source_that_stumbles_goes_on_from_its_checkpoint(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(pipeline, "SOURCE_WAIT_SECONDS", 0.0)
    bench.script.world = {str(n): f"content {n}" for n in range(5)}
    stumbles = [1]

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in bench.script.numbered(cursor):
            yield item
            if isinstance(item, Checkpoint) and item.token["done"] == 2 and stumbles:
                stumbles.pop()
                raise RetryableError("busy", after=0.01)

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert job.counts.inserted == 5
    assert bench.script.cursors == [None, {"done": 2}]


async def test_too_many_failures_fail_the_job(bench) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for n in range(60):
            yield Failure(Ref("Thing", str(n)), "corrupt", FailureClass.PERMANENT)
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "60 entities failed" in (job.error or "")
    assert job.counts.failed == 60


@pytest.mark.parametrize("hostile", ["nul \x00 byte", "lone \ud800 surrogate"])
async def test_hostile_text_is_stored_or_refused_but_never_breaks_a_job(
    bench, hostile: str
) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Upsert(
            Entity(
                type="Thing",
                source_id=f"id {hostile}",
                name=hostile,
                text=f"content {hostile}",
                source_version=hostile,
                url=hostile,
                raw={hostile: [hostile, float("nan"), {"x": object()}]},
            )
        )
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()
    again = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert job.counts.inserted == 1
    assert len(await bench.search("content")) == 1
    assert (again.status, again.counts.inserted) == (JobStatus.COMPLETED, 0)


@pytest.mark.parametrize("by", ["listing", "ids"])
async def test_what_failed_for_good_and_vanished_is_forgotten(bench, by) -> None:
    there = ["a", "bad"]

    async def items(cursor: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in there if cursor is None else []:
            text, source_version = f"content {ident}", "1"
            if ident == "bad":
                yield Failure(
                    Ref("Thing", ident),
                    "corrupt",
                    FailureClass.PERMANENT,
                    source_version=source_version,
                )
            else:
                yield Upsert(
                    Entity(
                        type="Thing",
                        source_id=ident,
                        name=ident,
                        text=text,
                        source_version=source_version,
                    )
                )
        yield ScopeEnd(complete=cursor is None)
        yield Checkpoint({"at": 1})

    async def ids() -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident in there:
            yield Seen(Ref("Thing", ident))
        yield ScopeEnd()

    bench.script.items = items
    if by == "ids":
        bench.script.info = replace(bench.script.info, is_incremental=True)
        bench.script.ids = ids
    await bench.sync()
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")
    still = await bench.sync()
    assert still.error_details == {"quarantined": 1} or still.counts.failed == 1

    there.remove("bad")
    await bench.execute("UPDATE source_connection SET reconciled_at = NULL")
    job = await bench.sync()

    assert job.error_details is None
    assert await bench.scalar("SELECT count(*) FROM failure") == 0


async def test_what_the_source_refuses_in_the_same_version_is_counted_once(
    bench,
) -> None:
    version = "1"

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Failure(
            Ref("Thing", "large"),
            "too large",
            FailureClass.PERMANENT,
            source_version=version,
        )
        yield ScopeEnd()

    bench.script.items = items
    first, second = await bench.sync(), await bench.sync()
    version = "2"
    changed = await bench.sync()

    assert [one.counts.failed for one in (first, second, changed)] == [1, 0, 1]
    assert second.error_details == {"quarantined": 1}
    assert await bench.scalar("SELECT attempts FROM failure") == 2
