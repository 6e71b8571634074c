"""How many of the nearest neighbours the vector index finds, beside an exact scan."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import lancedb

from wellhead.app.embedders import choose_embedder
from wellhead.app.settings import load
from wellhead.app.wiring import open_index
from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.entities import entity_key
from wellhead.domain.ports import Embedder
from wellhead.index.lance_probe import Probe, Query, probe

PROCESSES = 2


def measure(folder: Path, texts: Sequence[str], questions: Sequence[str]) -> Any:
    found = asyncio.run(_measure(folder, texts, questions))
    return {
        "chunks": found.chunks,
        "questions": found.queries,
        "recall": found.recall,
        "seconds": found.semantic_seconds,
    }


async def _measure(
    folder: Path, texts: Sequence[str], questions: Sequence[str]
) -> Probe:
    """Index the texts as the maintainer does, and ask with the questions' vectors."""
    embedder = choose_embedder(load(embedder="minilm"), processes=PROCESSES)
    try:
        chunks = await _chunks(embedder, texts)
        queries = [Query(await embedder.embed_query(one), one) for one in questions]
    finally:
        await embedder.close()
    collection_id = uuid4()
    index = await open_index(folder, 256 * 2**20)
    await index.append(collection_id, embedder.dimension, [chunks])
    await index.maintain(collection_id)
    await index.close()
    with (
        await lancedb.connect_async(folder) as connection,
        await connection.open_table(collection_id.hex) as table,
    ):
        return await probe(table, queries)


async def _chunks(embedder: Embedder, texts: Sequence[str]) -> EntityChunks:
    return EntityChunks(
        version=1,
        connection_id=uuid4(),
        inserted_by=None,
        job_id=uuid4(),
        entity_key=entity_key("Text", "all"),
        entity_type="Text",
        source_name="bench",
        source_id="all",
        name="all",
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=texts,
        text_hashes=[text_hash(text) for text in texts],
        vectors=await embedder.embed(texts),
    )
