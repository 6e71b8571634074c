"""The product doing the same work: a worker's jobs, one after another."""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import lancedb
import structlog
from pydantic import SecretStr
from sqlalchemy import select

from bench import task
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.processes import THRESHOLDS
from wellhead.app.settings import Settings
from wellhead.app.wiring import embed_processes_of, open_converter, open_parts
from wellhead.domain.files import TextKind, text_kind
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.domain.ports import Embedder
from wellhead.domain.search import InstantQuery, Strategy
from wellhead.search.instant import search
from wellhead.services import collections, connections, organizations, runs
from wellhead.services.authentication import Direct
from wellhead.services.connections import NewConnection
from wellhead.services.parts import Parts
from wellhead.services.schedules import Schedule
from wellhead.store import migrate
from wellhead.store.schema import entity
from wellhead.sync.chunk import embedding_texts, passages
from wellhead.sync.storable import canonical_pieces
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.run_job import Desk, run_job


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source, its configuration, and its secrets."""

    short_name: str
    config: Mapping[str, Any]
    credentials: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ids:
    organization: UUID
    collection: UUID
    connection: UUID


class Product(task.Contender):
    """One connection of one collection, with a worker's desk and its database."""

    def __init__(self, desk: Desk, ids: Ids, postgres: EmbeddedPostgres) -> None:
        self._desk, self._ids, self._postgres = desk, ids, postgres
        self._asked: SyncJob | None = None

    @property
    def embedder(self) -> Embedder:
        return self._desk.parts.embedder

    async def ask(self) -> None:
        """Queue a job, as the API or the scheduler does."""
        parts, organization = self._desk.parts, self._ids.organization
        self._asked = await runs.start_run(parts, organization, self._ids.connection)

    async def sync(self) -> None:
        """Run the job as a worker does, from its claim to its end."""
        if self._asked is None:
            raise RuntimeError("no job was asked for")
        await run_job(self._desk, self._asked.id)

    async def done(self) -> SyncJob:
        """Return the job that was run; raises RuntimeError unless all went well."""
        if self._asked is None:
            raise RuntimeError("no job was asked for")
        job = await runs.get_run(
            self._desk.parts, self._ids.organization, self._asked.id
        )
        if job.status is not JobStatus.COMPLETED or job.counts.failed:
            raise RuntimeError(f"the job is {job.status}: {job}")
        return job

    async def contents(self) -> task.Pairs:
        """Read the index itself; of its rows those count that the ledger calls live."""
        await self.done()
        async with self._desk.parts.db.connect() as connection:
            found = await connection.execute(
                select(entity.c.version).where(
                    entity.c.connection_id == self._ids.connection
                )
            )
            live = set(found.scalars())
        folder = self._postgres.data_dir / "index"
        table = await (await lancedb.connect_async(folder)).open_table(
            self._ids.collection.hex
        )
        rows = await table.query().select(["version", "source_id", "text"]).to_arrow()
        columns = [rows[name].to_pylist() for name in rows.schema.names]
        pairs = zip(*columns, strict=True)
        return [(path, text) for version, path, text in pairs if version in live]

    async def search(self, text: str) -> list[str]:
        parts = self._desk.parts
        query = InstantQuery(
            collection_id=self._ids.collection,
            query=text,
            strategy=Strategy.SEMANTIC,
            limit=task.TOP,
        )
        found = await search(parts.reads, parts.index, parts.embedders, query)
        return [one.text for one in found]

    async def upkeep(self) -> None:
        """Build the indexes and compact, as the maintainer does between jobs."""
        await self._desk.parts.index.maintain(self._ids.collection)

    def passages(self, path: str, text: str) -> Iterator[str]:
        kind = text_kind(Path(path).suffix) or TextKind.TEXT
        pieces = canonical_pieces([text])
        return passages(pieces, kind=kind, budget=task.CHUNK_CHARACTERS)

    def query_of(self, path: str, chunk: str) -> str:
        return embedding_texts(Path(path).name, [chunk])[0]

    def other_seconds(self) -> float:
        return postgres_seconds(self._postgres.data_dir)

    def other_megabytes(self) -> float:
        """Return what PostgreSQL holds now, shared memory counted once."""
        return sum(map(_held, _server(self._postgres.data_dir))) / 1024


@asynccontextmanager
async def opened(corpus: Path, work: Path) -> AsyncIterator[Product]:
    """Open the product on a folder, as it was left when it was opened before."""
    wanted = Wanted("file_system", {"path": str(corpus)})
    data_dir = work / "data"
    work.chmod(0o711)  # noqa: ASYNC240  # nobody else waits
    postgres = await asyncio.to_thread(EmbeddedPostgres.ensure, data_dir)
    try:
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        async with working(postgres, wanted) as product:
            yield product
    finally:
        await asyncio.to_thread(postgres.stop)


@asynccontextmanager
async def working(
    postgres: EmbeddedPostgres,
    wanted: Wanted,
    name: str = "bench",
    *,
    embedder: str = "null",
) -> AsyncIterator[Product]:
    """Open a worker on this server, with a connection in a collection of that name."""
    gc.set_threshold(*THRESHOLDS)  # as the worker does
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    settings = Settings(
        data_dir=postgres.data_dir,
        embedder=embedder,
        enable_demo_sources=True,
        database_url=SecretStr(postgres.url),
    )
    processes = embed_processes_of(settings)
    async with open_parts(settings, postgres.url, embed_processes=processes) as parts:
        memory = postgres.data_dir / f"{name}.json"
        if not memory.exists():
            made = await _connect(parts, name, wanted)
            memory.write_text(json.dumps([str(one) for one in made]))
        ids = Ids(*map(UUID, json.loads(memory.read_text())))
        leases = LeaseKeeper(postgres.url)
        leases.start()
        converter = open_converter(settings)
        try:
            yield Product(Desk(parts, converter, leases), ids, postgres)
        finally:
            leases.close()
            await converter.close()


async def _connect(parts: Parts, name: str, wanted: Wanted) -> Sequence[UUID]:
    organization = await organizations.ensure_organization(parts)
    made = await collections.create_collection(
        parts, organization.id, name=name, readable_id=name, sync_config=None
    )
    secrets = wanted.credentials
    new = NewConnection(
        short_name=wanted.short_name,
        readable_collection_id=made.readable_id,
        config=dict(wanted.config),
        authentication=None if secrets is None else Direct(dict(secrets)),
        schedule=Schedule(),
        sync_immediately=False,
    )
    connection = await connections.create_connection(parts, organization.id, new)
    return organization.id, made.id, connection.connection.id


def postgres_seconds(data_dir: Path) -> float:
    """Return the CPU seconds of the server's processes, ended ones included."""
    ticks = 0
    for process in _server(data_dir):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / 100


def _server(data_dir: Path) -> list[Path]:
    """Name the server's processes: they work in its folder."""
    home = (data_dir / "postgres").resolve()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == home:
                found.append(entry)
        except OSError:
            continue
    return found


def _held(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(one.split()[1]) for one in lines if one.startswith("Pss:")), 0)


if __name__ == "__main__":
    task.main(opened)
