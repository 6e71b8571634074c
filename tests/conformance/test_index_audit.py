"""What an Index says of what it holds, and how it forgets for good."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from wellhead.domain.chunks import EntityChunks, StoredVersion, text_hash
from wellhead.domain.entities import entity_key
from wellhead.domain.ports import Index, Scope
from wellhead.index import lance_audit
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_upkeep import Upkeep

DIMENSION = 8
ONES = memoryview(np.ones(DIMENSION, dtype=np.float32).data)
CONNECTION, JOB, COLLECTION = UUID(int=1), UUID(int=2), UUID(int=3)


async def open_lance(root: Path) -> Index:
    upkeep = Upkeep(keep=timedelta(milliseconds=1), quiet=timedelta(0))
    return await LanceIndex.open(root, upkeep=upkeep)


OPENERS = {"lance": open_lance}


@pytest.fixture(params=list(OPENERS))
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    opened = await OPENERS[request.param](tmp_path / "index")
    yield opened
    await opened.close()


def entity(version: int, chunks: int = 1, first_ordinal: int = 0) -> EntityChunks:
    texts = [f"text {version} {n}" for n in range(chunks)]
    vectors = np.random.default_rng(version).random((chunks, DIMENSION))
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    return EntityChunks(
        version=version,
        connection_id=CONNECTION,
        inserted_by=JOB,
        job_id=JOB,
        entity_key=entity_key("Note", str(version)),
        entity_type="Note",
        source_name="stub",
        source_id=str(version),
        name=f"Note {version}",
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=texts,
        text_hashes=[text_hash(one) for one in texts],
        vectors=matrix.data,
        first_ordinal=first_ordinal,
    )


async def described(index: Index, *versions: int) -> dict[int, StoredVersion]:
    found = index.stored(COLLECTION, versions or None)
    return {one.version: one async for one in found}


async def test_every_version_is_described_once_in_order(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_audit, "WINDOW", 7)
    for start in (50, 0):
        some = [entity(start + n, chunks=n % 3 + 1) for n in range(50)]
        await index.append(COLLECTION, DIMENSION, some)

    found = [one async for one in index.stored(COLLECTION)]

    assert [one.version for one in found] == list(range(100))
    assert [one.chunks for one in found] == [n % 50 % 3 + 1 for n in range(100)]
    assert all(one.ordinals == one.highest + 1 == one.chunks for one in found)
    assert all(one.is_uniform for one in found)
    first = found[0]
    assert (first.connection_id, first.inserted_by) == (CONNECTION, JOB)
    assert first.entity_key == entity_key("Note", "0")


async def test_only_what_was_asked_for_is_described(index: Index) -> None:
    await index.append(COLLECTION, DIMENSION, [entity(n) for n in range(1, 6)])

    assert list(await described(index, 4, 2, 99)) == [2, 4]
    assert await described(index, 99) == {}


async def test_what_is_wrong_with_a_version_shows(index: Index) -> None:
    whole = entity(1, chunks=3)
    await index.append(COLLECTION, DIMENSION, [whole, whole])
    await index.append(COLLECTION, DIMENSION, [entity(2, 2), entity(2, 1, 5)])
    for number, other in enumerate(
        [
            {"connection_id": uuid4()},
            {"inserted_by": None},
            {"entity_key": entity_key("Note", "other")},
        ],
        start=3,
    ):
        mixed = [entity(number), replace(entity(number, 1, 1), **other)]  # type: ignore[arg-type]
        await index.append(COLLECTION, DIMENSION, mixed)

    found = await described(index)

    shapes = {v: (one.chunks, one.ordinals, one.highest) for v, one in found.items()}
    assert shapes == {
        1: (6, 3, 2),
        2: (3, 3, 5),
        3: (2, 2, 1),
        4: (2, 2, 1),
        5: (2, 2, 1),
    }
    uniform = {version: one.is_uniform for version, one in found.items()}
    assert uniform == {1: True, 2: True, 3: False, 4: False, 5: False}


async def test_nobodys_insert_is_described_as_such(index: Index) -> None:
    nobodys = replace(entity(1, 2), inserted_by=None)
    await index.append(COLLECTION, DIMENSION, [nobodys])

    found = await described(index)

    assert found[1].inserted_by is None
    assert found[1].is_uniform


async def test_a_collection_without_a_table_has_nothing_to_describe(
    index: Index,
) -> None:
    assert await described(index) == {}
    assert await described(index, 1) == {}
    assert await index.tables() == []
    assert await index.expunge(COLLECTION) is not None
    assert await index.forget_states(COLLECTION, 5)


async def test_collections_are_those_with_a_table(index: Index) -> None:
    other = uuid4()
    for one in (COLLECTION, other):
        await index.append(one, DIMENSION, [entity(1)])

    assert set(await index.tables()) == {COLLECTION, other}
    await index.drop(other)
    assert await index.tables() == [COLLECTION]


@pytest.mark.parametrize("batches", [1, 4])
async def test_expunging_changes_nothing_that_can_be_found(
    index: Index, batches: int
) -> None:
    for batch in range(batches):
        some = [entity(batch * 300 + n, chunks=2) for n in range(300)]
        await index.append(COLLECTION, DIMENSION, some)
    await index.maintain(COLLECTION)
    await index.delete_versions(COLLECTION, [7, 8])
    before = await described(index)

    state = await index.expunge(COLLECTION)

    assert state is not None
    assert await index.forget_states(COLLECTION, state)
    assert await described(index) == before
    reader = await index.reader(COLLECTION)
    found = await reader.keyword("text 9", 10_000, Scope())
    assert {hit.version for hit in found} == set(before)
    near = await reader.semantic(ONES, 10_000, Scope())
    assert {hit.version for hit in near} == set(before)


async def test_appends_during_an_expunge_are_all_there(index: Index) -> None:
    await index.append(COLLECTION, DIMENSION, [entity(n) for n in range(200)])
    await index.delete_versions(COLLECTION, [5])

    async def append() -> None:
        for version in range(1000, 1040):
            await index.append(COLLECTION, DIMENSION, [entity(version)])

    async def expunge() -> list[int | None]:
        return [await index.expunge(COLLECTION) for _ in range(3)]

    _, states = await asyncio.gather(append(), expunge())

    assert any(states), "appending does not keep it from being done"
    wanted = {*range(200), *range(1000, 1040)} - {5}
    assert set(await described(index)) == wanted
    assert all(one.chunks == 1 for one in (await described(index)).values())


async def test_a_state_that_was_new_a_moment_ago_is_kept_however_old(
    tmp_path: Path,
) -> None:
    keep = timedelta(seconds=3)
    upkeep = Upkeep(keep=keep, quiet=timedelta(0))
    index = await LanceIndex.open(tmp_path, upkeep=upkeep, cache_bytes=1)
    await index.append(COLLECTION, DIMENSION, [entity(n) for n in range(100)])
    await index.delete_versions(COLLECTION, list(range(20)))
    await asyncio.sleep(keep.total_seconds() + 0.1)
    reader = await index.reader(COLLECTION)
    began = time.monotonic()

    state = await index.expunge(COLLECTION)

    assert state is not None
    await index.forget_states(COLLECTION, state)
    if time.monotonic() - began < keep.total_seconds():
        assert len(await reader.semantic(ONES, 1000, Scope())) == 80
    await asyncio.sleep(keep.total_seconds())
    assert await index.forget_states(COLLECTION, state)
    await index.close()


async def test_maintenance_keeps_what_a_search_has_just_opened(tmp_path: Path) -> None:
    """After a rest the newest state is old itself, and somebody may be reading it."""
    keep = timedelta(seconds=3)
    upkeep = Upkeep(keep=keep, quiet=timedelta(0))
    index = await LanceIndex.open(tmp_path, upkeep=upkeep, cache_bytes=1)
    await index.append(COLLECTION, DIMENSION, [entity(n) for n in range(100)])
    await index.delete_versions(COLLECTION, list(range(20)))
    await asyncio.sleep(keep.total_seconds() + 0.1)
    reader = await index.reader(COLLECTION)
    began = time.monotonic()

    await index.maintain(COLLECTION)

    if time.monotonic() - began < keep.total_seconds():  # else it may be gone by now
        found = await reader.semantic(ONES, 1000, Scope())
        assert len(found) == 80
        await asyncio.sleep(keep.total_seconds())
    await index.maintain(COLLECTION)
    await asyncio.sleep(keep.total_seconds())
    await index.maintain(COLLECTION)
    with pytest.raises(RuntimeError, match="Not found"):
        await reader.semantic(ONES, 1000, Scope())
