"""What the doctor says of searches."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from pydantic import SecretStr

from wellhead.app import search_probe
from wellhead.app.home import Home
from wellhead.app.settings import Settings
from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.entities import entity_key
from wellhead.domain.errors import StartError
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_upkeep import Upkeep

CHUNKS = 600


async def _fill(folder: Path, collection_id: UUID) -> None:
    """Fill a table and let the maintainer index its vectors."""
    index = await LanceIndex.open(folder, upkeep=Upkeep(vector_rows=CHUNKS))
    texts = [f"text {number} of many" for number in range(CHUNKS)]
    vectors = np.random.default_rng(1).standard_normal((CHUNKS, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = EntityChunks(
        version=1,
        connection_id=uuid4(),
        inserted_by=None,
        job_id=uuid4(),
        entity_key=entity_key("Note", "a"),
        entity_type="Note",
        source_name="stub",
        source_id="a",
        name="a",
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=texts,
        text_hashes=[text_hash(text) for text in texts],
        vectors=vectors.astype(np.float32).data,
    )
    await index.append(collection_id, 8, [chunks])
    await index.maintain(collection_id)
    await index.close()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path, database_url=SecretStr(database_url))


def test_small_collections_are_exact(settings: Settings) -> None:
    asyncio.run(_fill(Home(settings.data_dir).index, uuid4()))

    assert search_probe.searches(settings) == (
        "exact: no collection has 20,000 chunks, from which on one is indexed"
    )


def test_speed_and_recall_of_a_large_collection_are_measured(
    settings: Settings,
) -> None:
    organization_id, collection_id = uuid4(), uuid4()
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute(
            "INSERT INTO organization (id, name, created_at) VALUES (%s, 'o', now())",
            [organization_id],
        )
        connection.execute(
            "INSERT INTO collection (id, organization_id, readable_id, name,"
            " vector_size, embedding_model_name, created_at, modified_at)"
            " VALUES (%s, %s, 'papers', 'Papers', 8, 'null', now(), now())",
            [collection_id, organization_id],
        )
    asyncio.run(_fill(Home(settings.data_dir).index, collection_id))
    found = search_probe.searches(settings, least_chunks=CHUNKS)

    assert found.startswith("papers: 600 chunks, ")
    assert found.endswith("% of the 10 nearest found")
    assert float(found.rpartition(", ")[2].partition("%")[0]) >= 90


def test_an_index_that_misses_much_is_not_in_order(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_fill(Home(settings.data_dir).index, uuid4()))
    monkeypatch.setattr(search_probe, "LEAST_RECALL", 1.1)

    with pytest.raises(StartError, match="the vector index misses too much"):
        search_probe.searches(settings, least_chunks=CHUNKS)


def test_a_table_that_cannot_be_searched_is_told(settings: Settings) -> None:
    index = Home(settings.data_dir).index
    asyncio.run(_fill(index, uuid4()))
    for file in index.glob("*.lance/data/*"):
        file.write_bytes(b"")

    with pytest.raises((StartError, OSError)):
        search_probe.searches(settings, least_chunks=1)
