"""Scrubbing and erasing as an operator does it: commands on real processes."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Program


def _scrub(program: Program, *options: str, status: int = 0) -> Any:
    done = program.run("doctor", "--scrub", *options)
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout)


def _ids(program: Program, query: str) -> list[str]:
    answer = program.ask("search", query, "--collection", "notes")
    named = [one["airweave_system_metadata"] for one in answer["results"]]
    return sorted({one["original_entity_id"] for one in named})


def test_scrub_and_erasure_from_the_command_line(
    program: Program, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for name in ("one", "two", "three"):
        (notes / f"{name}.md").write_text(f"The heron of note {name} waits.\n")
    server = program.serve()
    program.ask("sync", str(notes), "--collection", "notes")
    report = _scrub(program)
    assert (report["entities"], report["findings"], report["is_well"]) == (3, [], True)

    _erase_and_allow(program, notes)
    server.terminate()
    assert server.wait(60) == 0
    _damage_and_heal(program, notes)


def _erase_and_allow(program: Program, notes: Path) -> None:
    before = _ids(program, "heron")
    assert len(before) == 3

    [erased] = program.ask("entities", "delete", "notes", before[0], "--yes")

    assert (erased["was_stored"], erased["may_return"]) == (True, False)
    assert _ids(program, "heron") == before[1:]
    program.ask("sync", str(notes), "--collection", "notes")
    assert _ids(program, "heron") == before[1:]
    kept = notes.parent / "erased.json"
    kept.write_text(program.run("entities", "erased", "notes", "--json").stdout)
    [again] = program.ask("entities", "delete", "notes", "--again", str(kept), "--yes")
    assert again["entity_key"] == erased["entity_key"]
    assert again["was_stored"] is False

    program.ask("entities", "allow", "notes", before[0])

    program.ask("sync", str(notes), "--collection", "notes")
    assert _ids(program, "heron") == before


def _damage_and_heal(program: Program, notes: Path) -> None:
    """Without a server; the next job fills the table again."""
    [table] = (program.data_dir / "index").glob("*.lance")
    shutil.rmtree(table)

    looked = _scrub(program, "--dry-run", status=1)
    mended = _scrub(program)

    kinds = {one["damage"]: one["count"] for one in looked["findings"]}
    assert kinds == {"no_table": 1, "missing": 3}
    assert mended["is_well"]
    assert mended["waiting_for_a_job"] == 3
    [waiting] = mended["connections_to_run"]
    options = ("--data-dir", str(program.data_dir), "--no-json")
    told = program.run("doctor", "--scrub", *options).stdout
    run = f"Run: wellhead connections run {waiting} --data-dir {program.data_dir}\n"
    assert run in told
    program.ask("sync", str(notes), "--collection", "notes")
    assert len(_ids(program, "heron")) == 3
    last = program.run("doctor", "--scrub", "--no-json")
    assert (last.returncode, "Nothing is wrong." in last.stdout) == (0, True)


def test_what_makes_no_sense_is_refused_in_one_line(program: Program) -> None:
    alone = program.run("doctor", "--dry-run")
    nothing = program.run("doctor", "--scrub")

    assert alone.returncode == 2
    assert "--scrub" in alone.stderr
    assert (nothing.returncode, "nothing to scrub" in nothing.stderr) == (1, True)
    assert not (program.data_dir / "postgres").exists()
