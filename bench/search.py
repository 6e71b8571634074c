"""What a search takes: `python -m bench.search`, over HTTP and against the bare index.

Bare are embedding the query with MiniLM and the two queries of a hybrid search on the
same LanceDB table for ten chunks each, one after the other, from this process: it is
their sum that HTTP is compared with. The words of the chunks are as often as in a
language (Zipf); their vectors are made up, for it is not quality that is measured here.
"""

import asyncio
import json
import platform
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import lancedb
from lancedb.query import FullTextOperator, MultiMatchQuery
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.api import Server, environment_of, installed, serve, until_ready
from bench.words import Words
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.settings import Settings
from wellhead.app.wiring import open_parts
from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.entities import entity_key
from wellhead.embed.null import NullEmbedder
from wellhead.services import collections, connections, organizations
from wellhead.services.connections import NewConnection
from wellhead.services.parts import Parts
from wellhead.services.schedules import Schedule
from wellhead.store import ledger

RESULT = Path(__file__).with_name("result-search.json")
SIZES = (2_000, 100_000)
CHUNKS_OF_ENTITY, WORDS_OF_CHUNK, BATCH = 5, 80, 1_000
QUERIES, TURN, LIMIT, CLIENTS = 200, 10, 10, 16
READABLE_ID = "searched"
SYNCED_ENTITIES = 3_000
COLUMNS = ["version", "ordinal", "connection_id", "entity_key", "text"]


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long the queries of one kind took, fastest first."""

    sorted: list[float]

    def at(self, share: float) -> float:
        return self.sorted[min(len(self.sorted) - 1, int(share * len(self.sorted)))]


@dataclass(frozen=True, slots=True)
class Place:
    """The collection that is searched, and one connection of it."""

    parts: Parts
    organization_id: UUID
    collection_id: UUID
    connection_id: UUID
    other_id: UUID
    """A connection of its own for the second sync, so that it writes as the first."""


async def make_place(parts: Parts) -> Place:
    organization = await organizations.ensure_organization(parts)
    made = await collections.create_collection(
        parts,
        organization.id,
        name="Searched",
        readable_id=READABLE_ID,
        sync_config=None,
    )
    first, other = [await _connect(parts, organization.id) for _ in range(2)]
    return Place(parts, organization.id, made.id, first, other)


async def _connect(parts: Parts, organization_id: UUID) -> UUID:
    made = await connections.create_connection(
        parts,
        organization_id,
        NewConnection(
            short_name="bulk_stub",
            readable_collection_id=READABLE_ID,
            config={"entity_count": SYNCED_ENTITIES},
            schedule=Schedule(),
            sync_immediately=False,
        ),
    )
    return made.connection.id


async def fill(place: Place, words: Words, first: int, end: int) -> None:
    """Put chunks into the index and the ledger, as a job leaves them."""
    for start in range(first, end, BATCH * CHUNKS_OF_ENTITY):
        count = min(BATCH, (end - start) // CHUNKS_OF_ENTITY)
        await _append(place, words, start // CHUNKS_OF_ENTITY, count)
    await place.parts.index.maintain(place.collection_id)


async def _append(place: Place, words: Words, first: int, count: int) -> None:
    parts, job_id = place.parts, uuid4()
    async with parts.db.begin() as connection:
        versions = await ledger.draw_versions(connection, count)
        made = [
            await _entity(place, words, job_id, version, f"note-{first + at}")
            for at, version in enumerate(versions)
        ]
        await parts.index.append(place.collection_id, parts.embedder.dimension, made)
        await ledger.write_entities(
            connection,
            connection_id=place.connection_id,
            job_id=job_id,
            generation=1,
            now=parts.clock.now(),
            rows=[_row(one) for one in made],
        )


async def _entity(
    place: Place, words: Words, job_id: UUID, version: int, name: str
) -> EntityChunks:
    texts = [words.text(WORDS_OF_CHUNK) for _ in range(CHUNKS_OF_ENTITY)]
    return EntityChunks(
        version=version,
        connection_id=place.connection_id,
        inserted_by=None,
        job_id=job_id,
        entity_key=entity_key("Note", name),
        entity_type="Note",
        source_name="bulk_stub",
        source_id=name,
        name=name,
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=texts,
        text_hashes=[text_hash(text) for text in texts],
        vectors=await NullEmbedder().embed(texts),
    )


def _row(one: EntityChunks) -> ledger.EntityRow:
    return ledger.EntityRow(
        entity_key=one.entity_key,
        scope="",
        type=one.entity_type,
        source_id=one.source_id,
        source_version=None,
        content_hash=b"1" * 16,
        meta_hash=b"1" * 16,
        pipeline_fingerprint="",
        version=one.version,
        chunk_count=len(one.texts),
        inserted_by=None,
        meta=json.dumps({"name": one.name}),
    )


async def time_each(
    ask: Callable[[str], Awaitable[object]], queries: list[str]
) -> Seconds:
    taken = []
    for query in queries:
        start = time.perf_counter()
        await ask(query)
        taken.append(time.perf_counter() - start)
    return Seconds(sorted(taken))


@dataclass(frozen=True, slots=True)
class Bare:
    """The index without the product."""

    parts: Parts
    table: lancedb.AsyncTable

    async def ask(self, query: str) -> None:
        vector = await self.parts.embedder.embed_query(query)
        near = self.table.query().nearest_to(list(vector.cast("B").cast("f")))
        near = near.distance_type("cosine").refine_factor(1)
        await near.limit(LIMIT).select([*COLUMNS, "_distance"]).to_arrow()
        words = self.table.query().nearest_to_text(
            MultiMatchQuery(
                query,
                columns=["text", "title"],
                boosts=None,
                operator=FullTextOperator.OR,
            )
        )
        await words.limit(LIMIT).select([*COLUMNS, "_score"]).to_arrow()


@dataclass(frozen=True, slots=True)
class Asking:
    """A client of the API."""

    client: httpx.AsyncClient

    async def ask(self, query: str) -> None:
        path = f"/collections/{READABLE_ID}/search/instant"
        answer = await self.client.post(path, json={"query": query, "limit": LIMIT})
        if len(answer.raise_for_status().json()["results"]) != LIMIT:
            raise RuntimeError("the search found too little")

    async def many(self, queries: list[str]) -> Seconds:
        """Ask with several clients at once; returns the seconds of each answer."""
        left: Iterator[str] = iter(queries * 4)
        taken: list[float] = []

        async def one() -> None:
            for query in left:
                start = time.perf_counter()
                await self.ask(query)
                taken.append(time.perf_counter() - start)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(one())
        return Seconds(sorted(taken))


async def during_a_sync(
    asking: Asking, connection_id: UUID, queries: list[str], clients: int
) -> Seconds:
    """Ask for as long as a worker writes to the collection; any error is raised."""
    path = f"/source-connections/{connection_id}"
    started = (await asking.client.post(f"{path}/run")).raise_for_status().json()
    taken: list[float] = []
    is_over = asyncio.Event()

    async def one(first: int) -> None:
        at = first
        while not is_over.is_set():
            start = time.perf_counter()
            await asking.ask(queries[at % len(queries)])
            taken.append(time.perf_counter() - start)
            at += 1

    async def watch() -> None:
        while not is_over.is_set():
            await asyncio.sleep(0.5)
            job = (await asking.client.get(f"{path}/jobs/{started['id']}")).json()
            if job["status"] == "completed":
                is_over.set()
            elif job["status"] not in ("pending", "running"):
                raise RuntimeError(f"the job is {job['status']}: {job['error']}")

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for number in range(clients):
            group.create_task(one(7 * number))
    return Seconds(sorted(taken))


async def measure(work: Path, postgres: EmbeddedPostgres) -> list[dict[str, Any]]:
    data = work / "data"
    settings = Settings(
        data_dir=data,
        embedder="minilm",
        enable_demo_sources=True,
        database_url=SecretStr(postgres.url),
    )
    environment = environment_of(data, postgres, embedder="minilm")
    rows = []
    words = Words.drawn(1)
    async with open_parts(settings, postgres.url) as parts:
        with serve(["wellhead.app.processes", "api"], environment) as api:
            await until_ready(api)
            place = await make_place(parts)
            for before, size in zip((0, *SIZES), SIZES, strict=False):
                await fill(place, words, before, size)
                rows.append(await compare(place, api, size, words))
            with serve(["wellhead.app.processes", "worker"], environment):
                rows[-1] |= await interfere(place, api, words)
    return rows


async def compare(place: Place, api: Server, size: int, words: Words) -> dict[str, Any]:
    queries = [words.query() for _ in range(QUERIES)]
    index = await lancedb.connect_async(place.parts.limits.data_dir / "index")  # type: ignore[operator]
    bare = Bare(place.parts, await index.open_table(place.collection_id.hex))
    async with client_of(api, place) as client:
        asking = Asking(client)
        for ask in (bare.ask, asking.ask):
            await time_each(ask, queries[:20])
        floors, costs, spent = [], [], api.seconds()
        # by turns: whatever else the machine does meanwhile is in both
        for start in range(0, QUERIES, TURN):
            turn = queries[start : start + TURN]
            floors += (await time_each(bare.ask, turn)).sorted
            costs += (await time_each(asking.ask, turn)).sorted
        spent = (api.seconds() - spent) / QUERIES
        many = await asking.many(queries)
    floor, cost = Seconds(sorted(floors)), Seconds(sorted(costs))
    return {
        "chunks": size,
        "bare_p50": floor.at(0.5),
        "bare_p99": floor.at(0.99),
        "http_p50": cost.at(0.5),
        "http_p99": cost.at(0.99),
        "http_cpu": spent,
        "clients_p50": many.at(0.5),
        "clients_p99": many.at(0.99),
    }


async def interfere(place: Place, api: Server, words: Words) -> dict[str, Any]:
    queries = [words.query() for _ in range(QUERIES)]
    async with client_of(api, place) as client:
        asking = Asking(client)
        quiet = await time_each(asking.ask, queries)
        busy = await during_a_sync(asking, place.connection_id, queries, 1)
        crowd = await during_a_sync(asking, place.other_id, queries, CLIENTS)
    return {
        "quiet_p99": quiet.at(0.99),
        "syncing_p50": busy.at(0.5),
        "syncing_p99": busy.at(0.99),
        "syncing_searches": len(busy.sorted),
        "crowd_p50": crowd.at(0.5),
        "crowd_p99": crowd.at(0.99),
        "crowd_searches": len(crowd.sorted),
    }


def client_of(api: Server, place: Place) -> httpx.AsyncClient:
    data_dir = place.parts.limits.data_dir
    if data_dir is None:
        raise RuntimeError("the index is not on this machine")
    key = (data_dir / "api_key").read_text().strip()
    return httpx.AsyncClient(base_url=api.url, headers={"x-api-key": key}, timeout=60)


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Milliseconds of a hybrid search (MiniLM)")
    names = ["bare p50", "p99", "HTTP p50", "p99", "ratio", "API's CPU"]
    names += [f"{CLIENTS} clients", "p99"]
    for name in ("chunks", *names):
        table.add_column(name, justify="right")
    for row in rows:
        keys = ("bare_p50", "bare_p99", "http_p50", "http_p99")
        cells = [f"{row[key] * 1000:.1f}" for key in keys]
        ratio = f"{row['http_p50'] / row['bare_p50']:.1f}"
        cpu = f"{row['http_cpu'] * 1000:.1f}"
        many = [f"{row[key] * 1000:.1f}" for key in ("clients_p50", "clients_p99")]
        table.add_row(f"{row['chunks']:,}", *cells, ratio, cpu, *many)
    console = Console()
    console.print(table)
    last = rows[-1]
    console.print(
        f"while {SYNCED_ENTITIES:,} entities are synced: p50 "
        f"{last['syncing_p50'] * 1000:.1f}, p99 {last['syncing_p99'] * 1000:.1f}"
        f" ({last['syncing_p99'] / last['quiet_p99']:.1f} times the quiet one)"
    )
    console.print(
        f"{CLIENTS} clients meanwhile: {last['crowd_searches']} searches without an "
        f"error, p50 {last['crowd_p50'] * 1000:.1f}, p99 {last['crowd_p99'] * 1000:.1f}"
    )


def main() -> None:
    with installed() as (work, postgres):
        rows = asyncio.run(measure(work, postgres))
    show(rows)
    about = {"python": platform.python_version(), "machine": platform.machine()}
    RESULT.write_text(json.dumps(about | {"sizes": rows}, indent=1))


if __name__ == "__main__":
    main()
