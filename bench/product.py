"""The product doing the same work: one job after another in this process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr

from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.settings import Settings
from wellhead.app.wiring import open_converter, open_parts
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.services import collections, connections, organizations, runs
from wellhead.services.connections import NewConnection
from wellhead.services.schedules import Schedule
from wellhead.store import migrate
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.run_job import Desk, run_job


@dataclass(frozen=True, slots=True)
class Bench:
    """A connection to the corpus whose job can be run and timed."""

    desk: Desk
    organization_id: UUID
    connection_id: UUID
    postgres: EmbeddedPostgres

    async def sync(self) -> tuple[SyncJob, float]:
        """Run one job; returns it with the CPU seconds of worker and PostgreSQL."""
        parts = self.desk.parts
        job = await runs.start_run(parts, self.organization_id, self.connection_id)
        before = time.process_time() + postgres_seconds(self.postgres.data_dir)
        await run_job(self.desk, job.id)
        after = time.process_time() + postgres_seconds(self.postgres.data_dir)
        done = await runs.get_run(parts, self.organization_id, job.id)
        if done.status is not JobStatus.COMPLETED:
            raise RuntimeError(f"the job is {done.status}: {done.error}")
        return done, after - before


@asynccontextmanager
async def opened(corpus: Path, data_dir: Path) -> AsyncIterator[Bench]:
    postgres = await asyncio.to_thread(EmbeddedPostgres.ensure, data_dir)
    try:
        await asyncio.to_thread(migrate.upgrade, postgres.url)
        settings = Settings(
            data_dir=data_dir,
            embedder="null",
            database_url=SecretStr(postgres.url),
        )
        async with open_parts(settings, postgres.url) as parts:
            organization = await organizations.ensure_organization(parts)
            made = await collections.create_collection(
                parts,
                organization.id,
                name="Benchmark",
                readable_id="benchmark",
                sync_config=None,
            )
            connection = await connections.create_connection(
                parts,
                organization.id,
                NewConnection(
                    short_name="file_system",
                    readable_collection_id=made.readable_id,
                    config={"path": str(corpus)},
                    schedule=Schedule(),
                    sync_immediately=False,
                ),
            )
            leases = LeaseKeeper(postgres.url)
            leases.start()
            converter = open_converter(settings)
            yield Bench(
                Desk(parts, converter, leases),
                organization.id,
                connection.connection.id,
                postgres,
            )
            leases.close()
            await converter.close()
    finally:
        postgres.stop()


def postgres_seconds(data_dir: Path) -> float:
    """Return the CPU seconds of the server's processes, ended ones included."""
    ticks = 0
    home = str((data_dir / "postgres").resolve())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_ours = str((entry / "cwd").resolve()) == home
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if is_ours:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / 100
