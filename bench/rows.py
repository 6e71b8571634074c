"""Rows of PostgreSQL: the source's whole way beside a bare read of the same rows."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from bench import corpus, task
from bench.product import Product, Wanted, working
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store import migrate

NOOPS = 3
FEW = 20
# no column tells when a row changed: each run reads every row and compares it
TABLE = SQL(
    "CREATE TABLE {} (id bigint PRIMARY KEY, title text NOT NULL, "
    "status text NOT NULL, body text NOT NULL)"
)
COPY = SQL("COPY {} (id, title, status, body) FROM STDIN")


def fill(url: str, rows: int) -> None:
    """Write the rows, and a few of them into a table to warm up with."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA bench")
        for table, count in (("few", FEW), ("ticket", rows)):
            name = Identifier("bench", table)
            connection.execute(TABLE.format(name))
            with connection.cursor().copy(COPY.format(name)) as lines:
                for row in corpus.tickets(count):
                    lines.write_row(row)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def read_bare(url: str) -> int:
    """Read every row with the driver alone, some thousands at a time."""
    count = 0
    with psycopg.connect(url) as connection, connection.cursor("bare") as cursor:
        cursor.itersize = 5_000
        cursor.execute("SELECT id, title, status, body FROM bench.ticket ORDER BY id")
        for _ in cursor:
            count += 1
    return count


def source(url: str, table: str) -> Wanted:
    """Name the table as an owner would; the password is kept apart."""
    known = conninfo_to_dict(url)
    config: dict[str, Any] = {
        "host": known["host"],
        "database": known["dbname"],
        "tables": [f"bench.{table}"],
    }
    if "port" in known:
        config["port"] = int(str(known["port"]))
    credentials = {"user": known.get("user"), "password": known.get("password")}
    return Wanted("postgresql", config, credentials)


async def measure(postgres: EmbeddedPostgres, rows: int) -> dict[str, Any]:
    async with working(postgres, source(postgres.url, "few"), "few") as warm:
        await warm.ask()
        await warm.sync()
    async with working(postgres, source(postgres.url, "ticket")) as product:
        bare: list[dict[str, float]] = []
        full = await _sync(product)
        noops = []
        for _ in range(NOOPS):
            meter = task.Meter(product)
            if read_bare(postgres.url) != rows:
                raise RuntimeError("the bare read missed rows")
            bare.append(meter.read())
            noops.append(await _sync(product))
        documents = task.tally(await product.contents())["documents"]
        is_exact = documents == rows == full["inserted"]
        return {
            "rows": rows,
            "bare": _medians(bare),
            "full": full,
            "noop": _medians(noops),
            "exact": is_exact and all(one["kept"] == rows for one in noops),
            "peak_mb": task.peak_megabytes(),
            "server_mb": product.other_megabytes(),
        }


async def _sync(product: Product) -> dict[str, float]:
    await product.ask()
    meter = task.Meter(product)
    await product.sync()
    cost = meter.read()
    counts = (await product.done()).counts
    return cost | {"inserted": counts.inserted, "kept": counts.kept}


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in found) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as folder:
        work = Path(folder)
        work.chmod(0o711)
        postgres = EmbeddedPostgres.ensure(work / "data")
        try:
            migrate.upgrade(postgres.url)
            fill(postgres.url, given.rows)
            told = asyncio.run(measure(postgres, given.rows))
        finally:
            postgres.stop()
    given.out.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
