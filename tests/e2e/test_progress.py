"""Following a job of a real server, whose worker is another process."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx


def messages(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def start(client: httpx.Client, collection: str, seconds: float) -> str:
    made = client.post(
        "/source-connections",
        json={
            "short_name": "timed",
            "readable_collection_id": collection,
            "authentication": {"credentials": {"timed_key": "timed"}},
            "config": {"entity_count": 40, "duration_seconds": seconds},
        },
    )
    return str(made.json()["sync"]["last_job"]["id"])


def test_counts_move_while_a_job_runs_and_streams_end_with_it_or_with_the_server(
    program: Any,
) -> None:
    server = program.serve()
    with httpx.Client(
        base_url=program.served["url"], headers={"x-api-key": program.key}, timeout=60
    ) as client:
        collection = client.post("/collections", json={"name": "Timed"}).json()
        where = collection["readable_id"]
        # the first job of a process waits for the index library
        client.get(f"/sync/job/{start(client, where, 0.1)}/subscribe")
        job = start(client, where, 8)
        with client.stream("GET", f"/sync/job/{job}/subscribe") as answer:
            told = list(messages(answer))
        with client.stream("GET", f"/sync/job/{job}/subscribe-state") as answer:
            states = list(messages(answer))

        inserted = [one["inserted"] for one in told[1:]]
        assert told[0] == {"type": "connected", "job_id": job}
        assert inserted == sorted(inserted)
        assert any(0 < count < 41 for count in inserted)
        assert (inserted[-1], told[-1]["status"]) == (41, "completed")
        assert sum(told[-1]["entities_encountered"].values()) == 41
        assert [one["type"] for one in states] == [
            "connected",
            "entity_state",
            "sync_complete",
        ]
        assert states[-1]["total_entities"] == states[-1]["total_operations"] == 41

        long = start(client, where, 600)
        with client.stream("GET", f"/sync/job/{long}/subscribe") as answer:
            followed = messages(answer)
            assert next(followed)["type"] == "connected"
            server.terminate()
            assert all("status" in one for one in followed)  # ends, and not torn off
    assert server.wait(30) == 0


def test_a_stream_outlives_the_database(program: Any) -> None:
    program.serve()
    with httpx.Client(
        base_url=program.served["url"], headers={"x-api-key": program.key}, timeout=60
    ) as client:
        collection = client.post("/collections", json={"name": "Timed"}).json()
        job = start(client, collection["readable_id"], 10)
        with client.stream("GET", f"/sync/job/{job}/subscribe") as answer:
            followed = messages(answer)
            assert any(one.get("inserted") for one in followed)
            killed = program.postmaster()
            os.kill(killed, signal.SIGKILL)
            told = list(followed)

    assert program.postmaster() != killed
    assert (told[-1]["status"], told[-1]["inserted"]) == ("completed", 41)
