"""Another embedder, on real processes: killed while it embeds anew, searched always."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Program

NOTES = 400


def _check(program: Program, name: str) -> Any:
    told = program.run("doctor", "--json").stdout

    [found] = [one for one in json.loads(told)["checks"] if one["check"] == name]
    return found


def _workers(program: Program) -> list[int]:
    found = program.processes().items()
    return [pid for pid, command in found if "processes worker" in command]


def _ids(program: Program, query: str) -> set[str]:
    answer = program.ask("search", query, "--collection", "notes", "--limit", "1000")
    named = [one["airweave_system_metadata"] for one in answer["results"]]
    return {one["original_entity_id"] for one in named}


def test_it_is_changed_by_a_restart_and_survives_kills(
    program: Program, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(NOTES):
        (notes / f"{number:03}.md").write_text(f"The heron of note {number} waits.\n")
    server = program.serve()
    program.ask("sync", str(notes), "--collection", "notes")
    everything = _ids(program, "heron")
    assert len(everything) == NOTES
    server.terminate()
    assert server.wait(60) == 0
    program.more["WELLHEAD_EMBEDDER_DIMENSION"] = "96"
    assert _check(program, "vectors")["found"].startswith("embedding anew with null")

    program.serve()
    for _ in range(3):
        program.until(lambda: _workers(program), "a worker lives")
        os.kill(_workers(program)[0], signal.SIGKILL)
        assert _ids(program, "heron") == everything
    (notes / "late.md").write_text("The heron that came late.\n")
    program.ask("sync", str(notes), "--collection", "notes")

    program.until(lambda: _is_changed(program), "all vectors are of the new embedder")
    assert len(_ids(program, "heron")) == NOTES + 1
    assert _check(program, "vectors")["found"] == "all of null"
    scrubbed = program.ask("doctor", "--scrub", "--dry-run")
    assert (scrubbed["findings"], scrubbed["entities"]) == ([], NOTES + 1)
    told = program.ask("reindex", "--dry-run")
    assert (told["entities"], told["embedded_anew"]) == (0, [])


def _is_changed(program: Program) -> bool:
    [one] = program.ask("collections", "list")
    return bool(one["vector_size"] == 96)
