"""Jobs of Notion: blocks are read where a page changed, and the trash is noticed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.bench import Bench
from tests.jobs.at_vendor import Vendor, connected
from tests.vendors.notion import TOKEN, Workspace, block

from wellhead.domain.jobs import JobMode
from wellhead.sources.connectors.notion import NotionSource


@dataclass
class Desk:
    """A connection to the workspace in memory."""

    bench: Bench
    workspace: Workspace


@pytest.fixture
async def desk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    workspace = Workspace()
    vendor = Vendor(NotionSource, {"access_token": TOKEN}, "/v1", workspace.answer)
    async with connected(bench, monkeypatch, vendor) as at_notion:
        yield Desk(at_notion, workspace)


async def test_what_is_nested_in_a_changed_page_is_found(desk: Desk) -> None:
    workspace, bench = desk.workspace, desk.bench
    [changed, *_] = workspace.add(9)
    first = await bench.sync()
    [toggle] = workspace.write(changed.source_id, block("toggle", "More"))
    workspace.write(toggle["id"], block("paragraph", "It is the carburettor."))
    workspace.edit(workspace.things[changed.source_id])
    workspace.wait()
    workspace.requests.clear()

    job = await bench.sync()

    assert (first.mode, first.counts.inserted) == (JobMode.FULL, 11)
    assert (job.mode, job.counts.updated) == (JobMode.INCREMENTAL, 1)
    assert await bench.found("carburettor") == {changed.source_id}
    paths = [one.url.path for one in workspace.requests]
    read = [one for one in paths if one.endswith("/children")]
    assert read == [
        f"/v1/blocks/{changed.source_id}/children",
        f"/v1/blocks/{toggle['id']}/children",
    ]


async def test_a_page_in_the_trash_is_gone_after_a_day(desk: Desk) -> None:
    workspace, bench = desk.workspace, desk.bench
    workspace.add(9)
    await bench.sync()
    gone = workspace.remove()
    await bench.execute(
        "UPDATE source_connection SET reconciled_at = now() - interval '25 hours'"
    )

    job = await bench.sync()

    assert (job.mode, job.counts.deleted) == (JobMode.INCREMENTAL, 1)
    assert gone.source_id not in await bench.found("works")


async def test_a_page_of_another_shape_waits_in_quarantine(desk: Desk) -> None:
    workspace, bench = desk.workspace, desk.bench
    odd, *_ = workspace.add(9)
    text = {"rich_text": "no list of pieces"}
    workspace.write(odd.source_id, block("paragraph", text))

    job = await bench.sync()

    assert (job.counts.inserted, job.counts.failed) == (10, 1)
    assert len(await bench.found("works")) == 8
