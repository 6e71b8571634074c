"""Contenders against each other: each step of each in a fresh process, side by side."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import corpus

ROOT = Path(__file__).parents[1]
STEPS = ("full", "noop", "delta", "search")
STEP_SECONDS, STOP_SECONDS = 1_800, 30
Result = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who takes part, and which Python runs it."""

    name: str
    module: str
    python: Path = Path(sys.executable)

    @property
    def is_missing(self) -> bool:
        return not self.python.exists()


FLOOR = Entrant("floor", "bench.floor")
PRODUCT = Entrant("wellhead", "bench.product")
PEERS = tuple(
    Entrant(name, f"bench.peers.{name}", ROOT / f".venv-bench-{name}/bin/python")
    for name in ("cocoindex", "llamaindex")
)


def compete(
    entrants: tuple[Entrant, ...], original: Path, work: Path, say: Say
) -> dict[str, dict[str, Result]]:
    """Run one round; returns by step and entrant what it cost, or what went wrong."""
    files = work / "files"
    work.chmod(0o711)  # the database's own user passes through
    corpus.copy(original, files)
    told: dict[str, dict[str, Result]] = {}
    for step in STEPS:
        if step == "delta":
            corpus.change(files)
        told[step] = {}
        for one in entrants:
            before = next((told[name].get(one.name) for name in told), None)
            if before is not None and "error" in before:
                told[step][one.name] = before
                continue
            found = run(one, step, files, work)
            told[step][one.name] = found
            say(f"{step} {one.name}: {_short(found)}")
    return told


def run(entrant: Entrant, step: str, files: Path, work: Path) -> Result:
    if entrant.is_missing:
        return {"error": "not installed: `make bench-peers`"}
    home = work / entrant.name
    home.mkdir(exist_ok=True)
    out, log = home / f"{step}.json", home / f"{step}.log"
    words = [str(entrant.python), "-m", entrant.module, step]
    words += ["--corpus", str(files), "--work", str(home), "--out", str(out)]
    code = execute(words, log)
    if code == 0 and out.exists():
        found: Result = json.loads(out.read_text())
        return found
    return ended(code, log)


def ended(code: int | None, log: Path) -> Result:
    """Tell why there is no result: the last line that was written."""
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no word"]
    return {"error": f"ended with {code}: {last[0][:200]}"}


def execute(words: list[str], log: Path) -> int | None:
    """Run one of our programs to its end, or end it and its children in time."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own program
            words,
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            return process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let what still runs stop its servers, then end it and its children."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    """Let peers import the null embedder, and phone nobody."""
    return os.environ | {  # noqa: TID251  # a child's environment
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "COCOINDEX_DISABLE_USAGE_TRACKING": "1",
        "ANONYMIZED_TELEMETRY": "false",
        "RUST_LOG": "error",
    }


def medians(rounds: list[dict[str, dict[str, Result]]]) -> dict[str, dict[str, Result]]:
    """Return each entrant's medians of each step, with its ratio to the floor's.

    The ratio is the median of the rounds' ratios: what troubles a round troubles both.
    """
    return {
        step: {
            name: _median([one[step] for one in rounds], name)
            for name in rounds[0][step]
        }
        for step in rounds[0]
    }


def _median(rounds: list[dict[str, Result]], name: str) -> Result:
    found = [one[name] for one in rounds]
    bad = next((one for one in found if "error" in one), None)
    if bad is not None:
        return bad
    told: Result = {
        key: median(one[key] for one in found)
        for key, value in found[0].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    told["exact"] = all(one["exact"] for one in found)
    floors = [one[FLOOR.name] for one in rounds]
    if all("error" not in one for one in floors):
        told["ratio"] = _ratio(found, floors, lambda one: one["cpu"])
        told["memory_ratio"] = _ratio(found, floors, memory)
    return told


def _ratio(
    found: list[Result], floors: list[Result], of: Callable[[Result], float]
) -> float:
    return median(of(a) / max(of(b), 1e-6) for a, b in zip(found, floors, strict=True))


def memory(result: Mapping[str, Any]) -> float:
    """Return megabytes of the process and its children, and of its server."""
    return float(result["peak_mb"] + result["server_mb"])


def _short(found: Result) -> str:
    if "error" in found:
        return str(found["error"])
    exact = "" if found["exact"] else ", NOT EXACT"
    return f"{found['cpu']:.3f} CPU s, {memory(found):.0f} MB{exact}"
