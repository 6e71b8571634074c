"""Quarantine and held deletes from the command line, against a real server."""

import shlex
from pathlib import Path
from typing import Any

Program = Any  # the fixture's own class


def test_what_failed_for_good_is_listed_and_retried(
    served_program: Program, tmp_path: Path
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "good.md").write_text("The heron waits at the weir.\n")
    broken = folder / "broken.txt"
    broken.write_bytes(b"\x00\x01\x02\x03" * 8)
    done = served_program.ask("sync", str(folder), "--collection", "papers")
    connection = done["source_connection"]

    [step] = done["next_steps"]
    [failed] = served_program.ask(*shlex.split(step["command"])[1:])["failures"]
    assert failed["class"] == "permanent"
    assert failed["source_id"].endswith("broken.txt")
    [same] = served_program.ask("failures", connection)["failures"]
    assert same == failed

    retried = served_program.ask(
        *("failures", "retry", connection, failed["source_id"], "--follow")
    )
    assert (retried["entities"], retried["in_quarantine"]) == (1, 1)
    [again] = served_program.ask("failures", connection)["failures"]
    assert again["attempts"] == failed["attempts"] + 1
    assert again["job_id"] == retried["job"]["id"]
    assert served_program.run("failures", "retry", connection, "typo").returncode == 1


def test_held_deletes_are_confirmed_by_the_command_that_is_shown(
    served_program: Program, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(130):
        (folder / f"{n:03}.txt").write_text(f"note {n}\n")
    served_program.ask("sync", str(folder), "--collection", "many")
    for n in range(120):
        (folder / f"{n:03}.txt").unlink()

    held = served_program.ask("sync", str(folder), "--collection", "many")
    assert held["job"]["entities_deleted"] == 0
    shown = served_program.ask("connections", "show", held["source_connection"])
    assert shown["deletes_held"]["count"] == 120
    [step] = shown["next_steps"]
    wrong = served_program.run(
        *("connections", "run", held["source_connection"], "--confirm-deletes", "7")
    )
    assert wrong.returncode == 1
    assert "--confirm-deletes 120" in wrong.stderr

    started = served_program.ask(*shlex.split(step["command"])[1:])
    ended = served_program.ask("jobs", "watch", started["id"])

    assert (ended["status"], ended["entities_deleted"]) == ("completed", 120)
    assert served_program.ask("jobs", "show", ended["id"])["next_steps"] == []
