"""What the sources themselves cost: `python -m bench.sources`.

Each source reads what there is and hands it to nobody; where later jobs only list, that
is measured apart from describing it all, as for a first job. Beside it the bare client
library makes the same reads: psycopg the same rows, the standard library the same
files, httpx the same pages of the same server. They take turns; medians are told, of
the ratios those of one turn.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench import corpus, rows
from bench.api import installed, serve
from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.domain.items import Item, Listed, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Source, SourceInfo
from wellhead.sources.connectors.file_system.source import FileSystemSource
from wellhead.sources.connectors.postgresql.source import PostgreSQLSource
from wellhead.sources.http import Api, ApiSource, Call, by_cursor, pages

RESULT = Path(__file__).with_name("result-sources.json")
TURNS = 5
DONE = {False: "listed", True: "described"}
PAGES, RECORDS = 200, 100


@dataclass(frozen=True, slots=True)
class Turn:
    """CPU and clock seconds of reading so many things."""

    count: int
    cpu: float
    wall: float


class PagesSource(ApiSource):
    """Records of the bench's own server, on the kit that HTTP sources use."""

    info = SourceInfo(
        short_name="bench_pages",
        name="Pages",
        description="Pages of records.",
        entity_types=("Record",),
        tested=Tested.FAKE,
    )
    api = Api(name="Pages", base_url="http://unset")

    async def check(self) -> None:
        await self.http.get_json("/records")

    async def read(self, _cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        paging = by_cursor("page", "next")
        async for page in pages(
            self.http, Call(url="/records"), paging, records="records"
        ):
            for one in page.records:
                yield Upsert(
                    Entity(
                        type="Record",
                        source_id=one["id"],
                        name=one["title"],
                        text=one["body"],
                        source_version=one["changed"],
                        raw=one,
                    )
                )
        yield ScopeEnd()


async def read(source: Source, *, describing: bool) -> int:
    """Take all that it yields and, describing it, its files; returns how many."""
    count = 0
    try:
        async for item in source.read(None):
            if isinstance(item, Upsert | Listed):
                count += 1
                blob = item.entity.blob if describing else None
                if blob is not None:
                    blob.open().read_bytes()
    finally:
        await source.close()
    return count


def read_files(root: Path, *, opening: bool) -> int:
    count = 0
    for folder, _, names in os.walk(root):
        for name in names:
            place = Path(folder, name)
            place.stat()
            if opening:
                place.read_bytes()
            count += 1
    return count


async def read_pages(url: str) -> int:
    count = 0
    place: str | None = ""
    async with httpx.AsyncClient(base_url=url) as client:
        while place is not None:
            answer = await client.get("/records", params={"page": place})
            told = answer.raise_for_status().json()
            count += len(told["records"])
            place = told["next"]
    return count


Work = Callable[[], Coroutine[Any, Any, int]]


def turn(work: Work) -> Turn:
    cpu, wall = time.process_time(), time.monotonic()
    count = asyncio.run(work())
    return Turn(count, time.process_time() - cpu, time.monotonic() - wall)


def compare(source: Work, bare: Work) -> dict[str, float]:
    """Let both take turns; rates are things a second, by the clock and by CPU time."""
    turn(source)  # whoever is first pays for imports and caches
    turns = [(turn(bare), turn(source)) for _ in range(TURNS)]
    if len({one.count for both in turns for one in both}) != 1:
        raise RuntimeError("the two have not read the same")
    count = turns[0][0].count
    return {
        "count": count,
        "bare_per_second": median(count / bare.wall for bare, _ in turns),
        "per_second": median(count / ours.wall for _, ours in turns),
        "bare_per_cpu_second": median(count / bare.cpu for bare, _ in turns),
        "per_cpu_second": median(count / ours.cpu for _, ours in turns),
        "ratio": median(bare.wall / ours.wall for bare, ours in turns),
        "cpu_ratio": median(bare.cpu / ours.cpu for bare, ours in turns),
    }


async def read_rows(url: str, *, describing: bool) -> int:
    wanted = rows.source(url, "ticket")
    known = dict(wanted.config), dict(wanted.credentials or {})
    return await read(PostgreSQLSource.create(*known), describing=describing)


async def read_rows_bare(url: str) -> int:
    return rows.read_bare(url)


async def read_folder(folder: Path, *, describing: bool) -> int:
    config = {
        "path": str(folder),
        "include_hidden": True,
        "use_ignore_files": False,
    }
    return await read(FileSystemSource.create(config, {}), describing=describing)


async def read_folder_bare(folder: Path, *, opening: bool) -> int:
    return read_files(folder, opening=opening)


def compare_rows(count: int) -> Iterator[tuple[str, dict[str, float]]]:
    with installed() as (_, postgres):
        url = postgres.url
        rows.fill(url, count)
        bare = partial(read_rows_bare, url)
        for is_whole, done in DONE.items():
            source = partial(read_rows, url, describing=is_whole)
            yield f"postgresql, rows {done}", compare(source, bare)


def compare_files(files: int) -> Iterator[tuple[str, dict[str, float]]]:
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as name:
        folder = Path(name)
        corpus.build(folder, files)
        for is_whole, done in DONE.items():
            source = partial(read_folder, folder, describing=is_whole)
            bare = partial(read_folder_bare, folder, opening=is_whole)
            yield f"file_system, files {done}", compare(source, bare)


def compare_pages() -> Iterator[tuple[str, dict[str, float]]]:
    with serve(["bench.paged", str(PAGES), str(RECORDS)], {}) as server:

        class Here(PagesSource):
            api = Api(name="Pages", base_url=server.url)

        def source() -> Coroutine[Any, Any, int]:
            return read(Here.create({}, {}), describing=True)

        bare = partial(read_pages, server.url)
        yield "HTTP kit, records described", compare(source, bare)


def show(found: dict[str, dict[str, float]]) -> None:
    table = Table(title="Sources beside the bare client library, things a second")
    for name in ("reads", "count", "bare", "source", "ratio", "ratio of CPU"):
        table.add_column(name, justify="left" if name == "reads" else "right")
    for name, one in found.items():
        table.add_row(
            name,
            f"{one['count']:,.0f}",
            f"{one['bare_per_second']:,.0f}",
            f"{one['per_second']:,.0f}",
            f"{one['ratio']:.2f}",
            f"{one['cpu_ratio']:.2f}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=10_000)
    given = parser.parse_args()
    reads = compare_rows(given.rows), compare_files(given.files), compare_pages()
    found = dict(chain.from_iterable(reads))
    told = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "reads": found,
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    show(found)


if __name__ == "__main__":
    main()
