"""The command line against a real server, and without one."""

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

Program = Any  # the fixture's own class


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sea").mkdir(parents=True)
    (folder / "sea" / "lighthouse.md").write_text("# Keeper\n\nCounts the ships.\n")
    (folder / "heron.txt").write_text("The heron waits at the weir.\n")
    return folder


def test_a_folder_is_synced_listed_and_found(
    served_program: Program, notes: Path
) -> None:
    done = served_program.ask("sync", str(notes), "--collection", "My notes")
    job = done["job"]
    assert (job["status"], job["entities_inserted"]) == ("completed", 2)

    (notes / "heron.txt").write_text("The heron has flown away at last.\n")
    (notes / "new.md").write_text("A third file.\n")
    again = served_program.ask("sync", str(notes), "--collection", done["collection"])
    counts = [again["job"][f"entities_{n}"] for n in ("inserted", "updated", "kept")]
    assert counts == [1, 1, 1]
    assert again["source_connection"] == done["source_connection"]

    listed = served_program.ask("jobs", "list", "--collection", "My notes")
    assert [one["id"] for one in listed] == [again["job"]["id"], job["id"]]
    shown = served_program.ask("jobs", "show", job["id"])
    assert shown["entities_inserted"] == 2
    assert shown["failures"] == []

    found = served_program.ask(
        *("search", "ships", "--collection", "My notes", "--strategy", "keyword")
    )
    assert [one["name"] for one in found["results"]] == ["lighthouse.md"]


def test_collections_connections_and_keys_come_and_go(
    served_program: Program, notes: Path
) -> None:
    made = served_program.ask("collections", "create", "To and fro")
    name = made["readable_id"]
    connection = served_program.ask("connections", "create", str(notes), "-c", name)
    listed = served_program.ask("connections", "list", "-c", name)
    assert [one["id"] for one in listed] == [connection["id"]]
    run = served_program.ask("connections", "run", connection["id"])
    assert served_program.ask("jobs", "watch", run["id"])["status"] == "completed"
    shown = served_program.ask("connections", "show", connection["id"])
    assert shown["entities"]["total_entities"] == 2
    served_program.ask("connections", "delete", connection["id"], "--yes")
    served_program.ask("collections", "delete", name, "--yes")
    assert served_program.run("collections", "show", name).returncode == 1

    key = served_program.ask("keys", "create", "--name", "robot")
    with_key = served_program.run("keys", "list", WELLHEAD_API_KEY=key["decrypted_key"])
    assert "robot" in {one["name"] for one in json.loads(with_key.stdout)}
    served_program.ask("keys", "revoke", key["id"])
    refused = served_program.run("keys", "list", WELLHEAD_API_KEY=key["decrypted_key"])
    assert refused.returncode == 1


def test_a_job_that_fails_is_exit_status_one(served_program: Program) -> None:
    done = served_program.run(
        *("sync", "exception_stub", "--collection", "fails", "--credential"),
        *("exception_stub_key=any", "--config", "fail_after=1"),
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_only_stops_watching(served_program: Program) -> None:
    sync = served_program.start(
        *("sync", "timed", "-c", "interrupted", "--credential", "timed_key=any"),
        *("--config", "entity_count=100", "--config", "duration_seconds=300"),
    )

    def jobs() -> Any:
        done = served_program.run("jobs", "list", "-c", "interrupted")
        return json.loads(done.stdout) if done.returncode == 0 else []

    served_program.until(jobs, "the job starts")
    time.sleep(1)  # until the command has the answer
    sync.send_signal(signal.SIGINT)

    assert sync.wait(60) == 130
    job = jobs()[0]
    assert job["status"] in ("pending", "running")
    cancelled = served_program.ask("jobs", "cancel", job["id"])
    assert cancelled["status"] in ("cancelling", "cancelled")
    assert served_program.run("jobs", "watch", job["id"]).returncode == 1


def test_what_the_server_refuses_is_one_line(served_program: Program) -> None:
    done = served_program.run("search", "anything", "--collection", "nowhere")

    assert done.returncode == 1
    assert re.fullmatch("wellhead: .*nowhere.*\n", done.stderr)


def test_a_sync_that_cannot_begin_leaves_no_collection(
    served_program: Program,
) -> None:
    done = served_program.run("sync", "/no/such/folder", "--collection", "nothing")

    assert done.returncode == 1
    names = [one["name"] for one in served_program.ask("collections", "list")]
    assert "nothing" not in names


def test_the_doctor_shows_every_setting_and_no_secret(served_program: Program) -> None:
    done = served_program.run("doctor", WELLHEAD_API_KEY="an-api-key-to-hide")

    report = json.loads(done.stdout)
    assert done.returncode == 0, report["checks"]
    assert all(check["ok"] for check in report["checks"])
    assert "an-api-key-to-hide" not in done.stdout
    origins = {one["name"]: one["from"] for one in report["settings"]}
    assert origins["WELLHEAD_EMBEDDER"] == "environment"
    assert origins["WELLHEAD_HOST"] == "default"


def test_without_a_server_one_runs_for_as_long_as_it_takes(
    program: Program, notes: Path
) -> None:
    done = program.ask("sync", str(notes), "--collection", "alone")
    found = program.ask("search", "heron", "--collection", "alone", "--limit", "1")

    assert done["job"]["entities_inserted"] == 2
    assert len(found["results"]) == 1
    assert not program.processes()
    listed = program.run("jobs", "list")
    assert listed.returncode == 1
    assert "wellhead serve" in listed.stderr


def test_a_dry_run_counts_and_writes_nothing(program: Program, notes: Path) -> None:
    found = program.ask("sync", str(notes), "--dry-run")

    assert found["items"] == 2
    assert found["bytes"] == sum(f.stat().st_size for f in notes.rglob("*.*"))
    assert found["by_type"] == {".md": 1, ".txt": 1}
    assert found["estimated_chunks"] == 2
    assert not list(program.data_dir.iterdir())


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["sync"], 2),
        (["sync", "No Such Thing!", "-c", "x"], 2),
        (["sync", ".", "-c", "x", "--config", "broken"], 2),
        (["jobs", "nonsense"], 2),
        (["collections", "list"], 1),
        (["collections", "list", "--url", "http://127.0.0.1:1"], 1),
        (["worker"], 1),
        (["version"], 0),
        (["--help"], 0),
    ],
)
def test_exit_statuses(program: Program, words: list[str], status: int) -> None:
    done = program.run(*words)

    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
