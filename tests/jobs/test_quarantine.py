"""What stands as failed, as people see it over HTTP, and trying it again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellhead.api.application import create_app
from wellhead.domain.entities import Blob, Entity
from wellhead.domain.errors import EntityError, FailureClass
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.sync import pipeline


@pytest.fixture
async def client(bench) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(bench.parts, auth=False))
    base = f"http://wellhead/source-connections/{bench.connection_id}"
    async with httpx.AsyncClient(transport=transport, base_url=base) as one:
        yield one


@dataclass
class Files:
    """A world of files that never change their version; some cannot be read."""

    folder: Path
    broken: dict[str, FailureClass]
    well: list[str] = field(default_factory=list)
    unlistable: list[str] = field(default_factory=list)
    source_version: str | None = "1"
    log: list[str] = field(default_factory=list)

    def file(self, ident: str) -> Upsert:
        def open_it() -> Path:
            self.log.append(f"open {ident}")
            if ident in self.broken:
                raise EntityError(f"{ident} broken", failure_class=self.broken[ident])
            path = self.folder / ident
            path.write_text(f"content of {ident}")
            return path

        return Upsert(
            Entity(
                type="File",
                source_id=ident,
                name=ident,
                blob=Blob(name=f"{ident}.txt", size=1, open=open_it),
                source_version=self.source_version,
            )
        )

    async def items(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        self.log.append("list")
        yield ScopeStart()
        for ident in sorted({*self.broken, *self.well} if cursor is None else ()):
            yield self.file(ident)
        for folder in self.unlistable:
            yield Failure(None, f"{folder} cannot be listed")
        yield ScopeEnd(complete=cursor is None)
        yield Checkpoint({"at": 1})

    async def fetched(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        self.log.append("fetch " + " ".join(sorted(ref.source_id for ref in refs)))
        for ref in refs:
            is_there = ref.source_id in {*self.broken, *self.well}
            yield self.file(ref.source_id) if is_there else Delete(ref)


@pytest.fixture
def files(bench, tmp_path: Path) -> Files:
    """One passing failure, two for good, and a file that is well."""
    made = Files(
        tmp_path,
        {
            "busy": FailureClass.TRANSIENT,
            "corrupt": FailureClass.PERMANENT,
            "locked": FailureClass.PERMANENT,
        },
        ["fine"],
    )
    bench.script.items, bench.script.fetched = made.items, made.fetched
    return made


async def standing(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/failures", params=params)
    assert answer.status_code == 200, answer.text
    return {one["source_id"]: one for one in answer.json()}


async def retry(client: httpx.AsyncClient, **body: Any) -> Any:
    answer = await client.post("/failures/retry", json=body or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_everything_in_quarantine_is_listed_with_its_reason(
    bench, client, files: Files
) -> None:
    job = await bench.sync()
    found = await standing(client)

    assert found.keys() == {"busy", "corrupt", "locked"}
    assert {name: one["retried_when"] for name, one in found.items()} == {
        "busy": "after_next_retry_at",
        "corrupt": "source_version_or_pipeline_changes",
        "locked": "source_version_or_pipeline_changes",
    }
    corrupt = found["corrupt"]
    assert corrupt["next_retry_at"] is None
    assert corrupt["first_failed_at"] == corrupt["failed_at"]
    assert {
        key: corrupt[key]
        for key in ("type", "scope", "stage", "class", "reason", "attempts", "job_id")
    } == {
        "type": "File",
        "scope": "",
        "stage": "read",
        "class": "permanent",
        "reason": "corrupt broken",
        "attempts": 1,
        "job_id": str(job.id),
    }
    assert found["busy"]["next_retry_at"] is not None
    assert found["busy"]["attempts"] == 2, "once more at the end of the job"


async def test_the_list_is_filtered_and_comes_page_by_page(
    bench, client, files: Files
) -> None:
    files.unlistable = ["folder x"]
    await bench.sync()

    assert (await standing(client, **{"class": "permanent"})).keys() == {
        "corrupt",
        "locked",
    }
    assert await standing(client, stage="embed") == {}
    assert len(await standing(client, stage="read")) == 4
    seen, url = [], "/failures?limit=2&stage=read"
    while url:
        answer = await client.get(url)
        assert answer.headers["X-Total-Count"] == "4"
        seen.append([one["source_id"] for one in answer.json()])
        url = answer.links.get("next", {}).get("url", "").rpartition("/")[2]
    assert [len(page) for page in seen] == [2, 2, 0]
    assert {one for page in seen for one in page} == {
        *("busy", "corrupt", "locked"),
        None,
    }


@pytest.mark.parametrize("can_fetch", [True, False])
@pytest.mark.parametrize("is_incremental", [True, False])
async def test_what_failed_for_good_is_tried_again_when_it_is_asked_for(
    bench, client, files: Files, can_fetch: bool, is_incremental: bool
) -> None:
    if not can_fetch:
        bench.script.fetched = None
    bench.script.info = replace(
        bench.script.info, is_incremental=is_incremental, yields_deletes=True
    )
    await bench.sync()
    del files.broken["corrupt"]
    files.well.append("corrupt")
    files.log.clear()
    await bench.sync()
    assert "open corrupt" not in files.log, "nothing about it has changed"

    files.log.clear()
    asked = await retry(client, **{"class": "permanent"})
    due = await standing(client)
    again = await retry(client, **{"class": "permanent"})
    job = await bench.run(await bench.job(asked["job"]["id"]))

    assert (asked["entities"], asked["is_started"], asked["retried_in"]) == (
        *(2, True),
        "this_job",
    )
    assert {name: one["retried_when"] for name, one in due.items()} == {
        "busy": "after_next_retry_at",
        "corrupt": "next_job",
        "locked": "next_job",
    }
    assert again == {**asked, "is_started": False}
    assert (job.status, job.trigger, job.counts.inserted) == (
        *(JobStatus.COMPLETED, "retry"),
        1,
    )
    if can_fetch:
        first, *opened, then = files.log[:4]
        assert (first, then) == ("fetch corrupt locked", "list")
        assert set(opened) == {"open corrupt", "open locked"}
    assert files.log.count("open corrupt") == files.log.count("open locked") == 1
    assert "corrupt" in await bench.world()
    left = await standing(client, **{"class": "permanent"})
    assert left.keys() == {"locked"}
    assert left["locked"]["attempts"] == 2
    assert left["locked"]["first_failed_at"] < left["locked"]["failed_at"]
    assert left["locked"]["job_id"] == str(job.id)
    assert left["locked"]["retried_when"] == "source_version_or_pipeline_changes"


async def test_only_what_is_named_is_tried_again(bench, client, files: Files) -> None:
    await bench.sync()
    files.log.clear()

    asked = await retry(client, source_ids=["locked", "unheard of"])
    await bench.run(await bench.job(asked["job"]["id"]))

    assert (asked["entities"], asked["not_found"]) == (1, ["unheard of"])
    assert files.log[:3] == ["fetch locked", "open locked", "list"]
    assert "open corrupt" not in files.log


async def test_nothing_to_try_again_starts_no_job(bench, client, files: Files) -> None:
    await bench.sync()

    asked = await retry(client, source_ids=["locked"], stage="embed")

    assert asked == {
        "entities": 0,
        "scopes": 0,
        "not_found": ["locked"],
        "job": None,
        "is_started": False,
        "retried_in": None,
    }


async def test_what_is_asked_for_while_a_job_runs_is_tried_by_the_next(
    bench, client, files: Files
) -> None:
    await bench.sync()
    asked: list[Any] = []
    listing = files.items

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if not asked:
            asked.append(await retry(client, source_ids=["locked"]))
        async for item in listing(cursor):
            yield item

    bench.script.items = items
    files.log.clear()
    running = await bench.sync()
    still = await standing(client)
    files.log.append("next job")
    await bench.sync()

    assert asked[0]["job"]["id"] == str(running.id)
    assert (asked[0]["is_started"], asked[0]["retried_in"]) == (False, "next_job")
    assert still["locked"]["retried_when"] == "next_job", "whatever this job made of it"
    at = files.log.index("next job")
    assert files.log[at + 1 : at + 4] == ["fetch locked", "open locked", "list"]
    after = await standing(client)
    assert after["locked"]["retried_when"] == "source_version_or_pipeline_changes"


async def test_what_is_gone_at_the_source_leaves_quarantine_when_retried(
    bench, client, files: Files
) -> None:
    bench.script.info = replace(
        bench.script.info, is_incremental=True, yields_deletes=True
    )
    await bench.sync()
    del files.broken["locked"]

    asked = await retry(client, source_ids=["locked"])
    job = await bench.run(await bench.job(asked["job"]["id"]))

    assert (job.mode, job.counts.deleted) == (JobMode.INCREMENTAL, 0)
    assert (await standing(client)).keys() == {"busy", "corrupt"}


async def test_however_many_failures_are_due_all_are_retried(
    bench, client, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "RETRY_REFS", 2)
    files.broken = {f"{n}": FailureClass.PERMANENT for n in range(5)}
    await bench.sync()
    files.log.clear()

    asked = await retry(client)
    await bench.run(await bench.job(asked["job"]["id"]))

    before = files.log[: files.log.index("list")]
    assert [len(one.split()) - 1 for one in before if "fetch" in one] == [2, 2, 1]
    assert sorted(one for one in before if "open" in one) == [
        f"open {n}" for n in range(5)
    ]


async def test_a_part_that_could_not_be_listed_is_shown_and_listed_again(
    bench, client, files: Files
) -> None:
    bench.script.info = replace(
        bench.script.info, is_incremental=True, yields_deletes=True
    )
    files.broken, files.unlistable = {}, ["folder x"]
    job = await bench.sync()

    [shown] = (await client.get("/failures")).json()
    assert shown == {
        "entity_key": None,
        "source_id": None,
        "type": None,
        "scope": "",
        "stage": "read",
        "class": "transient",
        "reason": "folder x cannot be listed",
        "attempts": None,
        "first_failed_at": None,
        "failed_at": job.completed_at.isoformat().replace("+00:00", "Z"),
        "next_retry_at": None,
        "retried_when": "next_listing",
        "job_id": str(job.id),
    }

    files.unlistable, files.well = [], ["fine", "in folder x"]
    asked = await retry(client)
    full = await bench.run(await bench.job(asked["job"]["id"]))

    assert (asked["entities"], asked["scopes"]) == (0, 1)
    assert (full.mode, full.counts.inserted) == (JobMode.FULL, 1)
    assert (await client.get("/failures")).json() == []


@pytest.mark.parametrize("status", ["pending", "running"])
async def test_an_open_job_or_the_one_after_it_lists_the_part_again(
    bench, client, files: Files, status: str
) -> None:
    bench.script.info = replace(
        bench.script.info, is_incremental=True, yields_deletes=True
    )
    files.broken, files.unlistable = {}, ["folder x"]
    await bench.sync()
    files.unlistable, files.well = [], ["fine", "in folder x"]
    asked: list[Any] = []

    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if not asked:
            asked.append(await retry(client))
        async for item in files.items(cursor):
            yield item

    bench.script.items = items
    started = await bench.start()
    if status == "pending":
        asked.append(await retry(client))
    first = await bench.run(started)
    second = await bench.sync()

    assert (asked[0]["job"]["id"], asked[0]["is_started"]) == (str(started.id), False)
    assert first.mode is JobMode.FULL, "because a part is missing"
    is_waiting = status == "pending"
    assert second.mode is (JobMode.INCREMENTAL if is_waiting else JobMode.FULL)
    assert (await bench.world()).keys() == {"fine", "in folder x"}


async def test_a_part_stays_shown_until_all_is_listed_again(
    bench, client, files: Files
) -> None:
    bench.script.info = replace(
        bench.script.info, is_incremental=True, yields_deletes=True
    )
    files.broken, files.unlistable = {}, ["folder x"]

    async def later(_: dict[str, Any] | None) -> AsyncIterator[Item]:
        if lost:
            yield ScopeStart("mail")
            yield Failure(None, lost.pop())
            yield ScopeEnd("mail", complete=False)
        yield Checkpoint({"at": 2})

    async def reasons() -> list[str]:
        rows = (await client.get("/failures")).json()
        return sorted(one["reason"] for one in rows)

    lost: list[str] = []
    await bench.sync()
    assert (await bench.sync()).mode is JobMode.FULL
    assert await reasons() == ["folder x cannot be listed"]
    files.unlistable = []
    await bench.sync()
    assert await reasons() == []
    lost, bench.script.items = ["page 7"], later
    assert (await bench.sync()).mode is JobMode.INCREMENTAL
    assert await reasons() == ["page 7"]
    bench.script.items = files.items
    assert (await bench.sync()).mode is JobMode.FULL
    assert await reasons() == []


async def test_without_versions_each_listing_is_a_try(
    bench, client, files: Files
) -> None:
    files.source_version = None
    await bench.sync()

    assert (await standing(client))["locked"]["retried_when"] == "next_listing"
    await bench.sync()
    assert (await standing(client))["locked"]["attempts"] == 2


async def test_refused_credentials_are_mended_before_anything_is_retried(
    bench, client, files: Files
) -> None:
    await bench.sync()
    await bench.execute("UPDATE source_connection SET paused_reason='api_key_invalid'")

    answer = await client.post("/failures/retry")

    assert answer.status_code == 409
    assert "credentials" in answer.json()["detail"]
    locked = (await standing(client))["locked"]
    assert locked["retried_when"] == "source_version_or_pipeline_changes"


@pytest.mark.parametrize("hostile", ["nul \x00 byte", "lone \ud800 surrogate"])
async def test_what_failed_with_hostile_names_is_listed_and_retried_all_the_same(
    bench, client, files: Files, hostile: str
) -> None:
    files.broken = {f"id {hostile}": FailureClass.PERMANENT}
    files.source_version = hostile

    async def items(_: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield files.file(f"id {hostile}")
        yield Failure(
            Ref("File", "other"),
            f"reason {hostile}",
            FailureClass.PERMANENT,
            source_version=hostile,
        )
        yield ScopeStart(f"scope {hostile}")
        yield Failure(None, hostile)
        yield ScopeEnd(f"scope {hostile}")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()
    assert job.status is JobStatus.COMPLETED, job.error
    found = await standing(client)
    [named] = [one for one in found if one not in (None, "other")]
    assert "\x00" not in str(found)

    asked = await retry(client, source_ids=[named])
    assert (asked["entities"], asked["not_found"]) == (1, [])
    again = await bench.run(await bench.job(asked["job"]["id"]))
    assert again.status is JobStatus.COMPLETED, again.error
