"""What a worker holds for a job of so many entities: one size, one process."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from bench import task
from bench.product import Wanted, working
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store import migrate


async def measure(postgres: EmbeddedPostgres, entities: int) -> dict[str, Any]:
    wanted = Wanted("bulk_stub", {"entity_count": entities}, {"stub_key": "any"})
    async with working(postgres, wanted) as product:
        await product.ask()
        meter = task.Meter(product)
        await product.sync()
        cost = meter.read()
        if (await product.done()).counts.inserted != entities:
            raise RuntimeError("not every entity came")
        return cost | {
            "entities": entities,
            "peak_mb": task.peak_megabytes(),
            "server_mb": product.other_megabytes(),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entities", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as name:
        work = Path(name)
        work.chmod(0o711)
        postgres = EmbeddedPostgres.ensure(work / "data")
        try:
            migrate.upgrade(postgres.url)
            told = asyncio.run(measure(postgres, given.entities))
        finally:
            postgres.stop()
    given.out.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
