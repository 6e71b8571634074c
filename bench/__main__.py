"""Runs the benchmark: `python -m bench`; prints a table, writes JSON and the page."""

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import contest, corpus, report

RESULT = Path(__file__).with_name("result.json")
PEER_PACKAGES = {"cocoindex": "cocoindex", "llamaindex": "llama-index-core"}
console = Console(stderr=True)


def about() -> dict[str, Any]:
    """Describe the machine and the day."""
    memory = next(
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",  # noqa: TID251  # the real one
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "memory_gb": round(memory / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    found = {"wellhead": metadata.version("wellhead")}
    found["lancedb"] = metadata.version("lancedb")
    for peer in contest.PEERS:
        packages = peer.python.parents[1] / "lib"
        package = PEER_PACKAGES[peer.name]
        for folder in packages.glob("python*/site-packages"):
            for one in metadata.distributions(name=package, path=[str(folder)]):
                found[peer.name] = one.version
    return found


def step(module: str, work: Path, *words: str) -> contest.Result:
    """Run one measurement in a process of its own."""
    out, log = work / f"{module}.json", work / f"{module}.log"
    command = [sys.executable, "-m", module, *words, "--out", str(out)]
    code = contest.execute(command, log)
    if code != 0:
        return contest.ended(code, log)
    found: contest.Result = json.loads(out.read_text())
    return found


def memory_steps(sizes: list[int], work: Path) -> list[contest.Result]:
    return [step("bench.memory", work, "--entities", str(size)) for size in sizes]


def run(given: argparse.Namespace) -> dict[str, Any]:
    entrants = (contest.FLOOR, contest.PRODUCT, *contest.PEERS)
    told: dict[str, Any] = {"about": about()}
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)
        made = corpus.build(work / "original", given.files)
        told["corpus"] = {
            "files": made.files,
            "places": made.places,
            "bytes": made.bytes,
            "digest": made.digest,
        }
        console.print(f"{made.files} files, {made.bytes / 1e6:.1f} MB: {made.places}")
        if given.rows:
            console.print(f"{given.rows} rows of PostgreSQL")
            told["rows"] = step("bench.rows", work, "--rows", str(given.rows))
        if given.minilm:
            console.print(f"{given.minilm} files with MiniLM")
            told["minilm"] = step("bench.minilm", work, "--files", str(given.minilm))
        if given.entities:
            console.print(f"memory of {given.entities} entities")
            told["memory"] = memory_steps(given.entities, work)
        told["rounds"] = []
        for number in range(given.rounds):
            console.print(f"round {number + 1} of {given.rounds}")
            with tempfile.TemporaryDirectory(dir=work) as ring:
                found = contest.compete(
                    entrants, work / "original", Path(ring), console.print
                )
            told["rounds"].append(found)
            told["steps"] = contest.medians(told["rounds"])
            given.out.write_text(json.dumps(told, indent=1))
    return told


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--minilm", type=int, default=100, help="files")
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--entities", type=int, nargs="*", default=sizes)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    told = run(given)
    report.show(told)
    if given.out == RESULT:
        report.write_page(told)


if __name__ == "__main__":
    main()
