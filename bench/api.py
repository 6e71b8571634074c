"""What a request costs: `python -m bench.api`, in CPU time of the API's process.

Beside each request stand, measured in the same run, a bare SELECT of the same rows
through the same driver and a bare FastAPI route that serialises the same objects. Both
servers take turns, so that what else the machine does meets both; medians are told, of
the ratios those of one turn.
"""

import asyncio
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from bench.product import postgres_seconds
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store import migrate

RESULT = Path(__file__).with_name("result-api.json")
REQUESTS = 200
ROUNDS = 5
CLIENTS = (1, 8)
FEW_JOBS, MANY_JOBS, COLLECTIONS = 1_000, 1_000_000, 100

ADD_COLLECTIONS = """
WITH made AS (
  INSERT INTO collection (id, organization_id, readable_id, name, vector_size,
    embedding_model_name, created_at, modified_at)
  SELECT gen_random_uuid(), %(organization)s, 'bench-' || n, 'Collection ' || n, 384,
    'null', now(), now()
  FROM generate_series(1, %(count)s) AS n RETURNING id)
INSERT INTO source_connection (id, organization_id, collection_id, short_name, name,
  config, auth_method, created_at, modified_at)
SELECT gen_random_uuid(), %(organization)s, id, 'stub', 'A connection', '{}', 'direct',
  now(), now() FROM made
"""
ADD_JOBS = """
INSERT INTO sync_job (id, sequence, organization_id, connection_id, status, mode,
  trigger, created_at, started_at, completed_at, inserted, updated, deleted, failed,
  error)
SELECT gen_random_uuid(), nextval('job_sequence'), %(organization)s, %(connection)s,
  CASE WHEN n %% 10 = 0 THEN 'failed' ELSE 'completed' END, 'full', 'schedule',
  at, at, at + interval '12.345 seconds', n %% 7, n %% 3, 0, 0,
  CASE WHEN n %% 10 = 0 THEN 'The source did not answer' END
FROM generate_series(1, %(count)s) AS n,
  LATERAL (SELECT now() - make_interval(secs => %(count)s - n)) AS moment(at)
"""
SELECT_JOBS = """
SELECT id, connection_id, status, started_at, completed_at, inserted, updated, deleted,
  failed, error, error_details, error_category
FROM sync_job WHERE connection_id = %s ORDER BY sequence DESC LIMIT 100
"""
SELECT_COLLECTIONS = """
SELECT name, readable_id, id, sync_config, created_at, modified_at, organization_id,
  vector_size, embedding_model_name
FROM collection WHERE organization_id = %s ORDER BY created_at DESC, id LIMIT 100
"""
SELECT_CONNECTION = "SELECT * FROM source_connection WHERE id = %s"
SELECT_CONNECTIONS = """
SELECT id, name, short_name, created_at, modified_at, is_authenticated, auth_method
FROM source_connection WHERE organization_id = %s
ORDER BY created_at DESC, id LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask, what it answers with, and the bare query of the same rows."""

    name: str
    path: str
    bare: str
    query: str
    about: UUID


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU for one request, and how many were answered in a second."""

    api: float
    postgres: float
    throughput: float


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers HTTP."""

    url: str
    pid: int

    def seconds(self) -> float:
        """Return the CPU time of its threads; ticks of 10 ms would be too coarse."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


@contextlib.contextmanager
def serve(words: Sequence[str], environment: dict[str, str]) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        descriptor = listener.fileno()
        log = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", *words, "--socket", str(descriptor)],
            pass_fds=[descriptor],
            env=os.environ | environment,  # noqa: TID251  # a child's environment
            stdout=log,  # each request is logged, at some cost
            stderr=log,
        )
        listener.close()  # so that nobody waits for a server that cannot start
        try:
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def installed() -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """Give a folder and a PostgreSQL with the schema in it, until it is over."""
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)  # the database's own user passes through
        postgres = EmbeddedPostgres.ensure(work / "data")
        try:
            migrate.upgrade(postgres.url)
            yield work, postgres
        finally:
            postgres.stop()


def environment_of(
    data: Path, postgres: EmbeddedPostgres, *, embedder: str = "null"
) -> dict[str, str]:
    """Return the settings of a process that is measured."""
    return {
        "WELLHEAD_DATABASE_URL": postgres.url,
        "WELLHEAD_DATA_DIR": str(data),
        "WELLHEAD_EMBEDDER": embedder,
        "WELLHEAD_ENABLE_DEMO_SOURCES": "true",
    }


def seed(url: str) -> list[Request]:
    """Fill the ledger and return what to ask of it."""
    few, many = uuid4(), uuid4()
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT id FROM organization").fetchone()
        if found is None:
            raise RuntimeError("the API made no organization")
        organization = found[0]
        of = {"organization": organization}
        connection.execute(ADD_COLLECTIONS, of | {"count": COLLECTIONS})
        rows = connection.execute("SELECT id FROM source_connection LIMIT 2").fetchall()
        few, many = rows[0][0], rows[1][0]
        connection.execute(ADD_JOBS, of | {"connection": few, "count": FEW_JOBS})
        connection.execute(ADD_JOBS, of | {"connection": many, "count": MANY_JOBS})
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    jobs = "/source-connections/{}/jobs?limit=100"
    one = "/source-connections/{}"
    return [
        Request("100 jobs of 1k", jobs.format(few), "jobs", SELECT_JOBS, few),
        Request("100 jobs of 1M", jobs.format(many), "jobs", SELECT_JOBS, many),
        Request(
            "100 collections",
            "/collections",
            "collections",
            SELECT_COLLECTIONS,
            organization,
        ),
        Request(
            "100 connections",
            "/source-connections",
            "connections",
            SELECT_CONNECTIONS,
            organization,
        ),
        Request(
            "connection, 1k jobs",
            one.format(few),
            "connection",
            SELECT_CONNECTION,
            few,
        ),
        Request(
            "connection, 1M jobs",
            one.format(many),
            "connection",
            SELECT_CONNECTION,
            many,
        ),
    ]


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks, how many at once, and whose database is watched."""

    key: str
    clients: int
    postgres: Path


