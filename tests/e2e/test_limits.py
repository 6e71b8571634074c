"""How much the real processes take for very many entities and for a huge file."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from os import sysconf
from pathlib import Path
from typing import Any

import httpx
import pytest

Program = Any  # the fixture's own class
Tell = Callable[[str], None]

MANY = 1_000_000
SOME = 20_000
MOST_MEGABYTES = 600
HUGE = 200 * 2**20
HUGE_MEGABYTES = 1_200
TICKS = sysconf("SC_CLK_TCK")
STUB = {"credentials": {"stub_key": "stub"}}


def ask(program: Program, method: str, path: str, **more: Any) -> httpx.Response:
    key = (program.data_dir / "api_key").read_text().strip()
    return httpx.request(
        method,
        f"{program.served['url']}{path}",
        headers={"x-api-key": key},
        timeout=60,
        **more,
    )


def api(program: Program, method: str, path: str, **more: Any) -> Any:
    answer = ask(program, method, path, **more)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def shared_out(pid: int) -> float:
    """Return the memory of a process, what it shares counted once among all."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / TICKS


@dataclass
class Watch:
    """What the worker, its upkeep of a table, and PostgreSQL take while a job runs."""

    program: Program
    worker: list[float] = field(default_factory=list)
    upkeep: list[float] = field(default_factory=lambda: [0.0])
    database: list[float] = field(default_factory=list)

    @property
    def worker_pid(self) -> int:
        found = [p for p, c in self.program.processes().items() if " worker" in c]
        assert len(found) == 1
        pid: int = found[0]
        return pid

    def _backends(self) -> Iterator[int]:
        """Yield PostgreSQL's processes; they overwrite what would name the folder."""
        main = self.program.postmaster()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if main in {int(process.name), int(fields[1])}:
                    yield int(process.name)

    def look(self) -> None:
        self.worker.append(megabytes(self.worker_pid))
        for pid, command in self.program.processes().items():
            if "wellhead.index.lance_process" in command:
                with suppress(OSError):  # it ends with its work
                    self.upkeep.append(megabytes(pid))
        total = 0.0
        for pid in self._backends():
            with suppress(OSError):
                total += shared_out(pid)
        self.database.append(total)

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds so far of the worker and of PostgreSQL."""
        main = self.program.postmaster()
        database = cpu_seconds(main, with_ended=True)
        for pid in self._backends():
            with suppress(OSError):
                database += 0 if pid == main else cpu_seconds(pid)
        return cpu_seconds(self.worker_pid, with_ended=True), database


def follow(
    watch: Watch, path: str, job: dict[str, Any], pause: float, lines: list[str]
) -> Any:
    """Watch a job to its end; adds what it took."""
    before, began, shown = watch.cpu(), time.monotonic(), 0.0
    while job["status"] in {"pending", "running"}:
        time.sleep(pause)
        job = next(
            one for one in api(watch.program, "GET", path) if one["id"] == job["id"]
        )
        watch.look()
        if time.monotonic() - shown > 20:
            shown = time.monotonic()
            lines.append(
                f"{shown - began:6.0f} s {job['entities_inserted']:8} inserted, worker"
                f" {watch.worker[-1]:.0f} MB, upkeep {watch.upkeep[-1]:.0f} MB,"
                f" database {watch.database[-1]:.0f} MB"
            )
    assert job["status"] == "completed", job
    after, seconds = watch.cpu(), job["duration_seconds"]
    lines.append(
        f"{seconds:.0f} s, CPU worker and upkeep {after[0] - before[0]:.0f} s, database"
        f" {after[1] - before[1]:.0f} s, peak worker {max(watch.worker):.0f} MB, upkeep"
        f" {max(watch.upkeep):.0f} MB, database {max(watch.database):.0f} MB"
    )
    return job


def found(program: Program, query: dict[str, str]) -> list[Any]:
    """Search the huge file; a search that took too long found nothing."""
    path = "/collections/huge/search/instant"
    answer = ask(program, "POST", path, json=query)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    results: list[Any] = answer.json()["results"]
    return results


def add_bulk(program: Program, count: int) -> tuple[str, Any]:
    """Connect the bulk source; returns the path of its jobs, and the first of them."""
    api(program, "POST", "/collections", json={"name": "Bulk", "readable_id": "bulk"})
    made = api(
        program,
        "POST",
        "/source-connections",
        json={
            "short_name": "bulk_stub",
            "readable_collection_id": "bulk",
            "authentication": STUB,
            "config": {"entity_count": count},
        },
    )
    return f"/source-connections/{made['id']}", made["sync"]["last_job"]


def test_memory_does_not_grow_with_the_number_of_entities(program: Program) -> None:
    program.serve()
    connection, job = add_bulk(program, SOME)
    watch, path = Watch(program), f"{connection}/jobs"
    halves: dict[str, float] = {}
    while job["status"] in {"pending", "running"}:
        job = api(program, "GET", path)[0]
        watch.look()
        if job["entities_inserted"] >= SOME // 2:
            halves.setdefault("first", watch.worker[-1])
    halves["second"] = max(watch.worker)

    assert job["status"] == "completed", job
    assert job["entities_inserted"] == SOME
    assert halves["second"] < MOST_MEGABYTES
    assert halves["second"] - halves.get("first", 0) < MOST_MEGABYTES / 3


@pytest.mark.soak
def test_a_million_entities_are_synced_in_flat_memory(
    program: Program, tell: Tell
) -> None:
    program.serve()
    connection, job = add_bulk(program, MANY)
    watch, path = Watch(program), f"{connection}/jobs"
    lines: list[str] = []

    job = follow(watch, path, job, 2, lines)
    lines.append(f"{MANY / job['duration_seconds']:.0f} entities/s")
    again = follow(watch, path, api(program, "POST", f"{connection}/run"), 1, lines)
    tell("\n".join(lines))

    assert job["entities_inserted"] == MANY
    assert (again["entities_inserted"], again["entities_updated"]) == (0, 0)
    assert again["entities_deleted"] == 0
    assert max(watch.worker) < MOST_MEGABYTES


@pytest.mark.soak
def test_a_text_file_of_200_megabytes_is_searchable(
    program: Program, tmp_path: Path, tell: Tell
) -> None:
    big = tmp_path / "files" / "big.txt"
    big.parent.mkdir()
    tmp_path.chmod(0o755)
    with big.open("w") as file:
        for number in range(HUGE // 64):
            line = f"line {number:08} of a huge file, with content and words "
            file.write(f"{line.ljust(63, '-')}\n")
    assert HUGE - 64 <= big.stat().st_size <= HUGE
    program.serve()
    api(program, "POST", "/collections", json={"name": "Huge", "readable_id": "huge"})
    made = api(
        program,
        "POST",
        "/source-connections",
        json={
            "short_name": "file_system",
            "readable_collection_id": "huge",
            "config": {"path": str(big.parent)},
        },
    )
    watch, path = Watch(program), f"/source-connections/{made['id']}/jobs"
    lines: list[str] = []
    job = follow(watch, path, made["sync"]["last_job"], 0.5, lines)

    assert (job["entities_inserted"], job["entities_failed"]) == (1, 0)
    # words are found at once, but slowly until the maintainer has indexed so many
    query = {"query": f"{HUGE // 64 - 1:08}", "retrieval_strategy": "keyword"}
    began = time.monotonic()
    while not (results := found(program, query)):
        assert time.monotonic() < began + 600, "its last line is not found"
        time.sleep(1)
    lines.append(f"found {time.monotonic() - began:.0f} s after the job ended")
    tell("\n".join(lines))
    assert query["query"] in results[0]["textual_representation"]
    assert max(watch.worker) < HUGE_MEGABYTES
