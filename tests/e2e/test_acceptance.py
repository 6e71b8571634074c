"""The main job as its users do it: real processes, the real client library."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from airweave import AirweaveSDK, ConflictError

from wellhead.index.lance import LanceIndex

WELLHEAD = [sys.executable, "-m", "wellhead.app.cli"]
READY_SECONDS = 60


@dataclass
class Served:
    """A running `wellhead serve`, as an outsider sees it."""

    url: str
    key: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    sdk: AirweaveSDK

    def connect(self, collection: str, source: str, **config: Any) -> Any:
        credentials = {"timed": {"timed_key": "timed"}, "stub": {"stub_key": "stub"}}
        return self.sdk.source_connections.create(
            name=f"A {source} connection",
            short_name=source,
            readable_collection_id=collection,
            authentication={"credentials": credentials[source]},
            config=config,
            sync_immediately=False,
        )

    def job(self, connection_id: str, job_id: str) -> Any:
        jobs = self.sdk.source_connections.get_source_connection_jobs(connection_id)
        return next(job for job in jobs if job.id == job_id)

    def until(
        self,
        connection_id: str,
        job_id: str,
        is_so: Callable[[Any], bool],
        seconds: float,
    ) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(connection_id, job_id)
            if is_so(job):
                return job
            assert time.monotonic() < deadline, f"still {job.status} after {seconds} s"
            time.sleep(0.1)

    def found(self, collection: str, query: str) -> set[str]:
        answer = self.sdk.collections.search.instant(
            collection, query=query, limit=1000
        )
        return {
            hit.airweave_system_metadata.original_entity_id for hit in answer.results
        }


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    data_dir = Path(tempfile.mkdtemp(prefix="wellhead-e2e-", dir="/tmp"))
    data_dir.chmod(0o711)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*WELLHEAD, "serve", "--port", str(port), "--data-dir", str(data_dir)],
        env=os.environ  # noqa: TID251  # a child's environment
        | {"WELLHEAD_EMBEDDER": "null", "WELLHEAD_ENABLE_DEMO_SOURCES": "true"},
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process)
        key = (data_dir / "api_key").read_text().strip()
        with httpx.Client(timeout=30) as client:
            sdk = AirweaveSDK(api_key=key, base_url=url, httpx_client=client)
            yield Served(url, key, data_dir, process, sdk)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data_dir, ignore_errors=True)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at its start"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("the server was never ready")


def _workers(served: Served) -> list[int]:
    """Return the pids of the worker processes below the supervisor."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_text().split("\0")
            if parent == served.process.pid and "worker" in words:
                found.append(int(entry.name))
    return found


def test_the_sdk_creates_runs_polls_and_searches(served: Served) -> None:
    sdk = served.sdk
    collection = sdk.collections.create(name="Acceptance")
    connection = served.connect(collection.readable_id, "stub", entity_count=20, seed=7)

    run = sdk.source_connections.run(connection.id)
    done = served.until(connection.id, run.id, lambda job: job.completed_at, 60)

    assert done.status == "completed"
    assert done.entities_inserted == 21
    assert done.entities_failed == 0
    assert done.duration_seconds > 0
    again = sdk.source_connections.run(connection.id)
    second = served.until(connection.id, again.id, lambda job: job.completed_at, 60)
    assert (second.entities_inserted, second.entities_updated) == (0, 0)
    jobs = sdk.source_connections.get_source_connection_jobs(connection.id, limit=1)
    assert [job.id for job in jobs] == [second.id]
    answer = sdk.collections.search.instant(
        collection.readable_id, query="the", limit=5
    )
    assert len(answer.results) == 5
    assert answer.results[0].airweave_system_metadata.source_name == "stub"
    assert sdk.collections.get(collection.readable_id).status == "ACTIVE"


def test_a_job_survives_kill_9_of_its_worker_with_the_same_counts(
    served: Served, tell
) -> None:
    collection = served.sdk.collections.create(name="Killed").readable_id
    connection = served.connect(
        collection, "timed", entity_count=60, duration_seconds=6
    )
    run = served.sdk.source_connections.run(connection.id)
    served.until(connection.id, run.id, lambda job: job.entities_inserted > 5, 60)

    for pid in _workers(served):
        os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    at_kill = served.job(connection.id, run.id).entities_inserted
    assert at_kill < 61
    served.until(connection.id, run.id, lambda job: job.entities_inserted > at_kill, 40)
    resumed_after = time.monotonic() - killed_at
    done = served.until(connection.id, run.id, lambda job: job.completed_at, 60)

    assert done.status == "completed", done.error
    assert (done.entities_inserted, done.entities_updated) == (61, 0)
    assert done.error_details["attempts"] == 2
    assert len(served.found(collection, "the")) <= 61
    tell(f"resumed {resumed_after:.1f} s after kill -9")


async def test_a_cancelled_job_is_cancelled_in_truth(served: Served, tell) -> None:
    collection = served.sdk.collections.create(name="Cancelled")
    connection = served.connect(
        collection.readable_id, "timed", entity_count=300, duration_seconds=60
    )
    run = served.sdk.source_connections.run(connection.id)
    served.until(connection.id, run.id, lambda job: job.entities_inserted > 5, 60)
    assert _entities(served, collection.readable_id)

    answer = served.sdk.source_connections.cancel_job(connection.id, run.id)
    asked_at = time.monotonic()
    assert answer.status == "cancelling"
    done = served.until(connection.id, run.id, lambda job: job.completed_at, 30)
    took = time.monotonic() - asked_at

    assert done.status == "cancelled"
    assert _entities(served, collection.readable_id) == set(), "from that moment"
    assert done.entities_inserted > 5, "true counts"
    assert done.error_details["cleanup"]["entities"] == done.entities_inserted
    with pytest.raises(ConflictError):
        served.sdk.source_connections.cancel_job(connection.id, run.id)
    index = await LanceIndex.open(served.data_dir / "index")
    deadline = time.monotonic() + 120
    while [one async for one in index.versions(UUID(str(collection.id)))]:
        assert time.monotonic() < deadline, "chunks still in the index"
        await asyncio.sleep(2)
    await index.close()
    tell(
        f"cancelled after {took:.1f} s,"
        f" chunks gone after {time.monotonic() - asked_at:.0f} s"
    )


def _entities(served: Served, collection: str) -> set[str]:
    return served.found(collection, "timed entity")
