"""A whole worker in one process: real database, real index, a scripted source."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.entities import Entity
from wellhead.domain.errors import NotFoundError
from wellhead.domain.items import Checkpoint, Item, Ref, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import SyncJob
from wellhead.domain.principals import Principal
from wellhead.domain.search import InstantQuery, SearchResult, Strategy
from wellhead.embed.null import NullEmbedder
from wellhead.engine.procrastinate import JobEngine
from wellhead.index.lance import LanceIndex
from wellhead.search.instant import search
from wellhead.services import runs
from wellhead.services.parts import Parts
from wellhead.sources.base import Source, SourceInfo
from wellhead.store.reading import Reader
from wellhead.store.schema import collection, organization, source_connection
from wellhead.store.secrets import Cipher
from wellhead.sync.convert.converter import Converter
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.run_job import Desk, run_job


def thing(ident: str, content: str) -> Entity:
    return Entity(type="Thing", source_id=ident, name=f"Thing {ident}", text=content)


@dataclass
class Script:
    """What the scripted source does at its next reads; a test writes here."""

    world: dict[str, str] = field(default_factory=dict)
    items: Callable[[dict[str, Any] | None], AsyncIterator[Item]] | None = None
    fetched: Callable[[Sequence[Ref]], AsyncIterator[Item]] | None = None
    ids: Callable[[], AsyncIterator[Item]] | None = None
    cursors: list[dict[str, Any] | None] = field(default_factory=list)
    source: Source | None = None
    """The one that reads now."""
    info: SourceInfo = field(
        default_factory=lambda: SourceInfo(
            short_name="scripted", name="Scripted", description="", entity_types=()
        )
    )

    async def listing(self, _cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        for ident, content in sorted(self.world.items()):
            yield Upsert(thing(ident, content))
        yield ScopeEnd()

    async def numbered(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """The world in order, with a checkpoint after each entity."""
        done = -1 if cursor is None else int(cursor["done"])
        yield ScopeStart()
        for at, (ident, content) in enumerate(sorted(self.world.items())):
            if at > done:
                yield Upsert(thing(ident, content))
                yield Checkpoint({"done": at})
        yield ScopeEnd()


class Sources:
    """A registry of the one scripted source."""

    def __init__(self, script: Script) -> None:
        class ScriptedSource(Source):
            info: ClassVar[SourceInfo] = script.info

            async def check(self) -> None:
                pass

            def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
                script.cursors.append(cursor)
                script.source = self
                return (script.items or script.listing)(cursor)

            def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item] | None:
                return None if script.fetched is None else script.fetched(refs)

            def ids(self) -> AsyncIterator[Item] | None:
                return None if script.ids is None else script.ids()

        self._source = ScriptedSource
        self._script = script
        self.declared: dict[str, Any] = {}
        self.ignored: set[str] = set()

    def get(self, short_name: str) -> type[Source]:
        if short_name != "scripted":
            raise NotFoundError(f"Source '{short_name}' not found")
        self._source.info = self._script.info
        return self._source


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # the real time


@dataclass
class Bench:
    """One connection of one collection, and everything to run its jobs."""

    parts: Parts
    desk: Desk
    script: Script
    organization_id: UUID
    collection_id: UUID
    connection_id: UUID

    async def start(self, **options: Any) -> SyncJob:
        return await runs.start_run(
            self.parts, self.organization_id, self.connection_id, **options
        )

    async def job(self, job_id: UUID) -> SyncJob:
        return await runs.get_run(self.parts, self.organization_id, job_id)

    async def sync(self, **options: Any) -> SyncJob:
        started = await self.start(**options)
        await run_job(self.desk, started.id)
        return await self.job(started.id)

    async def run(self, job: SyncJob) -> SyncJob:
        await run_job(self.desk, job.id)
        return await self.job(job.id)

    async def cancel(self, job: SyncJob, **options: Any) -> SyncJob:
        return await runs.cancel_run(
            self.parts, self.organization_id, self.connection_id, job.id, **options
        )

    async def expire_lease(self, job: SyncJob) -> None:
        """As after a crash: nobody renews, and the time is over."""
        async with self.parts.db.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE sync_job SET lease_until = now() - interval '1 second'"
                    " WHERE id = :id"
                ),
                {"id": job.id},
            )

    async def until(self, job: SyncJob, is_so: Callable[[SyncJob], bool]) -> SyncJob:
        async with asyncio.timeout(30):
            while True:
                now = await self.job(job.id)
                if is_so(now):
                    return now
                await asyncio.sleep(0.02)

    async def search(
        self, query: str, principal: Principal | None = None
    ) -> list[SearchResult]:
        return await search(
            self.parts.reads,
            self.parts.index,
            self.parts.embedders,
            InstantQuery(
                collection_id=self.collection_id,
                query=query,
                strategy=Strategy.KEYWORD,
                limit=1000,
                principal=principal,
            ),
        )

    async def found(self, query: str, principal: Principal | None = None) -> set[str]:
        hits = await self.search(query, principal)
        return {hit.original_entity_id for hit in hits}

    async def stored_versions(self) -> dict[int, int]:
        return {
            version: count
            async for version, count in self.parts.index.versions(self.collection_id)
        }

    async def scalar(self, query: str, **parameters: Any) -> Any:
        async with self.parts.db.connect() as connection:
            return (await connection.execute(text(query), parameters)).scalar()

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        async with self.parts.db.connect() as connection:
            return list(await connection.execute(text(query), parameters))

    async def execute(self, query: str, **parameters: Any) -> None:
        async with self.parts.db.begin() as connection:
            await connection.execute(text(query), parameters)

    async def configure(self, short_name: str, **config: Any) -> None:
        await self.execute(
            "UPDATE source_connection SET short_name = :s, config = CAST(:c AS jsonb)",
            s=short_name,
            c=json.dumps(config),
        )

    async def ripen_garbage(self) -> None:
        await self.execute("UPDATE garbage SET not_before = now()")

    async def world(self) -> dict[str, str]:
        """What search can show, by entity: its first chunk. None twice."""
        shown: dict[str, str] = {}
        for hit in await self.search("content"):
            assert hit.original_entity_id not in shown, "an entity twice"
            shown[hit.original_entity_id] = hit.text
        return shown


@pytest.fixture
async def bench(
    db: AsyncEngine, database_url: str, tmp_path: Path
) -> AsyncIterator[Bench]:
    script = Script()
    engine = JobEngine.at(database_url)
    await engine.open()
    index = await LanceIndex.open(tmp_path / "index")
    reads = Reader(database_url)
    await reads.open()
    parts = Parts(
        db=db,
        reads=reads,
        engine=engine,
        index=index,
        embedder=NullEmbedder(),
        sources=Sources(script),  # type: ignore[arg-type]  # a test's own registry
        cipher=Cipher([Cipher.new_key()]),
        clock=SystemClock(),
    )
    converter = Converter()
    leases = LeaseKeeper(
        make_url(database_url)
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    )
    leases.start()
    made = Bench(
        parts, Desk(parts, converter, leases), script, uuid4(), uuid4(), uuid4()
    )
    await _rows(made)
    yield made
    leases.close()
    await converter.close()
    await index.close()
    await engine.close()
    await reads.close()


async def _rows(bench: Bench) -> None:
    now = datetime.now(UTC)  # noqa: TID251  # the real time
    async with bench.parts.db.begin() as connection:
        await connection.execute(
            insert(organization).values(
                id=bench.organization_id, name="Test", created_at=now
            )
        )
        await connection.execute(
            insert(collection).values(
                id=bench.collection_id,
                organization_id=bench.organization_id,
                readable_id="test",
                name="Test",
                vector_size=384,
                embedding_model_name="null",
                created_at=now,
                modified_at=now,
            )
        )
        await connection.execute(
            insert(source_connection).values(
                id=bench.connection_id,
                organization_id=bench.organization_id,
                collection_id=bench.collection_id,
                short_name="scripted",
                name="Scripted",
                config={},
                auth_method="direct",
                created_at=now,
                modified_at=now,
            )
        )
