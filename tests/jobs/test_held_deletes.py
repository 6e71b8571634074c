"""Deletes that the guard holds, as people see them over HTTP, and confirming them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from wellhead.api.application import create_app
from wellhead.domain.jobs import JobStatus


@pytest.fixture
async def client(bench) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(bench.parts, auth=False))
    base = f"http://wellhead/source-connections/{bench.connection_id}"
    async with httpx.AsyncClient(transport=transport, base_url=base) as one:
        yield one


@pytest.fixture
async def held(bench) -> int:
    """Of 150 entities 140 are missing, and held."""
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(150)}
    await bench.sync()
    for n in range(10, 150):
        del bench.script.world[f"{n:03}"]
    await bench.sync()
    return 140


async def run(client: httpx.AsyncClient, bench: Any, **params: Any) -> Any:
    started = await client.post("/run", params=params)
    assert started.status_code == 200, started.text
    return await bench.run(await bench.job(started.json()["id"]))


async def shown(client: httpx.AsyncClient) -> Any:
    return (await client.get("")).json()["deletes_held"]


async def test_held_deletes_are_shown_with_the_way_to_confirm_them(
    bench, client, held: int
) -> None:
    [job, first] = (await client.get("/jobs")).json()

    assert (job["status"], job["entities_deleted"]) == ("completed", 0)
    assert job["error_details"]["deletes_held"] == held
    assert job["error_details"]["held_scopes"] == {"": held}
    assert first["error_details"] is None
    assert await shown(client) == {
        "count": held,
        "scopes": {"": held},
        "confirm_with": f"POST /source-connections/{bench.connection_id}/run"
        f"?confirm_deletes={held}",
    }


async def test_the_shown_request_confirms_what_is_held(
    bench, client, held: int
) -> None:
    how = (await shown(client))["confirm_with"]
    method, path = how.split()
    started = await client.request(method, f"http://wellhead{path}")

    job = await bench.run(await bench.job(started.json()["id"]))

    assert (job.status, job.counts.deleted) == (JobStatus.COMPLETED, held)
    assert job.error_details is None
    assert await shown(client) is None
    assert len(await bench.world()) == 10


async def test_confirming_covers_what_has_vanished_since(
    bench, client, held: int
) -> None:
    bench.script.world.clear()

    job = await run(client, bench, confirm_deletes=held + 10)

    assert job.counts.deleted == held + 10
    assert await bench.world() == {}


async def test_more_than_was_confirmed_is_held_again(bench, client, held: int) -> None:
    bench.script.world.clear()

    job = await run(client, bench, confirm_deletes=held)

    assert job.counts.deleted == held, "which two listings agree on"
    assert job.error_details["deletes_held"] == 10
    assert (await shown(client))["count"] == 10


@pytest.mark.parametrize("wrong", [0, 139])
@pytest.mark.parametrize("where", ["params", "json"])
async def test_a_number_below_what_is_held_is_refused_with_the_right_one(
    bench, client, held: int, wrong: int, where: str
) -> None:
    refused = await client.post("/run", **{where: {"confirm_deletes": wrong}})

    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        f"140 deletes are held, so {wrong} confirms nothing: "
        "look at them, then run with confirm_deletes=140"
    )
    assert len((await client.get("/jobs")).json()) == 2, "no job was started"


async def test_what_came_back_is_held_no_longer(bench, client, held: int) -> None:
    bench.script.world |= {f"{n:03}": f"content {n}" for n in range(10, 149)}

    job = await run(client, bench)

    assert job.counts.deleted == 1
    assert await shown(client) is None


async def test_a_great_delete_may_be_confirmed_before_it_is_held(bench, client) -> None:
    bench.script.world = {f"{n:03}": f"content {n}" for n in range(150)}
    await bench.sync()
    bench.script.world.clear()

    job = await run(client, bench, confirm_deletes=150)

    assert job.counts.deleted == 150
    assert await shown(client) is None
