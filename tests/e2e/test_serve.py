"""`wellhead serve`: started, attacked and stopped as in the field."""

import os
import signal
import stat
from pathlib import Path
from typing import Any

import httpx

Program = Any  # the fixture's own class


def answers(program: Program) -> bool:
    try:
        return bool(program.get("/health/ready").status_code == httpx.codes.OK)
    except httpx.TransportError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_it_answers_once_it_says_that_it_is_ready(served_program: Program) -> None:
    response = served_program.get("/health/ready")

    assert response.json()["status"] == "ready"
    assert served_program.get("/collections").status_code == httpx.codes.OK
    assert httpx.get(f"{served_program.served['url']}/collections").status_code == (
        httpx.codes.UNAUTHORIZED
    )


def test_what_is_secret_is_readable_by_its_owner_only(served_program: Program) -> None:
    for name in ("api_key", "secret_key", "postgres_password", "serve.json"):
        mode = (served_program.data_dir / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, name
    key = (served_program.data_dir / "api_key").read_text().strip()
    password = (served_program.data_dir / "postgres_password").read_text().strip()
    logged = (served_program.data_dir / "stderr").read_text()
    assert key not in logged
    assert password not in logged


def test_a_second_server_is_refused_and_told_where_the_first_is(
    served_program: Program,
) -> None:
    done = served_program.run("serve")

    assert done.returncode == 1
    assert served_program.served["url"] in done.stderr
    assert "Traceback" not in done.stderr
    assert answers(served_program)


def test_a_port_in_use_is_named_before_anything_starts(
    program: Program, served_program: Program
) -> None:
    port = served_program.served["url"].rpartition(":")[2]

    done = program.run("serve", "--port", port)

    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert not (program.data_dir / "postgres").exists()


def test_an_unknown_embedder_is_named_with_the_choices(program: Program) -> None:
    done = program.run("serve", WELLHEAD_EMBEDDER="mystery")

    assert done.returncode == 1
    assert "minilm, null" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_worker_comes_back_and_the_api_does_not_notice(
    served_program: Program,
) -> None:
    before = served_program.served["processes"]

    kill(before["worker-1"])

    def is_back() -> bool:
        assert answers(served_program)
        return bool(
            served_program.served["processes"]["worker-1"] != before["worker-1"]
        )

    served_program.until(is_back, "the worker comes back")
    assert served_program.served["processes"]["api"] == before["api"]


def test_a_killed_api_comes_back_at_the_same_address(served_program: Program) -> None:
    before = served_program.served

    kill(before["processes"]["api"])

    served_program.until(
        lambda: served_program.served["processes"]["api"] != before["processes"]["api"],
        "the API is started again",
    )
    served_program.until(lambda: answers(served_program), "the API answers again")
    assert served_program.served["url"] == before["url"]


def test_a_job_outlives_the_database_that_is_killed_under_it(
    served_program: Program,
) -> None:
    started = served_program.ask(
        *("sync", "timed", "--collection", "outlives", "--no-wait"),
        *("--config", "entity_count=40", "--config", "duration_seconds=6"),
        *("--credential", "timed_key=any"),
    )
    connection, job = started["source_connection"], started["job"]["id"]
    path = f"/source-connections/{connection}/jobs/{job}"
    served_program.until(
        lambda: served_program.get(path).json()["entities_inserted"] > 0,
        "the job begins",
    )
    children = served_program.served["processes"]

    kill(served_program.postmaster())

    ended = served_program.ask("jobs", "watch", job, "--connection", connection)
    assert ended["status"] == "completed"
    assert ended["entities_inserted"] >= 40
    assert ended["entities_failed"] == 0
    assert served_program.served["processes"]["api"] == children["api"]


def test_sigterm_ends_everything(program: Program) -> None:
    server = program.serve()
    assert len(program.processes()) >= 4  # supervisor, API, worker, PostgreSQL

    server.terminate()

    assert server.wait(40) == 0
    program.until(lambda: not program.processes(), f"gone: {program.processes()}")
    assert not (program.data_dir / "serve.json").exists()


def test_a_killed_supervisor_leaves_no_orphans_to_the_next_one(
    program: Program,
) -> None:
    server = program.serve()
    before, key = program.processes(), (program.data_dir / "api_key").read_text()

    kill(server.pid)
    again = program.serve()

    assert answers(program)
    assert (program.data_dir / "api_key").read_text() == key
    assert not before.keys() & program.processes().keys()
    again.terminate()
    assert again.wait(40) == 0
    program.until(lambda: not program.processes(), f"gone: {program.processes()}")


def test_a_worker_of_its_own_shares_a_database_with_a_server(
    program: Program, database_url: str
) -> None:
    program.more = {"WELLHEAD_DATABASE_URL": database_url, "WELLHEAD_WORKERS": "0"}
    server = program.serve()
    assert list(program.served["processes"]) == ["api"]
    assert not (program.data_dir / "postgres").exists()

    worker = program.start("worker")
    done = program.ask("sync", str(Path(__file__)), "--collection", "shared")

    assert done["job"]["status"] == "completed"
    for process in (worker, server):
        process.terminate()
        assert process.wait(40) == 0
    program.until(lambda: not program.processes(), f"gone: {program.processes()}")
