"""Following a job by server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, text

from wellhead.api.progress_stream import Pace
from wellhead.services.parts import Parts
from wellhead.services.progress import ProgressFeed
from wellhead.store.schema import api_key, sync_job

DEADLINE = 20
PATHS = ["subscribe", "subscribe-state"]


def messages_of(body: str) -> list[dict[str, Any]]:
    lines = [one for one in body.splitlines() if one.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


class Stream:
    """What one client receives, message by message, as the server sends it."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.leaves = asyncio.Event()
        self.may_take = asyncio.Event()
        self.may_take.set()

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.may_take.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        for one in messages_of(message["body"].decode()):
            await self.sent.put(one)

    async def next(self) -> dict[str, Any] | None:
        """Return the next message; None once the stream has ended."""
        async with asyncio.timeout(DEADLINE):
            return await self.sent.get()

    async def until_over(self) -> list[dict[str, Any]]:
        found = []
        while (one := await self.next()) is not None:
            found.append(one)
        return found


@asynccontextmanager
async def following(app: Any, path: str, key: str) -> AsyncIterator[Stream]:
    """Ask as a server would let a client ask: httpx would wait for the end."""
    stream = Stream()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "server": ("wellhead", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"wellhead"), (b"x-api-key", key.encode())],
    }

    async def ask() -> None:
        try:
            await app(scope, stream.receive, stream.send)
        finally:
            stream.sent.put_nowait(None)

    asking = asyncio.create_task(ask())
    try:
        yield stream
    finally:
        stream.leaves.set()
        stream.may_take.set()
        async with asyncio.timeout(DEADLINE):
            await asking


@pytest.fixture
async def job(given: Any, app: Any, parts: Parts) -> str:
    """A job that waits; the streams are quick."""
    app.state.progress = ProgressFeed(parts, poll_seconds=0.02)
    app.state.progress_pace = Pace(heartbeat_seconds=5, check_seconds=0.1)
    made = await given.connection()
    return str(made["sync"]["last_job"]["id"])


async def until(holds: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)


