"""Minutes of random kills on the real processes; run by `make soak`."""

import os
import random
import signal
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

SECONDS = 180
ENTITIES = 600
pytestmark = pytest.mark.soak


def _victims(program: Any) -> list[int]:
    """Return workers, the API and the database's first process."""
    found = [
        pid
        for pid, command in program.processes().items()
        if " worker" in command or " api" in command
    ]
    return [*found, program.postmaster()]


def _ask(program: Any, method: str, path: str, **more: Any) -> Any:
    """Ask until the server answers; it is killed all the time."""
    key = (program.data_dir / "api_key").read_text().strip()
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx.request(
                method,
                f"{program.served['url']}{path}",
                headers={"x-api-key": key},
                timeout=30,
                **more,
            )
            if answer.status_code < 500:
                assert answer.status_code == 200, answer.text
                return answer.json()
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the server is not coming back"
        time.sleep(0.3)


def test_a_job_is_whole_after_minutes_of_random_kills(program) -> None:
    seed = int(os.urandom(4).hex(), 16)
    print(f"seed {seed}")  # noqa: T201  # to run the same again
    chance = random.Random(seed)  # noqa: S311
    program.serve()
    _ask(program, "POST", "/collections", json={"name": "Soak", "readable_id": "soak"})
    made = _ask(
        program,
        "POST",
        "/source-connections",
        json={
            "short_name": "timed",
            "readable_collection_id": "soak",
            "authentication": {"credentials": {"timed_key": "timed"}},
            "config": {"entity_count": ENTITIES, "duration_seconds": SECONDS},
        },
    )
    path = f"/source-connections/{made['id']}/jobs"
    end = time.monotonic() + SECONDS + 600
    kills, job = 0, made["sync"]["last_job"]
    while job["status"] in {"pending", "running"}:
        assert time.monotonic() < end, f"still {job}"
        time.sleep(chance.uniform(2, 12))
        if time.monotonic() < end - 600:
            victim = chance.choice(_victims(program))
            os.kill(victim, chance.choice([signal.SIGKILL, signal.SIGSTOP]))
            time.sleep(chance.uniform(0, 10))
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)
            kills += 1
        job = _ask(program, "GET", path)[0]

    assert job["id"] == made["sync"]["last_job"]["id"]
    assert job["status"] == "completed", job
    assert job["entities_inserted"] == ENTITIES + 1
    assert (job["entities_updated"], job["entities_failed"]) == (0, 0)
    found = _ask(
        program,
        "POST",
        "/collections/soak/search/instant",
        json={"query": "entity", "retrieval_strategy": "semantic", "limit": 1000},
    )["results"]
    ids = [hit["entity_id"] for hit in found]
    assert len(ids) == len(set(ids))
    entities = {hit["airweave_system_metadata"]["original_entity_id"] for hit in found}
    assert len(entities) == ENTITIES + 1
    print(f"{kills} kills and pauses")  # noqa: T201
