"""A guard against getting slower: `python -m bench.quick`, in less than two minutes.

A small made-up corpus, the same on each machine, is synced by the product. What a step
costs is told in a unit that was measured just before and after it, which cancels the
machine's speed and some of its other work. The unit is what the floor does in one
thread: read, hash, cut and embed. (Lance's own threads cost now this, now half more.)
What seems slower than the committed baseline is measured once more.
"""

import argparse
import asyncio
import json
import platform
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench import contest, corpus, task
from wellhead.embed.null import NullEmbedder

BASELINE = Path(__file__).with_name("baseline.json")
FILES, ROUNDS, REPEATS = 600, 3, 5
STEPS = ("full", "noop", "delta")
MARGIN = 0.4
"""Two runs of the same code differ by up to a third while others use the machine."""
console = Console()


def measure() -> dict[str, float]:
    """Return the CPU of each step in units: the median of the rounds."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)
        corpus.build(work / "original", FILES, places=[])
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=work) as ring:
                rounds.append(_round(work / "original", Path(ring)))
    return {step: round(median(one[step] for one in rounds), 2) for step in STEPS}


def _round(original: Path, work: Path) -> dict[str, float]:
    work.chmod(0o711)
    corpus.copy(original, work / "files")
    told = {}
    for step in STEPS:
        if step == "delta":
            corpus.change(work / "files")
        before = asyncio.run(unit(original))
        found = contest.run(contest.PRODUCT, step, work / "files", work)
        if "error" in found or not found["exact"]:
            raise SystemExit(found.get("error", "the store holds something else"))
        after = asyncio.run(unit(original))
        told[step] = found["cpu"] * 2 / (before + after)
        console.print(f"{step}: {found['cpu']:.3f} CPU s, {told[step]:.2f} units")
    return told


async def unit(files: Path) -> float:
    """Return the CPU seconds of the floor's work without its store."""
    embedder, began = NullEmbedder(), time.process_time()
    for _ in range(REPEATS):
        for _, text in task.files(files):
            blake2b(text.encode(), digest_size=16).digest()
            await embedder.embed(list(task.cut(text)))
    return (time.process_time() - began) / REPEATS


def slower(found: dict[str, float], baseline: dict[str, Any]) -> list[str]:
    """Return the steps that cost more than the baseline and its margin allow."""
    most = {step: units * (1 + MARGIN) for step, units in baseline["steps"].items()}
    return [step for step in STEPS if found[step] > most[step]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--renew", action="store_true", help="write a new baseline")
    renew = parser.parse_args().renew
    found = measure()
    if renew:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        BASELINE.write_text(json.dumps({"steps": found, **about}, indent=1) + "\n")
        console.print(f"the baseline is now {found}")
        return
    baseline = json.loads(BASELINE.read_text())
    if slower(found, baseline):
        console.print("slower, it seems: once more")
        again = measure()
        found = {step: min(found[step], again[step]) for step in STEPS}
    bad = slower(found, baseline)
    for step in STEPS:
        was = baseline["steps"][step]
        change = (found[step] / was - 1) * 100
        word = "SLOWER" if step in bad else "fine"
        console.print(
            f"{step}: {found[step]:.2f}, was {was:.2f} ({change:+.0f} %) {word}"
        )
    if bad:
        console.print(
            f"More than {MARGIN:.0%} slower than the baseline. Run it again when the "
            "machine is quiet; if it is meant to be so: make bench-quick RENEW=--renew"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
