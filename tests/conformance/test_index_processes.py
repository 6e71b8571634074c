"""An Index under work: maintenance, several processes, kills and a full disk."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from wellhead.domain.chunks import EntityChunks, Vectors, text_hash
from wellhead.domain.entities import entity_key
from wellhead.domain.errors import ErrorCategory, JobError
from wellhead.domain.filters import (
    Condition,
    FilterGroup,
    Operator,
)
from wellhead.domain.ports import Index, Scope
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_upkeep import Upkeep

Opener = Callable[[Path], Awaitable[Index]]
DIMENSION = 16
CONNECTION = UUID(int=1)
JOB = UUID(int=2)
EVERYTHING = Scope()


def open_early(root: Path) -> Awaitable[Index]:
    """Open with maintenance that starts at a few hundred chunks."""
    upkeep = Upkeep(vector_rows=300, rows=50, fragments=3, quiet=timedelta(0))
    return LanceIndex.open(root, upkeep=upkeep)


OPENERS: dict[str, Opener] = {"lance": LanceIndex.open}
EAGER_OPENERS: dict[str, Opener] = {"lance": open_early}


@pytest.fixture(params=list(EAGER_OPENERS))
async def eager(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    opened = await EAGER_OPENERS[request.param](tmp_path / "index")
    yield opened
    await opened.close()


def vectors_of(seeds: Sequence[int]) -> Vectors:
    rows = [np.random.default_rng(seed).standard_normal(DIMENSION) for seed in seeds]
    matrix = np.array(rows, dtype=np.float32).reshape(len(seeds), DIMENSION)
    return memoryview(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def entity(version: int, texts: Sequence[str] = ("text",)) -> EntityChunks:
    """Chunks whose vectors are drawn from version * 1000 + ordinal."""
    return EntityChunks(
        version=version,
        connection_id=CONNECTION,
        inserted_by=JOB,
        job_id=JOB,
        entity_key=entity_key("Note", f"note-{version}"),
        entity_type="Note",
        source_name="notes",
        source_id=f"note-{version}",
        name=f"Note {version}",
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=texts,
        text_hashes=[text_hash(text) for text in texts],
        vectors=vectors_of([version * 1000 + i for i in range(len(texts))]),
    )


def many(versions: Sequence[int], chunks: int) -> list[EntityChunks]:
    return [
        entity(v, [f"entity {v} part {i}" for i in range(chunks)]) for v in versions
    ]


async def stored(index: Index, collection: UUID) -> dict[int, int]:
    pairs = [pair async for pair in index.versions(collection)]
    assert len(pairs) == len({version for version, _ in pairs})
    return dict(pairs)


async def search(index: Index, collection: UUID, query: str) -> list[int]:
    reader = await index.reader(collection)
    return [hit.version for hit in await reader.keyword(query, 50, EVERYTHING)]


# --- upkeep


async def test_maintenance_changes_no_answer_and_new_chunks_are_found_at_once(
    eager: Index,
) -> None:
    collection = uuid4()
    for start in range(1, 101, 20):
        await eager.append(collection, DIMENSION, many(range(start, start + 20), 5))
    await eager.delete_versions(collection, list(range(1, 31)))
    before = await eager.reader(collection)
    query, words = vectors_of([99]), "entity 77 part"
    old_semantic = await before.semantic(query, 20, EVERYTHING)
    old_keyword = await before.keyword(words, 20, EVERYTHING)
    await eager.maintain(collection)
    await eager.maintain(collection)
    await eager.append(collection, DIMENSION, [entity(500, ["late arrival"])])
    after = await eager.reader(collection)

    new_semantic = await after.semantic(query, 20, EVERYTHING)
    new_keyword = await after.keyword(words, 20, EVERYTHING)
    pairs = [(hit.version, hit.ordinal) for hit in old_semantic]
    assert [(hit.version, hit.ordinal) for hit in new_semantic] == pairs
    assert {hit.version for hit in new_keyword[:5]} == {77}
    assert {hit.version for hit in old_keyword[:5]} == {77}
    nearest = await after.semantic(vectors_of([500_000]), 1, EVERYTHING)
    assert [hit.version for hit in nearest] == [500]
    assert await search(eager, collection, "arrival") == [500]
    assert await stored(eager, collection) == dict.fromkeys(range(31, 101), 5) | {
        500: 1
    }


async def write(index: Index, collection: UUID, first: int) -> None:
    for start in range(first, first + 100, 10):
        await index.append(collection, DIMENSION, many(range(start, start + 10), 4))


async def remove(index: Index, collection: UUID) -> None:
    for start in range(1, 101, 10):
        versions = list(range(start, start + 10))
        assert await index.delete_versions(collection, versions) == 40


async def look(index: Index, collection: UUID) -> None:
    reader = await index.reader(collection)
    hits = await reader.semantic(vectors_of([3]), 5000, EVERYTHING)
    # no part of a batch is ever seen without the rest
    assert set(Counter(hit.version for hit in hits).values()) == {4}
    assert await reader.keyword("part", 5, EVERYTHING)


async def test_writers_searchers_and_the_maintainer_do_not_disturb_each_other(
    eager: Index,
) -> None:
    collection = uuid4()
    await eager.append(collection, DIMENSION, many(range(1, 101), 4))
    is_written = asyncio.Event()

    async def repeat(work: Callable[[], Awaitable[None]]) -> None:
        while not is_written.is_set():
            await work()

    around = asyncio.gather(
        repeat(lambda: eager.maintain(collection)),
        repeat(lambda: look(eager, collection)),
    )
    await asyncio.gather(
        write(eager, collection, 1000),
        write(eager, collection, 2000),
        remove(eager, collection),
    )
    is_written.set()
    await around
    await eager.maintain(collection)

    expected = [*range(1000, 1100), *range(2000, 2100)]
    assert await stored(eager, collection) == dict.fromkeys(expected, 4)


async def test_a_narrow_scope_still_fills_the_page(eager: Index) -> None:
    collection = uuid4()
    rare = [replace(one, entity_type="Rare") for one in many(range(900, 905), 2)]
    await eager.append(collection, DIMENSION, many(range(1, 101), 5) + rare)
    await eager.maintain(collection)
    field = "airweave_system_metadata.entity_type"
    is_rare = Condition(field, Operator.EQUALS, ("Rare",))
    only = Scope(filter=(FilterGroup((is_rare,)),))
    reader = await eager.reader(collection)

    semantic = await reader.semantic(vectors_of([5]), 10, only)
    keyword = await reader.keyword("entity", 10, only)
    expected = {(v, i) for v in range(900, 905) for i in (0, 1)}
    assert {(hit.version, hit.ordinal) for hit in semantic} == expected
    assert {(hit.version, hit.ordinal) for hit in keyword} == expected


# --- several processes


def spawn_writer(
    kind: str, root: Path, collection: UUID, first: int
) -> subprocess.Popen[str]:
    return subprocess.Popen(  # this very file
        [sys.executable, __file__, kind, str(root), str(collection), str(first)],
        stdout=subprocess.PIPE,
        text=True,
    )


BATCH, CHUNKS = 5, 8


async def write_batches(kind: str, root: str, collection: str, first: str) -> None:
    """Run in a process of its own: append, and say which batch is in."""
    index = await OPENERS[kind](Path(root))
    while not (Path(root) / "go").exists():  # noqa: ASYNC110  # set by another process
        await asyncio.sleep(0.005)
    for start in range(int(first), int(first) + 100_000, BATCH):
        entities = many(range(start, start + BATCH), CHUNKS)
        await index.append(UUID(collection), DIMENSION, entities)
        sys.stdout.write(f"{start}\n")
        sys.stdout.flush()


def acknowledged(writer: subprocess.Popen[str], batches: int) -> list[int]:
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(batches)]
    writer.kill()
    lines.extend(writer.stdout)
    writer.wait()
    writer.stdout.close()
    return [int(line) for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("kind", list(OPENERS))
async def test_processes_may_create_and_write_together_and_be_killed_at_any_time(
    kind: str, tmp_path: Path
) -> None:
    collection = uuid4()
    writers = [
        spawn_writer(kind, tmp_path, collection, first) for first in (1, 1_000_001)
    ]
    try:
        await asyncio.sleep(0.1)
        (tmp_path / "go").touch()
        counts = (12, 17)
        acked = await asyncio.gather(
            *(
                asyncio.to_thread(acknowledged, writer, count)
                for writer, count in zip(writers, counts, strict=True)
            )
        )
    finally:
        for writer in writers:
            with suppress(ProcessLookupError):
                writer.kill()
    index = await OPENERS[kind](tmp_path)
    found = await stored(index, collection)
    promised = {s + i for starts in acked for s in starts for i in range(BATCH)}

    assert len(promised) >= sum(counts) * BATCH
    assert promised <= found.keys()
    assert set(found.values()) == {CHUNKS}
    assert len(found) % BATCH == 0
    assert len(found) <= len(promised) + 2 * BATCH
    # the survivors' table goes on working
    await index.append(collection, DIMENSION, [entity(5_000_000, ["afterwards"])])
    await index.maintain(collection)
    assert await search(index, collection, "afterwards") == [5_000_000]
    await index.close()


# --- a full disk


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


@pytest.mark.parametrize("kind", list(OPENERS))
async def test_a_full_disk_is_named_and_loses_nothing(
    kind: str, tiny_disk: Path
) -> None:
    collection = uuid4()
    index = await OPENERS[kind](tiny_disk)
    dice, done = random.Random(2), 0  # noqa: S311  # not a secret
    with pytest.raises(JobError) as caught:  # noqa: PT012  # it fills up at some point
        while done < 100:
            text = dice.randbytes(100_000).hex()
            await index.append(collection, DIMENSION, [entity(done + 1, [text])])
            done += 1

    assert caught.value.category is ErrorCategory.DISK_FULL
    assert done > 0
    assert await stored(index, collection) == dict.fromkeys(range(1, done + 1), 1)
    await index.close()


if __name__ == "__main__":
    asyncio.run(write_batches(*sys.argv[1:]))