async def test_counts_are_told_as_they_move_and_the_end_ends_the_stream(
    app: Any, key: str, job: str, set_job: Any, put_entity: Any, parts: Parts
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        assert await stream.next() == {"type": "connected", "job_id": job}
        first = await stream.next()
        await set_job(job, status="running", inserted=2, failed=1, kept=4)
        second = await stream.next()
        await set_job(job, status="completed", inserted=3, updated=1, deleted=1)
        rest = await stream.until_over()

    at = "2026-01-02T03:04:05Z"
    nothing = {
        "inserted": 0,
        "updated": 0,
        "deleted": 0,
        "kept": 0,
        "skipped": 0,
        "entities_encountered": {},
        "status": None,
        "last_update_timestamp": at,
    }
    assert first == nothing
    assert second == nothing | {"inserted": 2, "skipped": 1, "kept": 4}
    assert rest[-1] == second | {
        "inserted": 3,
        "updated": 1,
        "deleted": 1,
        "status": "completed",
    }
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"
    assert stream.headers["x-accel-buffering"] == "no"


async def test_entities_are_told_by_type(
    app: Any, key: str, job: str, set_job: Any, put_entity: Any, client: Any
) -> None:
    connection_id = (await client.get(f"/sync/job/{job}")).json()[
        "source_connection_id"
    ]
    async with following(app, f"/sync/job/{job}/subscribe-state", key) as stream:
        assert await stream.next() == {"type": "connected", "job_id": job}
        first = await stream.next()
        await put_entity(connection_id, "one", "text", entity_type="Note")
        await put_entity(connection_id, "two", "text", entity_type="File")
        await set_job(
            job, status="failed", inserted=2, updated=1, generation=1, error="why"
        )
        *_, state, end = await stream.until_over()

    at = "2026-01-02T03:04:05Z"
    assert first == {
        "type": "entity_state",
        "job_id": job,
        "sync_id": connection_id,
        "entity_counts": {},
        "total_entities": 0,
        "timestamp": at,
        "job_status": "pending",
    }
    assert state == first | {
        "entity_counts": {"File": 1, "Note": 1},
        "total_entities": 2,
        "job_status": "failed",
    }
    assert end == {
        "type": "sync_complete",
        "job_id": job,
        "sync_id": connection_id,
        "is_complete": False,
        "is_failed": True,
        "final_counts": {"File": 1, "Note": 1},
        "total_entities": 2,
        "total_operations": 3,
        "final_status": "failed",
        "error": "why",
        "timestamp": at,
    }
    told = messages_of((await client.get(f"/sync/job/{job}/subscribe")).text)
    assert told[-1]["entities_encountered"] == {"File": 1, "Note": 1}


@pytest.mark.parametrize("path", PATHS)
async def test_a_job_that_is_over_is_told_at_once_and_only_once(
    client: httpx.AsyncClient, job: str, set_job: Any, path: str
) -> None:
    await set_job(job, status="cancelled", inserted=7)

    url = f"/sync/job/{job}/{path}"
    answer = await client.get(url)
    last_id = answer.text.rpartition("id: ")[2].strip()
    again = await client.get(url)
    read = await client.get(url, headers={"Last-Event-ID": last_id})
    other = await client.get(url, headers={"Last-Event-ID": "of another stream"})

    end = messages_of(answer.text)[-1]
    assert end.get("status", end.get("final_status")) == "cancelled"
    assert again.text == answer.text == other.text
    assert (read.status_code, read.text) == (204, "")


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_not_follow_is_told_so_before_anything_else(
    client: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    job: str,
    path: str,
) -> None:
    url = f"/sync/job/{job}/{path}"

    assert (await anyone.get(url)).status_code == 401
    for refused in (
        await stranger.get(url),
        await client.get(f"/sync/job/{uuid4()}/{path}/"),
    ):
        assert refused.status_code == 404
        assert refused.json() == {"detail": "Sync job not found"}


async def test_a_revoked_key_ends_its_stream(
    app: Any, key: str, job: str, parts: Parts
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()
        async with parts.db.begin() as connection:
            await connection.execute(delete(api_key))
        app.state.key_ring.forget()

        assert await stream.until_over() == []
    assert app.state.progress.following == 0


async def test_nothing_new_is_a_heartbeat(app: Any, key: str, job: str) -> None:
    app.state.progress_pace = Pace(heartbeat_seconds=0.05)
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()

        for _ in range(2):
            assert await stream.next() == {"type": "heartbeat", "database": "up"}


async def test_a_database_that_is_away_ends_no_stream(
    app: Any, key: str, job: str, set_job: Any, parts: Parts
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()
        async with parts.db.begin() as connection:
            await connection.execute(text("ALTER TABLE sync_job RENAME TO hidden"))
        assert await stream.next() == {"type": "heartbeat", "database": "away"}
        async with parts.db.begin() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO sync_job"))
        assert await stream.next() == {"type": "heartbeat", "database": "up"}
        await set_job(job, status="running", inserted=5)
        told = await stream.next()

    assert told is not None
    assert told["inserted"] == 5


async def test_a_reader_that_fails_as_nobody_expected_goes_on(
    app: Any, key: str, job: str, set_job: Any, parts: Parts
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()
        async with parts.db.begin() as connection:
            await connection.execute(
                text("ALTER TABLE sync_job DROP CONSTRAINT ck_sync_job_status")
            )
        await set_job(job, status="of a later program")
        assert await stream.next() == {"type": "heartbeat", "database": "away"}
        await set_job(job, status="running", inserted=5)
        told = await stream.next()

    assert told is not None
    assert told["inserted"] == 5


async def test_a_job_that_is_purged_ends_its_streams(
    app: Any, key: str, job: str, parts: Parts
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()
        async with parts.db.begin() as connection:
            await connection.execute(delete(sync_job).where(sync_job.c.id == UUID(job)))

        assert await stream.until_over() == []


async def test_who_leaves_takes_everything_along(app: Any, key: str, job: str) -> None:
    feed = app.state.progress
    async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
        await stream.next()
        await stream.next()
        assert feed.following == 1

    assert feed.following == 0
    await until(lambda: not _readers())


def _readers() -> list[Any]:
    return [one for one in asyncio.all_tasks() if one.get_name() == "progress"]


async def test_many_are_told_by_one_reader(
    app: Any, key: str, job: str, set_job: Any
) -> None:
    async def follow() -> list[dict[str, Any]]:
        async with following(app, f"/sync/job/{job}/subscribe", key) as stream:
            return await stream.until_over()

    all_of_them = [asyncio.create_task(follow()) for _ in range(30)]
    await until(lambda: app.state.progress.following == 30)
    assert len(_readers()) == 1
    await set_job(job, status="completed", inserted=9)

    told = [one[-1] for one in await asyncio.gather(*all_of_them)]
    assert {(one["inserted"], one["status"]) for one in told} == {(9, "completed")}


async def test_who_is_slow_misses_only_what_is_old(
    app: Any, key: str, job: str, set_job: Any
) -> None:
    async with following(app, f"/sync/job/{job}/subscribe", key) as slow:
        await slow.next()
        await slow.next()
        slow.may_take.clear()
        for inserted in range(1, 9):
            await set_job(job, status="running", inserted=inserted)
            await asyncio.sleep(0.05)
        await set_job(job, status="completed")
        slow.may_take.set()
        told = await slow.until_over()

    assert len(told) < 8
    assert (told[-1]["inserted"], told[-1]["status"]) == (8, "completed")


async def test_who_takes_nothing_is_dropped(
    app: Any, key: str, job: str, set_job: Any
) -> None:
    app.state.progress_pace = Pace(slow_seconds=0.3)
    async with following(app, f"/sync/job/{job}/subscribe", key) as stuck:
        await stuck.next()
        await stuck.next()
        stuck.may_take.clear()
        await set_job(job, status="running", inserted=1)

        assert await stuck.until_over() == []
        assert app.state.progress.following == 0


async def test_a_server_that_stops_lets_all_go(app: Any, key: str, job: str) -> None:
    url = f"/sync/job/{job}/subscribe"
    async with following(app, url, key) as stream:
        await stream.next()
        await stream.next()
        app.state.progress.close()
        assert await stream.until_over() == []

    async with following(app, url, key) as late:
        assert await late.next() == {"type": "connected", "job_id": job}
        assert await late.until_over() == []


async def test_a_job_is_found_by_its_id_alone(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, job: str
) -> None:
    found = (await client.get(f"/sync/job/{job}")).json()
    path = f"/source-connections/{found['source_connection_id']}/jobs/{job}"

    assert found == (await client.get(path)).json()
    assert (await stranger.get(f"/sync/job/{job}")).status_code == 404
