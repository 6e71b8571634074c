"""The pipeline with the MiniLM model beside its bare embedder, on the same texts."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import corpus, task
from bench.product import Product, Wanted, working
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.domain.files import TextKind, text_kind
from wellhead.domain.ports import Embedder
from wellhead.store import migrate
from wellhead.sync.chunk import embedding_texts, passages
from wellhead.sync.embedding import TEXTS
from wellhead.sync.pipeline import BATCHES_IN_FLIGHT
from wellhead.sync.storable import canonical_pieces

ROUNDS = 3


def texts_of(folder: Path, budget: int) -> list[str]:
    """Return what is embedded of these files."""
    found = []
    for path, text in task.files(folder):
        kind = text_kind(Path(path).suffix) or TextKind.TEXT
        cut = passages(canonical_pieces([text]), kind=kind, budget=budget)
        found += embedding_texts(Path(path).name, [*cut])
    return found


async def embed_bare(embedder: Embedder, texts: Sequence[str]) -> float:
    """Embed as much at once as the pipeline does; returns the seconds it took."""
    ahead = iter(range(0, len(texts), TEXTS))

    async def take() -> None:
        for start in ahead:
            await embedder.embed(texts[start : start + TEXTS])

    began = time.monotonic()
    await asyncio.gather(*(take() for _ in range(BATCHES_IN_FLIGHT)))
    return time.monotonic() - began


async def sync(product: Product) -> float:
    await product.ask()
    began = time.monotonic()
    await product.sync()
    return time.monotonic() - began


async def measure(postgres: EmbeddedPostgres, folder: Path) -> dict[str, Any]:
    """Let the two take turns, beginning now with this one and now with that one."""
    shares, rates = [], []
    chunks = 0
    for number in range(ROUNDS):
        wanted = Wanted("file_system", {"path": str(folder)})
        opened = working(postgres, wanted, f"round-{number}", embedder="minilm")
        async with opened as product:
            embedder = product.embedder
            texts = texts_of(folder, embedder.chunk_characters)
            await embedder.embed(texts[:TEXTS])  # loads the model
            if number % 2:
                whole, bare = await sync(product), await embed_bare(embedder, texts)
            else:
                bare, whole = await embed_bare(embedder, texts), await sync(product)
            chunks = len([*await product.contents()])
            if chunks != len(texts):
                raise RuntimeError(f"{chunks} chunks of {len(texts)} texts")
        shares.append(bare / whole)
        rates.append((len(texts) / bare, len(texts) / whole))
    return {
        "chunks": chunks,
        "share": median(shares),
        "bare_rate": median(bare for bare, _ in rates),
        "rate": median(whole for _, whole in rates),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as name:
        work = Path(name)
        work.chmod(0o711)
        # made up, so that no text comes twice: what is known is not embedded again
        corpus.build(work / "files", given.files, places=[])
        postgres = EmbeddedPostgres.ensure(work / "data")
        try:
            migrate.upgrade(postgres.url)
            told = asyncio.run(measure(postgres, work / "files"))
        finally:
            postgres.stop()
    given.out.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
