"""One step of one contender, in a process of its own: run, measured, read back.

Peers run this in their own environments: it may import nothing but the standard
library and the null embedder, which needs NumPy.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from pathlib import Path

QUERIES, TOP = 100, 10
CHUNK_CHARACTERS = 700
_TICKS = os.sysconf("SC_CLK_TCK")
Pairs = Iterable[tuple[str, str]]


class Contender(ABC):
    """A store that is brought up to a folder, read back and searched."""

    async def ask(self) -> None:  # noqa: B027  # most are not asked
        """Do what somebody else does before the work begins: it is not measured."""

    @abstractmethod
    async def sync(self) -> None:
        """Bring the store up to the folder: what is measured."""

    @abstractmethod
    async def contents(self) -> Pairs:
        """Read the whole store back: the path and text of each chunk."""

    @abstractmethod
    async def search(self, text: str) -> list[str]:
        """Return the texts of the ten chunks nearest to this one."""

    async def upkeep(self) -> None:  # noqa: B027  # most need none
        """Do what this store wants done between a sync and a search."""

    def passages(self, path: str, text: str) -> Iterator[str]:  # noqa: ARG002
        """Cut a text as this contender does."""
        return cut(text)

    def query_of(self, path: str, chunk: str) -> str:  # noqa: ARG002
        """Return what must be asked to find this very chunk first."""
        return chunk

    def other_seconds(self) -> float:
        """Return the CPU seconds of servers that are no children of this process."""
        return 0.0

    def other_megabytes(self) -> float:
        return 0.0


Open = Callable[[Path, Path], AbstractAsyncContextManager[Contender]]


def cut(text: str) -> Iterator[str]:
    """Yield pieces of at most 700 characters, cut after a line where there is one."""
    start, end = 0, len(text)
    while start < end:
        stop = start + CHUNK_CHARACTERS
        if stop < end:
            line = text.rfind("\n", start, stop) + 1
            stop = line if line > start else stop
        piece = text[start:stop]
        if piece.strip():
            yield piece
        start = stop


def files(corpus: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and text of each file."""
    root = str(corpus)
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            text = Path(path).read_bytes().decode("utf-8", "replace")
            yield path[len(root) + 1 :], text


class Meter:
    """CPU seconds of this process, its children and its servers, since it was made."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._others = self._other_seconds()
        # last here and first there: reading the others' clocks is not what is measured
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        return {"cpu": cpu + self._other_seconds() - self._others, "wall": wall}

    def _other_seconds(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        living = sum(_ticks(pid) for pid in _descendants())
        return (
            ended.ru_utime
            + ended.ru_stime
            + living / _TICKS
            + self._contender.other_seconds()
        )


def peak_megabytes() -> float:
    """Return the most memory that this process and its living children ever held."""
    return sum(map(_peak, [os.getpid(), *_descendants()])) / 1024


def _descendants() -> list[int]:
    """Name the living processes that this one started, and theirs."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    ahead = children.get(os.getpid(), [])
    while ahead:
        found.append(ahead.pop())
        ahead += children.get(found[-1], [])
    return found


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(map(int, fields[11:15]))


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(one.split()[1]) for one in lines if one.startswith("VmHWM")), 0)


def tally(pairs: Pairs) -> dict[str, int | str]:
    """Count documents and chunks; the digest holds each chunk, whatever the order."""
    documents: set[str] = set()
    chunks, total = 0, 0
    for path, text in pairs:
        documents.add(path)
        chunks += 1
        data = f"{path}\0{text}".encode("utf-8", "replace")
        total += int.from_bytes(blake2b(data, digest_size=16).digest())
    digest = f"{total % 2**128:032x}"
    return {"documents": len(documents), "chunks": chunks, "digest": digest}


def wanted(contender: Contender, corpus: Path) -> list[tuple[str, str]]:
    """Return what the store must hold now."""
    return [
        (path, chunk)
        for path, text in files(corpus)
        for chunk in contender.passages(path, text)
    ]


async def _sync(contender: Contender, corpus: Path) -> dict[str, object]:
    await contender.ask()
    meter = Meter(contender)
    await contender.sync()
    told: dict[str, object] = {
        **meter.read(),
        "peak_mb": peak_megabytes(),
        "server_mb": contender.other_megabytes(),
    }
    began = time.process_time()
    should = wanted(contender, corpus)
    told["cut_cpu"] = time.process_time() - began
    found = tally(await contender.contents())
    meter = Meter(contender)
    await contender.upkeep()
    told["upkeep_cpu"] = meter.read()["cpu"]
    return told | found | {"exact": found == tally(should)}


async def _search(contender: Contender, corpus: Path) -> dict[str, object]:
    await contender.upkeep()  # some hold in memory what they search
    chunks = sorted(wanted(contender, corpus))
    asked = chunks[:: max(1, len(chunks) // QUERIES)][:QUERIES]
    queries = [(contender.query_of(path, text), text) for path, text in asked]
    await contender.search(queries[0][0])
    walls, right = [], 0
    meter = Meter(contender)
    for query, text in queries:
        began = time.monotonic()
        hits = await contender.search(query)
        walls.append(time.monotonic() - began)
        right += len(hits) == TOP and hits[0] == text
    told: dict[str, object] = {
        "cpu": meter.read()["cpu"] / len(queries),
        "p50": sorted(walls)[len(walls) // 2],
        "p99": sorted(walls)[len(walls) * 99 // 100],
        "peak_mb": peak_megabytes(),
        "server_mb": contender.other_megabytes(),
        "exact": right == len(queries),
        "right": right,
    }
    return told


async def _run(opened: Open, step: str, corpus: Path, work: Path) -> dict[str, object]:
    """Load every library by syncing a few files, then do what is asked."""
    warm = work / f"warm-{step}"
    (warm / "corpus").mkdir(parents=True)
    for number in range(20):
        text = f"def passage_{number}():\n    return {number}\n" * 10
        (warm / "corpus" / f"{number}.py").write_text(text)
    async with opened(warm / "corpus", warm) as contender:
        await contender.ask()
        await contender.sync()
        await contender.upkeep()
        await contender.search("passage")
    gc.collect()
    gc.freeze()  # as servers do: nothing looks through what was loaded again
    async with opened(corpus, work) as contender:
        start = time.process_time()
        measure = _search if step == "search" else _sync
        return {"start_cpu": start} | await measure(contender, corpus)


def main(opened: Open) -> None:
    """Run the step that the command line names and write what it cost as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("full", "noop", "delta", "search"))
    for name in ("--corpus", "--work", "--out"):
        parser.add_argument(name, type=Path, required=True)
    given = parser.parse_args()
    told = asyncio.run(_run(opened, given.step, given.corpus, given.work))
    given.out.write_text(json.dumps(told))