async def ask(server: Server, path: str, load: Load) -> Cost:
    """Ask over and over; returns what one answer costs the two processes."""
    headers = {"x-api-key": load.key}
    left = iter(range(REQUESTS))

    async def one_client() -> None:
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, timeout=60
        ) as client:
            (await client.get(path)).raise_for_status()
            ready.release()
            await go.wait()
            for _ in left:
                (await client.get(path)).raise_for_status()

    ready, go = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(load.clients):
            group.create_task(one_client())
        for _ in range(load.clients):
            await ready.acquire()
        before = server.seconds(), postgres_seconds(load.postgres)
        started = time.perf_counter()
        go.set()
    elapsed = time.perf_counter() - started
    after = server.seconds(), postgres_seconds(load.postgres)
    api, postgres = (end - start for start, end in zip(before, after, strict=True))
    return Cost(api * 1000 / REQUESTS, postgres * 1000 / REQUESTS, REQUESTS / elapsed)


async def select(url: str, request: Request) -> float:
    """Return the CPU milliseconds of the bare query, in this process."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as bare:
        for _ in range(20):
            await (await bare.execute(request.query, [request.about])).fetchall()
        before = time.process_time()
        for _ in range(REQUESTS):
            await (await bare.execute(request.query, [request.about])).fetchall()
        return (time.process_time() - before) * 1000 / REQUESTS


async def measure(work: Path, postgres: EmbeddedPostgres) -> list[dict[str, Any]]:
    data, answers = work / "data", work / "answers.json"
    environment = environment_of(data, postgres)
    result = []
    with serve(["wellhead.app.processes", "api"], environment) as api:
        await until_ready(api)
        requests = seed(postgres.url)
        key = (data / "api_key").read_text().strip()
        wanted = {one.bare: await answer_of(api, one, key) for one in requests}
        answers.write_text(json.dumps(wanted))
        with serve(["bench.bare", "--answers", str(answers)], {}) as bare:
            for one in requests:
                row: dict[str, Any] = {"request": one.name}
                row["select_ms"] = await select(postgres.url, one)
                for clients in CLIENTS:
                    load = Load(key, clients, postgres.data_dir)
                    turns = [
                        (
                            await ask(bare, f"/{one.bare}", load),
                            await ask(api, one.path, load),
                        )
                        for _ in range(ROUNDS)
                    ]
                    row |= {
                        f"{name}_{clients}": value
                        for name, value in medians(turns).items()
                    }
                result.append(row)
    return result


def medians(turns: Sequence[tuple[Cost, Cost]]) -> dict[str, float]:
    """Return what is usual of the bare route's costs and the API's."""
    return {
        "bare_ms": median(bare.api for bare, _ in turns),
        "api_ms": median(api.api for _, api in turns),
        "ratio": median(api.api / bare.api for bare, api in turns),
        "postgres_ms": median(api.postgres for _, api in turns),
        "bare_per_second": median(bare.throughput for bare, _ in turns),
        "per_second": median(api.throughput for _, api in turns),
    }


async def answer_of(server: Server, request: Request, key: str) -> Any:
    headers = {"x-api-key": key}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        return (await client.get(request.path, timeout=60)).json()


async def until_ready(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        (await client.get("/health/ready")).raise_for_status()


def show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(
        title="CPU milliseconds a request: API process (PostgreSQL's beside it), and "
        f"answers a second for {CLIENTS[-1]} clients"
    )
    table.add_column("request")
    names = ["bare select", "bare route"]
    for clients in CLIENTS:
        names += [f"{clients} client{'s'[: clients > 1]}", "ratio"]
    for name in [*names, "PostgreSQL", "answers/s", "bare"]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row['select_ms']:.2f}", f"{row['bare_ms_1']:.2f}"]
        for clients in CLIENTS:
            cells.append(f"{row[f'api_ms_{clients}']:.2f}")
            cells.append(f"{row[f'ratio_{clients}']:.1f}")
        most = CLIENTS[-1]
        rates = [row[f"{name}_{most}"] for name in ("per_second", "bare_per_second")]
        table.add_row(
            row["request"],
            *cells,
            f"{row['postgres_ms_1']:.2f}",
            *(f"{rate:.0f}" for rate in rates),
        )
    Console(width=120).print(table)


def main() -> None:
    with installed() as (work, postgres):
        rows = asyncio.run(measure(work, postgres))
    show(rows)
    about = {"python": platform.python_version(), "machine": platform.machine()}
    RESULT.write_text(json.dumps(about | {"requests": rows}, indent=1))


if __name__ == "__main__":
    main()
