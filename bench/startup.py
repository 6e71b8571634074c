"""What starting and doing nothing cost: `python -m bench.startup`.

Processor time is that of Wellhead's processes and of the embedded PostgreSQL. Memory is
the proportional set size: a page that processes share counts once in all.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from wellhead.app.postgres import EmbeddedPostgres

RESULT = Path(__file__).with_name("result-startup.json")
COMMAND = [sys.executable, "-m", "wellhead.app.cli"]
HELPS = ("--help", "jobs list --help", "sync --help")
TIMES = 7
STARTS = 3
SETTLE_SECONDS, IDLE_SECONDS = 15.0, 60.0
DEADLINE_SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")
TARGETS = {
    "help_cpu_seconds": 0.3,
    "ready_seconds": 3.0,
    "idle_megabytes": 250.0,
    "idle_percent_of_a_core": 1.0,
}


def environment(data_dir: Path) -> dict[str, str]:
    inherited = os.environ.items()  # noqa: TID251  # a child's environment
    kept = {name: value for name, value in inherited if "WELLHEAD" not in name}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
    compiled = {"PYTHONPYCACHEPREFIX": str(data_dir.parent / "compiled")}
    return kept | compiled | {"WELLHEAD_DATA_DIR": str(data_dir)}


def help_seconds(words: str, data_dir: Path) -> float:
    """Return the least processor time that a command took."""
    spent = []
    for _ in range(TIMES):
        process = subprocess.Popen(  # noqa: S603  # our own program
            [*COMMAND, *words.split()],
            stdout=subprocess.DEVNULL,
            env=environment(data_dir),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"wellhead {words} failed")
        spent.append(usage.ru_utime + usage.ru_stime)
    return min(spent)


@dataclass(frozen=True, slots=True)
class Server:
    """A `wellhead serve` that answers, and how it came to that."""

    url: str
    data_dir: Path
    ready_seconds: float
    ready_cpu_seconds: float

    @property
    def key(self) -> str:
        return (self.data_dir / "api_key").read_text().strip()


@contextlib.contextmanager
def served(data_dir: Path, *options: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (data_dir / "stderr").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  # our own program
            [*COMMAND, "serve", "--port", str(port), *options],
            stdout=log,
            stderr=log,
            env=environment(data_dir),
        )
    try:
        until(lambda: _is_ready(url), process)
        ready = time.monotonic() - began
        yield Server(url, data_dir, ready, sum(cpu_seconds(data_dir).values()))
    finally:
        process.terminate()
        process.wait(60)


def until(holds: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not get there")
        time.sleep(0.01)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


def processes(data_dir: Path) -> Iterator[Path]:
    """Yield the /proc folders of what runs for this data directory."""
    cluster, named = (data_dir / "postgres").resolve(), os.fsencode(data_dir)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_postgres = (process / "cwd").resolve() == cluster
            if (
                is_postgres
                or b"DATA_DIR=" + named in (process / "environ").read_bytes()
            ):
                yield process


def cpu_seconds(data_dir: Path) -> dict[str, float]:
    """Return the processor time of each process, with that of its ended children."""
    spent = {}
    for process in processes(data_dir):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            spent[process.name] = sum(map(int, fields[11:15])) / TICKS
    return spent


def megabytes(data_dir: Path) -> dict[str, float]:
    """Return the proportional set size of the whole, by kind of process."""
    found = dict.fromkeys(("api", "worker", "supervisor", "postgresql", "other"), 0.0)
    for process in processes(data_dir):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            size = re.search(r"^Pss:\s+(\d+)", _read(process / "smaps_rollup"), re.M)
            kind = "postgresql" if b"postgres" in words[0] else "other"
            if b"wellhead.app.processes" in words:
                kind = "api" if b"api" in words else "worker"
            elif b"wellhead.app.cli" in words:
                kind = "supervisor"
            found[kind] += int(size[1]) / 1024 if size else 0.0
    return found


def _read(file: Path) -> str:
    return file.read_text()


def first_claim(data_dir: Path) -> dict[str, Any]:
    """Start a worker where a job waits; return how long until the job is claimed."""
    folder = data_dir.parent / "notes"
    folder.mkdir()
    (folder / "one.md").write_text("# One note\n")
    with served(data_dir, "--workers", "0") as server:
        with httpx.Client(
            base_url=server.url, headers={"x-api-key": server.key}, timeout=60
        ) as client:
            collection = client.post("/collections", json={"name": "Startup"})
            about = {
                "name": "Notes",
                "short_name": "file_system",
                "readable_collection_id": collection.json()["readable_id"],
                "config": {"path": str(folder)},
                "sync_immediately": True,
            }
            client.post("/source-connections", json=about).raise_for_status()
        with (data_dir / "stderr").open("ab") as log:
            began = time.monotonic()
            worker = subprocess.Popen(  # noqa: S603  # our own program
                [*COMMAND, "worker"], stderr=log, env=environment(data_dir)
            )
        try:
            return _wait_for_claim(worker, EmbeddedPostgres.at(data_dir).url, began)
        finally:
            worker.terminate()
            worker.wait(60)


def _wait_for_claim(
    worker: subprocess.Popen[bytes], url: str, began: float
) -> dict[str, Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT EXISTS (SELECT FROM sync_job WHERE status <> 'pending')"
        until(lambda: connection.execute(query).fetchone() == (True,), worker)
    claimed = time.monotonic() - began
    maps = _read(Path(f"/proc/{worker.pid}/maps"))
    fields = _read(Path(f"/proc/{worker.pid}/stat")).rpartition(")")[2].split()
    return {
        "claim_seconds": claimed,
        "claim_cpu_seconds": (int(fields[11]) + int(fields[12])) / TICKS,
        "is_index_loaded_at_claim": "lancedb" in maps,
    }


def idle(data_dir: Path) -> dict[str, Any]:
    with served(data_dir):
        time.sleep(SETTLE_SECONDS)
        before = cpu_seconds(data_dir)
        time.sleep(IDLE_SECONDS)
        after = cpu_seconds(data_dir)
        sizes = megabytes(data_dir)
    spent = sum(now - before.get(process, 0.0) for process, now in after.items())
    return {
        "idle_megabytes": sum(sizes.values()),
        "idle_megabytes_of": sizes,
        "idle_percent_of_a_core": 100 * spent / IDLE_SECONDS,
    }


def measure(work: Path) -> dict[str, Any]:
    data_dir = work / "data"
    data_dir.mkdir(mode=0o711)
    told: dict[str, Any] = {
        "help_cpu_seconds_of": {one: help_seconds(one, data_dir) for one in HELPS}
    }
    told["help_cpu_seconds"] = max(told["help_cpu_seconds_of"].values())
    with served(data_dir) as server:
        told["first_ready_seconds"] = server.ready_seconds
    starts = []
    for _ in range(STARTS):
        with served(data_dir) as server:
            starts.append((server.ready_seconds, server.ready_cpu_seconds))
    told["ready_seconds"] = statistics.median(one for one, _ in starts)
    told["ready_cpu_seconds"] = min(cpu for _, cpu in starts)
    return told | idle(data_dir) | first_claim(data_dir)


def show(told: dict[str, Any]) -> None:
    table = Table(title="Starting, and doing nothing")
    for name in ("what", "measured", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for name, value in told.items():
        if isinstance(value, dict):
            for part, of_it in value.items():
                table.add_row(f"  {part}", f"{of_it:.2f}", "")
            continue
        target = f"≤ {TARGETS[name]:g}" if name in TARGETS else ""
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        table.add_row(name.replace("_", " "), shown, target)
    Console().print(table)


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="wellhead-startup-"))
    work.chmod(0o711)
    try:
        told = measure(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    show(told)
    about = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }
    RESULT.write_text(json.dumps(about | told, indent=1) + "\n")


if __name__ == "__main__":
    main()
