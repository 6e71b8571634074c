"""Pages, batches and appends stay small, whatever an entity holds."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.files import TextKind
from wellhead.domain.items import Item, Upsert
from wellhead.index.lance_rows import chunk_rows
from wellhead.sync.batch import (
    LARGE_CHARACTERS,
    PART_BYTES,
    PART_CHUNKS,
    Batch,
    Loaded,
    parts_of,
)
from wellhead.sync.chunk import split
from wellhead.sync.intake import PAGE_CHARACTERS, Intake
from wellhead.sync.storable import stored_form, utc

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
DIMENSION = 4


def loaded(chunks: int, entity: Entity | None = None) -> Loaded:
    return Loaded(
        entity=entity or Entity(type="T", source_id="a", name="a"),
        key=b"k" * 16,
        scope="",
        known=None,
        inserted_by=None,
        content_hash=b"",
        meta="{}",
        meta_hash=b"",
        texts=["some words"] * chunks,
        text_hashes=[b"h" * 16] * chunks,
        characters=10 * chunks,
    )


def test_entities_share_an_append_until_it_is_full() -> None:
    writes = [loaded(1) for _ in range(512)]
    large = loaded(12_000)
    parts = parts_of([*writes, loaded(0), large, loaded(3)], DIMENSION)

    assert [sum(map(len, part)) for part in parts] == [512, 5_000, 5_000, 2_003]
    assert [one.start for part in parts for one in part if one.loaded is large] == [
        0,
        5_000,
        10_000,
    ]


def test_columns_that_every_chunk_repeats_make_an_append_smaller() -> None:
    steps = (Breadcrumb("i" * 4_000, "n" * 4_000, "T"),) * 1_000
    writes = [loaded(10, Entity(type="T", source_id="a", name="a", breadcrumbs=steps))]

    parts = parts_of(writes, DIMENSION)

    assert max(sum(map(len, part)) for part in parts) * 8_000_000 <= PART_BYTES
    assert sum(len(one) for part in parts for one in part) == 10


@given(st.lists(st.integers(0, 3 * PART_CHUNKS), max_size=6))
def test_every_chunk_is_in_one_part(counts: list[int]) -> None:
    writes = [loaded(count) for count in counts]

    parts = parts_of(writes, DIMENSION)

    assert all(0 < sum(map(len, part)) <= PART_CHUNKS for part in parts)
    for one in writes:
        mine = [p for part in parts for p in part if p.loaded is one]
        covered = [n for part in mine for n in range(part.start, part.end)]
        assert covered == list(range(len(one.texts)))


def test_a_batch_knows_that_it_is_large() -> None:
    batch = Batch()
    batch.write(loaded(LARGE_CHARACTERS // 10 + 1))

    assert batch.is_large
    assert (batch.chunks, batch.characters) == (
        len(batch.writes[0].texts),
        batch.writes[0].characters,
    )


async def test_a_page_is_closed_by_the_size_of_its_texts() -> None:
    text = "x" * (PAGE_CHARACTERS // 2)

    async def items() -> AsyncIterator[Item]:
        for number in range(6):
            yield Upsert(Entity(type="T", source_id=str(number), name="", text=text))

    pages = [len(page.items) async for page in Intake(items()).pages()]

    assert pages == [2, 2, 2, 0]


@settings(max_examples=50)
@given(
    st.builds(
        Entity,
        type=ANY_TEXT,
        source_id=ANY_TEXT,
        name=ANY_TEXT,
        text=ANY_TEXT,
        created_at=st.none() | st.datetimes(),
        breadcrumbs=st.lists(
            st.builds(Breadcrumb, ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=3
        ).map(tuple),
    ),
    st.integers(0, 2**31 - 2),
)
def test_any_entity_is_read_back_from_its_rows(entity: Entity, first: int) -> None:
    stored = stored_form(entity)
    texts = split(entity.text or "", kind=TextKind.TEXT, budget=7)
    vectors = np.ones((len(texts), DIMENSION), dtype=np.float32)

    rows = chunk_rows(
        DIMENSION,
        [
            EntityChunks(
                version=1,
                connection_id=uuid4(),
                inserted_by=None,
                job_id=uuid4(),
                entity_key=entity.key,
                entity_type=stored.type,
                source_name="s",
                source_id=stored.source_id,
                name=stored.name,
                created_at=stored.created_at,
                updated_at=None,
                breadcrumbs=stored.breadcrumbs,
                texts=texts,
                text_hashes=[text_hash(text) for text in texts],
                vectors=vectors.data,
                first_ordinal=min(first, 2**31 - 1 - len(texts)),
            )
        ],
    ).to_pylist()

    assert [row["text"] for row in rows] == texts
    assert [row["text_hash"] for row in rows] == [text_hash(text) for text in texts]
    for row in rows:
        assert (row["source_id"], row["name"]) == (stored.source_id, stored.name)
        assert row["entity_key"] == entity.key
        assert row["created_at"] == utc(entity.created_at)
        assert row["breadcrumb_ids"] == [one.entity_id for one in stored.breadcrumbs]


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])  # noqa: DTZ901
def test_the_first_and_last_moments_fit_the_index(moment: datetime) -> None:
    entity = stored_form(Entity(type="T", source_id="a", name="", created_at=moment))

    assert entity.created_at == moment.replace(tzinfo=UTC)
