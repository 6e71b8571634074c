"""Runs the benchmark: `python -m bench`; prints a table, writes bench/result.json."""

import asyncio
import json
import logging
import platform
import shutil
import sysconfig
import tempfile
import time
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from bench import floor, product

RESULT = Path(__file__).with_name("result.json")
STEPS = ("full", "noop", "delta")


def make_corpus(folder: Path) -> int:
    """Copy the standard library's modules; returns how many files there are."""
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        folder,
        ignore=lambda at, names: [
            name
            for name in names
            if name in {"site-packages", "__pycache__"}
            or ((Path(at) / name).is_file() and not name.endswith(".py"))
            or (Path(at) / name).is_symlink()
        ],
    )
    return len(list(folder.rglob("*.py")))


def change(folder: Path) -> None:
    """Change one file in a hundred and delete another one, the same ones each time."""
    files = sorted(folder.rglob("*.py"))
    for at in range(0, len(files) - 50, 100):
        files[at].write_text(files[at].read_text("utf-8", "replace") + "\n# changed\n")
        files[at + 50].unlink()


async def measure(corpus: Path, work: Path) -> dict[str, dict[str, float]]:
    """Return CPU and wall seconds of each step, for the floor and the product."""
    result: dict[str, dict[str, float]] = {}
    async with product.opened(corpus, work / "data") as bench:
        for step in STEPS:
            if step == "delta":
                change(corpus)
            cpu, wall = time.process_time(), time.monotonic()
            await floor.run(corpus, work / "floor")
            bare = time.process_time() - cpu, time.monotonic() - wall
            wall = time.monotonic()
            job, spent = await bench.sync()
            result[step] = {
                "floor_cpu_seconds": bare[0],
                "floor_wall_seconds": bare[1],
                "cpu_seconds": spent,
                "wall_seconds": time.monotonic() - wall,
                "inserted": job.counts.inserted,
                "updated": job.counts.updated,
                "deleted": job.counts.deleted,
                "kept": job.counts.kept,
            }
    return result


def show(files: int, result: dict[str, dict[str, float]]) -> None:
    table = Table(
        title=f"{files} files, null embedder, CPU seconds (worker + database)"
    )
    for name in ("step", "floor", "wellhead", "ratio", "wall s", "ins/upd/del/kept"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for step, row in result.items():
        counts = "/".join(
            str(int(row[name])) for name in ("inserted", "updated", "deleted", "kept")
        )
        table.add_row(
            step,
            f"{row['floor_cpu_seconds']:.2f}",
            f"{row['cpu_seconds']:.2f}",
            f"{row['cpu_seconds'] / max(row['floor_cpu_seconds'], 0.01):.1f}",
            f"{row['wall_seconds']:.2f}",
            counts,
        )
    Console().print(table)


def main() -> None:
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)
        (work / "floor").mkdir()
        files = make_corpus(work / "corpus")
        result = asyncio.run(measure(work / "corpus", work))
    show(files, result)
    about = {"python": platform.python_version(), "machine": platform.machine()}
    RESULT.write_text(json.dumps(about | {"files": files, "steps": result}, indent=1))


if __name__ == "__main__":
    main()
