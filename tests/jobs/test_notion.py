"""Jobs of Notion: blocks are read where a page changed, and the trash is noticed."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from tests.bench import Bench
from tests.vendors.notion import TOKEN, Workspace, block

from wellhead.domain.jobs import JobMode
from wellhead.sources.connectors.notion import NotionSource
from wellhead.sources.registry import Registry
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer
from wellhead.store import connections


class Desk:
    """A connection to the workspace in memory."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.workspace = Workspace()

    def respond(self, request: httpx.Request) -> Reply:
        return Reply(self.workspace.answer(request))


@pytest.fixture
async def desk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    parts = replace(bench.parts, sources=Registry.load(include_demo=False))
    found = Desk(replace(bench, desk=replace(bench.desk, parts=parts), parts=parts))
    await bench.configure("notion")
    async with bench.parts.db.begin() as connection:
        sealed = bench.parts.cipher.encrypt({"access_token": TOKEN})
        await connections.save_credential(
            connection, bench.connection_id, sealed, at=bench.parts.clock.now()
        )
    async with VendorServer(found.respond) as server:
        local = f"http://127.0.0.1:{server.port}/v1"
        api = replace(NotionSource.api, base_url=local)
        monkeypatch.setattr(NotionSource, "api", api)
        unhurried = replace(NotionSource.info, rate_limit=None)
        monkeypatch.setattr(NotionSource, "info", unhurried)
        yield found


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
