"""A ledger holding what a sync would have committed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.entities import entity_key
from wellhead.store import schema
from wellhead.store.reading import Reader

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Ledger:
    """Writes what a sync would have committed."""

    db: AsyncEngine
    reads: Reader
    organization_id: UUID = field(default_factory=uuid4)
    collection_id: UUID = field(default_factory=uuid4)

    async def _insert(self, table: Any, **values: Any) -> None:
        async with self.db.begin() as connection:
            await connection.execute(insert(table).values(**values))

    async def set_up(self) -> None:
        await self._insert(
            schema.organization, id=self.organization_id, name="o", created_at=NOON
        )
        await self.collection(self.collection_id)

    async def collection(self, collection_id: UUID) -> UUID:
        await self._insert(
            schema.collection,
            id=collection_id,
            organization_id=self.organization_id,
            readable_id=str(collection_id),
            name="Papers",
            vector_size=64,
            embedding_model_name="constant",
            created_at=NOON,
            modified_at=NOON,
        )
        return collection_id

    async def connection(self, **values: Any) -> UUID:
        row = {
            "id": uuid4(),
            "organization_id": self.organization_id,
            "collection_id": self.collection_id,
            "short_name": "files",
            "name": "My files",
            "config": {},
            "auth_method": "direct",
            "created_at": NOON,
            "modified_at": NOON,
        }
        await self._insert(schema.source_connection, **row | values)
        return cast("UUID", (row | values)["id"])

    async def job(self, connection_id: UUID, *, rollback: str = "none") -> UUID:
        job_id = uuid4()
        await self._insert(
            schema.sync_job,
            id=job_id,
            sequence=job_id.int % 2**60,
            organization_id=self.organization_id,
            connection_id=connection_id,
            status="cancelled",
            mode="full",
            trigger="manual",
            created_at=NOON,
            completed_at=NOON,
            rollback=rollback,
        )
        return job_id

    async def entity(
        self,
        connection_id: UUID,
        name: str,
        version: int,
        *,
        inserted_by: UUID | None = None,
        **meta: Any,
    ) -> None:
        await self._insert(
            schema.entity,
            connection_id=connection_id,
            entity_key=entity_key("File", name),
            scope="",
            type="File",
            source_id=name,
            content_hash=b"c",
            meta_hash=b"m",
            pipeline_fingerprint="1",
            version=version,
            chunk_count=1,
            inserted_by=inserted_by,
            updated_by=inserted_by or uuid4(),
            seen_generation=1,
            committed_at=NOON,
            meta={"name": name} | meta,
        )

    async def execute(self, statement: str) -> None:
        async with self.db.begin() as connection:
            await connection.execute(text(statement))


@pytest.fixture
async def ledger(db: AsyncEngine, database_url: str) -> AsyncIterator[Ledger]:
    reads = Reader(database_url)
    await reads.open()
    made = Ledger(db, reads)
    await made.set_up()
    yield made
    await reads.close()
