"""The application on real parts, asked over ASGI."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.api.application import create_app
from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.entities import Access, Breadcrumb, entity_key
from wellhead.domain.keys import Organization
from wellhead.domain.ports import Clock
from wellhead.embed.null import NullEmbedder
from wellhead.engine.procrastinate import JobEngine
from wellhead.index.lance import LanceIndex
from wellhead.services import keys
from wellhead.services.parts import Parts
from wellhead.sources.registry import Registry
from wellhead.store import organizations
from wellhead.store.reading import Reader
from wellhead.store.schema import sync_job
from wellhead.store.secrets import Cipher

BASE_URL = "http://wellhead"


@pytest.fixture
async def parts(
    db: AsyncEngine, database_url: str, tmp_path: Path, still_clock: Clock
) -> AsyncIterator[Parts]:
    engine = JobEngine.at(database_url)
    await engine.open()
    index = await LanceIndex.open(tmp_path / "index")
    reads = Reader(database_url)
    await reads.open()
    yield Parts(
        db=db,
        reads=reads,
        engine=engine,
        index=index,
        embedder=NullEmbedder(),
        sources=Registry.load(include_demo=True),
        cipher=Cipher([Cipher.new_key()]),
        clock=still_clock,
    )
    await reads.close()
    await index.close()
    await engine.close()


@pytest.fixture
def app(parts: Parts) -> Any:
    return create_app(parts, auth=True)


def client_of(app: Any, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture
async def key(parts: Parts) -> str:
    plain = await keys.ensure_first_key(parts)
    assert plain is not None
    return plain


@pytest.fixture
async def client(app: Any, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, **{"x-api-key": key}) as one:
        yield one


@pytest.fixture
async def anyone(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(app) as one:
        yield one


@pytest.fixture
async def stranger(parts: Parts, app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another organization."""
    other = Organization(uuid4(), "Other", parts.clock.now())
    async with parts.db.begin() as connection:
        await organizations.add(connection, other)
    new = await keys.create_key(parts, other.id, name="theirs", life_days=90)
    async with client_of(app, **{"x-api-key": new.plain}) as one:
        yield one


@dataclass(frozen=True)
class Given:
    """What tests start from, made through the public interface."""

    client: httpx.AsyncClient

    async def collection(self, name: str = "My documents", **more: Any) -> Any:
        response = await self.client.post("/collections", json={"name": name, **more})
        assert response.status_code == 200, response.text
        return response.json()

    async def connection(self, **more: Any) -> Any:
        """A `stub` connection in a new collection unless told otherwise."""
        body = {
            "short_name": "stub",
            "authentication": {"credentials": {"stub_key": "stub"}},
            **more,
        }
        if "readable_collection_id" not in body:
            body["readable_collection_id"] = (await self.collection())["readable_id"]
        response = await self.client.post("/source-connections", json=body)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def given(client: httpx.AsyncClient) -> Given:
    return Given(client)


SetJob = Callable[..., Awaitable[None]]


@pytest.fixture
def set_job(parts: Parts) -> SetJob:
    """Put a job where a worker would have brought it."""

    async def write(job_id: str, **columns: Any) -> None:
        if columns.get("status") in ("completed", "failed", "cancelled"):
            columns = {"completed_at": parts.clock.now(), **columns}
        async with parts.db.begin() as connection:
            await connection.execute(
                update(sync_job).where(sync_job.c.id == UUID(job_id)).values(**columns)
            )

    return write


PutEntity = Callable[..., Awaitable[None]]


@pytest.fixture
def put_entity(parts: Parts) -> PutEntity:
    """Commit an entity as a job would have: in the ledger and in the index."""

    async def put(
        connection_id: str,
        name: str,
        *texts: str,
        entity_type: str = "Note",
        breadcrumbs: Sequence[Breadcrumb] = (),
        created_at: datetime | None = None,
        **meta: Any,
    ) -> None:
        collection_id, version, job_id = await _commit(
            parts,
            UUID(connection_id),
            (entity_type, name, len(texts)),
            {
                "name": name,
                "breadcrumbs": [list(astuple(step)) for step in breadcrumbs],
                "created_at": created_at and created_at.isoformat(),
                **meta,
            },
        )
        chunks = EntityChunks(
            version=version,
            connection_id=UUID(connection_id),
            inserted_by=None,
            job_id=job_id,
            entity_key=entity_key(entity_type, name),
            entity_type=entity_type,
            source_name="stub",
            source_id=name,
            name=name,
            created_at=created_at,
            updated_at=None,
            breadcrumbs=tuple(breadcrumbs),
            texts=texts,
            text_hashes=[text_hash(text) for text in texts],
            vectors=await parts.embedder.embed(texts),
            access=Access(meta.get("viewers"), meta.get("is_public")),
        )
        await parts.index.append(collection_id, parts.embedder.dimension, [chunks])

    return put


async def _commit(
    parts: Parts,
    connection_id: UUID,
    what: tuple[str, str, int],
    meta: dict[str, Any],
) -> tuple[UUID, int, UUID]:
    """Return the collection, the version and the job of what was written."""
    kind, name, chunk_count = what
    async with parts.db.begin() as connection:
        written = await connection.execute(
            text(
                "INSERT INTO entity (connection_id, entity_key, scope, type, source_id,"
                " content_hash, meta_hash, pipeline_fingerprint, version, chunk_count,"
                " updated_by, seen_generation, committed_at, meta) VALUES (:c, :k, '',"
                " :t, :i, 'x', 'x', '1', nextval('version_seq'), :n, :j, 1, now(),"
                " CAST(:m AS jsonb)) RETURNING (SELECT collection_id FROM"
                " source_connection WHERE id = connection_id), version, updated_by"
            ),
            {
                "c": connection_id,
                "k": entity_key(kind, name),
                "t": kind,
                "i": name,
                "n": chunk_count,
                "j": uuid4(),
                "m": json.dumps(meta),
            },
        )
        collection_id, version, job_id = written.one()
        return collection_id, version, job_id
