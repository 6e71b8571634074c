"""How the installation does: its parts, its workers and queues, and what is wrong."""

import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from wellhead import __version__
from wellhead.domain.errors import SyncError
from wellhead.domain.glances import JobGlance
from wellhead.services import overview
from wellhead.services.parts import Parts
from wellhead.store import system as store
from wellhead.store.system import DatabaseFacts, Queued, TableSize, WorkerBeat

MOST_COLLECTIONS = 25
SILENT = timedelta(seconds=20)
"""A worker that has not beaten for so long is dead, or its machine asleep."""
WAITING = timedelta(minutes=2)
CLOCKS_APART = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class IndexSize:
    """How much disk a collection's passages take."""

    readable_id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that data and index are on."""

    path: str
    total: int
    free: int
    needed: int
    """Below this nothing more is written."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found, and what to do if it is bad."""

    name: str
    is_well: bool
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Everything that the page about the installation shows."""

    versions: Sequence[tuple[str, str]]
    database: DatabaseFacts
    tables: Sequence[TableSize]
    workers: Sequence[WorkerBeat]
    queue: Sequence[Queued]
    leases: Sequence[JobGlance]
    """Jobs of the organization that asks."""
    disk: Disk | None
    checks: Sequence[Check]


async def describe_system(parts: Parts, organization_id: UUID) -> System:
    """Read what the database and the disk say; cheap, and loads nothing."""
    database = await store.facts(parts.reads)
    workers = await store.workers(parts.reads)
    queue = await store.queue(parts.reads)
    disk = _disk(parts)
    return System(
        versions=_versions(parts, database),
        database=database,
        tables=await store.largest_tables(parts.reads),
        workers=workers,
        queue=queue,
        leases=await overview.list_open_jobs(parts, organization_id),
        disk=disk,
        checks=[
            *_check_database(parts, database),
            _check_workers(workers, database),
            _check_queue(queue, database),
            *([] if disk is None else [_check_disk(disk)]),
        ],
    )


async def index_sizes(parts: Parts, organization_id: UUID) -> list[IndexSize]:
    """Measure the newest collections of an organization; loads the index."""
    found = await store.newest_collections(
        parts.reads, organization_id, limit=MOST_COLLECTIONS
    )
    return [
        IndexSize(readable_id, name, await parts.index.disk_bytes(ident))
        for ident, readable_id, name in found
    ]


async def check_more(parts: Parts) -> list[Check]:
    """Try what takes a moment: the index and the embedder have to be loaded."""
    tables = await parts.index.tables()
    found = [Check("Index", True, f"opened, {len(tables)} tables")]  # noqa: FBT003
    try:
        vector = await parts.embedder.embed_query("is anybody there?")
    except SyncError as error:
        advice = "Look into the server's log; keyword search works without it."
        found.append(Check("Embedder", is_well=False, found=str(error), advice=advice))
    else:
        is_right = vector.nbytes == parts.embedder.dimension * 4
        said = f"{parts.embedder.name} answered with {vector.nbytes // 4} numbers"
        found.append(Check("Embedder", is_right, said))
    return found


def _versions(parts: Parts, database: DatabaseFacts) -> list[tuple[str, str]]:
    model, reranker = parts.language_model, parts.reranker
    return [
        ("Wellhead", __version__),
        ("Python", platform.python_version()),
        ("PostgreSQL", database.server_version),
        ("Schema", database.schema or "not made yet"),
        ("Embedder", f"{parts.embedder.name}, {parts.embedder.dimension} dimensions"),
        ("Language model", "none" if model is None else model.name),
        ("Reranker", "none" if reranker is None else reranker.name),
        ("Sources", str(len(parts.sources.all()))),
    ]


def _disk(parts: Parts) -> Disk | None:
    folder = parts.limits.data_dir
    if folder is None or not folder.exists():
        return None
    usage = shutil.disk_usage(folder)
    return Disk(str(folder), usage.total, usage.free, parts.limits.min_free_bytes)


def _check_database(parts: Parts, database: DatabaseFacts) -> Iterator[Check]:
    share = database.connections / max(1, database.most_connections)
    yield Check(
        "Database",
        share < 0.9,
        f"{database.connections} of {database.most_connections} connections in use",
        "Raise max_connections, or run fewer processes.",
    )
    apart = abs(parts.clock.now() - database.now)
    yield Check(
        "Clocks",
        apart < CLOCKS_APART,
        f"server and database are {apart.total_seconds():.1f} seconds apart",
        "Let both machines keep time with NTP.",
    )


def _check_workers(workers: Sequence[WorkerBeat], database: DatabaseFacts) -> Check:
    alive = [one for one in workers if database.now - one.last_beat_at < SILENT]
    return Check(
        "Workers",
        bool(alive),
        f"{len(alive)} take tasks, {len(workers) - len(alive)} are silent",
        "Nothing is synced: start `wellhead serve` with workers, or `wellhead worker`.",
    )


def _check_queue(queue: Sequence[Queued], database: DatabaseFacts) -> Check:
    oldest = min((one.oldest_at for one in queue if one.oldest_at), default=None)
    waits = timedelta() if oldest is None else database.now - oldest
    return Check(
        "Queue",
        waits < WAITING,
        f"{sum(one.waiting for one in queue)} tasks wait, the oldest for "
        f"{waits.total_seconds():.0f} seconds",
        "All workers are busy: raise WELLHEAD_JOB_CONCURRENCY or WELLHEAD_WORKERS.",
    )


def _check_disk(disk: Disk) -> Check:
    return Check(
        "Disk",
        disk.free > disk.needed,
        f"{disk.free / 2**30:.1f} GiB free, {disk.needed / 2**30:.1f} GiB needed",
        "Free some space: until then no new batches are written.",
    )
