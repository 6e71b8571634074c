"""What goes into an Index comes out of it: chunks, vectors, words, deletes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from wellhead.domain.chunks import EntityChunks, Hit, Vectors, text_hash
from wellhead.domain.entities import Breadcrumb, entity_key
from wellhead.domain.ports import Index, Scope
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_upkeep import Upkeep

Opener = Callable[[Path], Awaitable[Index]]
DIMENSION = 16
CONNECTION = UUID(int=1)
JOB = UUID(int=2)
EVERYTHING = Scope()
HOSTILE = [
    "it's",
    'say "no"',
    "back\\slash",
    "\\'",
    "100%",
    "under_score",
    "new\nline",
    "nul\x00l",
    "'; DROP TABLE x; --",
    "`tick` $1 ? :p {}",
    "ÄÖ straße",
    "日本語のテキスト",
    "🎉",
    "lone \ud800 surrogate",
    "x\x1fy",
    "",
]


def open_early(root: Path) -> Awaitable[Index]:
    """Open with maintenance that starts at a few hundred chunks."""
    upkeep = Upkeep(vector_rows=300, rows=50, fragments=3, quiet=timedelta(0))
    return LanceIndex.open(root, upkeep=upkeep)


OPENERS: dict[str, Opener] = {"lance": LanceIndex.open}
EAGER_OPENERS: dict[str, Opener] = {"lance": open_early}


@pytest.fixture(params=list(OPENERS))
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    opened = await OPENERS[request.param](tmp_path / "index")
    yield opened
    await opened.close()


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


async def test_entities_are_read_as_they_were_appended(index: Index) -> None:
    collection = uuid4()
    moment = datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=UTC)
    whole = replace(
        entity(3, ["one", "two", "three"]),
        inserted_by=None,
        created_at=moment,
        breadcrumbs=(Breadcrumb("f", "Folder", "Folder"), Breadcrumb("g", "ü", "X")),
    )
    five, seven = entity(5, ["five"]), entity(7)
    await index.append(collection, DIMENSION, [five, whole, seven])
    await index.append(collection, DIMENSION, [five])  # it is there twice

    found = await index.read_entities(collection, [5, 3, 9])
    part = await index.read_entities(collection, [3], range(1, 3))

    bare = [replace(one, vectors=memoryview(b"")) for one in (whole, five)]
    assert found == bare
    assert part == [
        replace(
            bare[0],
            texts=["two", "three"],
            text_hashes=bare[0].text_hashes[1:],
            first_ordinal=1,
        )
    ]
    assert await index.read_entities(uuid4(), [3]) == []


async def stored(index: Index, collection: UUID) -> dict[int, int]:
    pairs = [pair async for pair in index.versions(collection)]
    assert len(pairs) == len({version for version, _ in pairs})
    return dict(pairs)


async def search(index: Index, collection: UUID, query: str) -> list[int]:
    reader = await index.reader(collection)
    return [hit.version for hit in await reader.keyword(query, 50, EVERYTHING)]


# --- what goes in comes out


async def test_a_collection_without_chunks_finds_and_removes_nothing(
    index: Index,
) -> None:
    nowhere = uuid4()
    await index.append(nowhere, DIMENSION, [])
    await index.append(nowhere, DIMENSION, [entity(1, [])])
    reader = await index.reader(nowhere)

    assert await reader.semantic(vectors_of([1]), 10, EVERYTHING) == []
    assert await reader.keyword("text", 10, EVERYTHING) == []
    assert await index.read_vectors(nowhere, [1]) == {}
    assert await index.read_texts(nowhere, 1, range(9)) == {}
    assert await index.delete_versions(nowhere, [1]) == 0
    assert await index.delete_connection(nowhere, CONNECTION) == 0
    assert await stored(index, nowhere) == {}
    await index.maintain(nowhere)
    await index.drop(nowhere)


async def test_a_hit_carries_what_was_appended(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, [entity(7, ["first", "second"])])
    reader = await index.reader(collection)
    hit = (await reader.semantic(vectors_of([7001]), 1, EVERYTHING))[0]

    assert replace(hit, score=0.0) == Hit(
        version=7,
        ordinal=1,
        connection_id=CONNECTION,
        entity_key=entity_key("Note", "note-7"),
        text="second",
        score=0.0,
    )
    assert hit.score == pytest.approx(1.0, abs=1e-5)


async def test_semantic_hits_are_the_nearest_by_cosine_best_first(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, many(range(1, 11), 5))
    reader = await index.reader(collection)
    hits = await reader.semantic(vectors_of([99]), 20, EVERYTHING)

    seeds = {v * 1000 + i: (v, i) for v in range(1, 11) for i in range(5)}
    query = np.asarray(vectors_of([99]))[0]
    scores = np.asarray(vectors_of(list(seeds))) @ query
    expected = sorted(zip(scores, seeds.values(), strict=True), key=lambda x: -x[0])
    assert [(h.version, h.ordinal) for h in hits] == [pair for _, pair in expected[:20]]
    assert [h.score for h in hits] == pytest.approx(
        [float(score) for score, _ in expected[:20]], abs=1e-5
    )


async def test_equal_scores_come_in_order_of_version_and_ordinal(index: Index) -> None:
    collection = uuid4()
    same = [entity(v, ["same words", "same words"]) for v in (5, 3, 9, 1)]
    same = [replace(e, vectors=vectors_of([4, 4]), name="") for e in same]
    for one in same:
        await index.append(collection, DIMENSION, [one])
    reader = await index.reader(collection)
    expected = [(v, i) for v in (1, 3, 5, 9) for i in (0, 1)]

    semantic = await reader.semantic(vectors_of([4]), 8, EVERYTHING)
    keyword = await reader.keyword("same", 8, EVERYTHING)
    assert [(hit.version, hit.ordinal) for hit in semantic] == expected
    assert [(hit.version, hit.ordinal) for hit in keyword] == expected


async def test_an_entity_may_come_in_parts(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, [entity(1, ["a", "b"])])
    rest = replace(entity(1, ["c"]), first_ordinal=2, vectors=vectors_of([1002]))
    await index.append(collection, DIMENSION, [rest])
    reader = await index.reader(collection)

    assert await stored(index, collection) == {1: 3}
    hit = (await reader.semantic(vectors_of([1002]), 1, EVERYTHING))[0]
    assert (hit.ordinal, hit.text) == (2, "c")


async def test_vectors_are_read_back_by_the_hash_of_their_text(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, many([1, 2, 3], 4))
    found = await index.read_vectors(collection, [1, 3, 404])

    assert len(found) == 8
    for version in (1, 3):
        for part in range(4):
            row = found[text_hash(f"entity {version} part {part}")]
            expected = np.asarray(vectors_of([version * 1000 + part]))[0]
            assert np.array_equal(np.frombuffer(row.cast("B"), np.float32), expected)


async def test_texts_of_a_version_are_read_back_in_order(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, many([1, 2], 5))
    rest = replace(entity(2, ["later", "last"]), first_ordinal=5)
    for _ in range(2):  # whoever got no answer appends again
        await index.append(collection, DIMENSION, [rest])

    middle = await index.read_texts(collection, 2, range(3, 6))
    assert list(middle.items()) == [
        (3, "entity 2 part 3"),
        (4, "entity 2 part 4"),
        (5, "later"),
    ]
    assert len(await index.read_texts(collection, 2, range(100))) == 7
    assert await index.read_texts(collection, 2, range(7, 9)) == {}
    assert await index.read_texts(collection, 404, range(9)) == {}


async def test_vectors_of_the_wrong_size_are_refused(index: Index) -> None:
    collection = uuid4()
    wrong = replace(entity(1, ["a", "b"]), vectors=vectors_of([1]))
    with pytest.raises(ValueError, match="floats"):
        await index.append(collection, DIMENSION, [wrong])

    assert await stored(index, collection) == {}


async def test_several_may_append_to_a_new_collection_at_once(index: Index) -> None:
    for _ in range(5):
        collection = uuid4()
        firsts = [index.append(collection, DIMENSION, [entity(v)]) for v in range(4)]
        await asyncio.gather(*firsts)

        assert await stored(index, collection) == dict.fromkeys(range(4), 1)
        assert len(await search(index, collection, "text")) == 4


async def test_collections_do_not_see_each_other(index: Index) -> None:
    one, other = uuid4(), uuid4()
    await index.append(one, DIMENSION, [entity(1)])
    await index.append(other, DIMENSION, [entity(2)])
    assert await index.disk_bytes(one) > 0
    await index.drop(one)

    assert await index.disk_bytes(one) == 0
    assert await search(index, one, "text") == []
    assert await search(index, other, "text") == [2]
    await index.append(one, DIMENSION, [entity(3)])
    assert await search(index, one, "text") == [3]


# --- removing


async def test_deleted_versions_and_connections_are_gone_and_counted(
    index: Index,
) -> None:
    collection, elsewhere = uuid4(), UUID(int=9)
    foreign = [replace(one, connection_id=elsewhere) for one in many([20, 21], 2)]
    await index.append(collection, DIMENSION, many(range(1, 6), 3) + foreign)

    # more than one group of versions
    assert await index.delete_versions(collection, [2, *range(100, 25_000), 4]) == 6
    assert await index.delete_versions(collection, [2, 4]) == 0
    assert await index.delete_versions(collection, []) == 0
    assert await stored(index, collection) == {1: 3, 3: 3, 5: 3, 20: 2, 21: 2}
    assert await index.delete_connection(collection, elsewhere) == 4
    assert await stored(index, collection) == {1: 3, 3: 3, 5: 3}
    assert await search(index, collection, "entity") == [1] * 3 + [3] * 3 + [5] * 3


async def test_an_open_reader_keeps_its_view(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, many([1, 2], 2))
    before = await index.reader(collection)
    await index.delete_versions(collection, [1])
    await index.append(collection, DIMENSION, many([3], 2))
    after = await index.reader(collection)

    for reader, expected in ((before, {1, 2}), (after, {2, 3})):
        semantic = await reader.semantic(vectors_of([5]), 10, EVERYTHING)
        keyword = await reader.keyword("entity", 10, EVERYTHING)
        assert {hit.version for hit in semantic} == expected
        assert {hit.version for hit in keyword} == expected


# --- words

FINDS = [
    ("the function snake_case_name returns", "snake_case_name"),
    ("the function snake_case_name returns", "case"),
    ("failed with ERR-4032 at night", "err-4032"),
    ("failed with ERR-4032 at night", "4032"),
    ("see /usr/lib/python/site.py for it", "lib/python/site.py"),
    ("mail ada@example.com about it", "ada@example.com"),
    ("Die Straße in Größe neun", "STRAßE"),
    ("Die Straße in Größe neun", "größe"),
    ("she runs marathons", "running a marathon"),
    ("un café très cher", "cafe"),
    ("привет мир", "Привет"),
    ("日本語のテキスト、東京タワー", "東京"),
    ("สวัสดีชาวโลก", "สวัสดี"),
    ("what is to be done", "be"),
    (f"digest {'ab12' * 16}", "ab12" * 16),
]


@pytest.mark.parametrize("is_maintained", [False, True])
async def test_keyword_search_finds_words_of_many_kinds(
    eager: Index, is_maintained: bool
) -> None:
    collection = uuid4()
    filler = [entity(1000 + i, [f"filler number {i}"]) for i in range(60)]
    texts = [entity(i, [text]) for i, (text, _) in enumerate(FINDS, start=1)]
    await eager.append(collection, DIMENSION, filler + texts)
    if is_maintained:
        await eager.maintain(collection)

    for i, (text, query) in enumerate(FINDS, start=1):
        found = await search(eager, collection, query)
        assert i in found, (text, query)
        assert max(found) < 1000, query


async def test_any_word_is_enough_and_more_words_rank_higher(index: Index) -> None:
    collection = uuid4()
    texts = ["red apples", "green apples and red pears", "green pears only", "nothing"]
    entities = [entity(i, [text]) for i, text in enumerate(texts)]
    await index.append(collection, DIMENSION, entities)

    found = await search(index, collection, "red apples")
    assert found[0] == 0
    assert set(found) == {0, 1}


async def test_a_name_is_found_once_however_many_chunks_bear_it(index: Index) -> None:
    collection = uuid4()
    named = replace(entity(1, ["a", "b", "c"]), name="budget_2026.xlsx")
    await index.append(collection, DIMENSION, [named, entity(2)])

    assert await search(index, collection, "budget") == [1]


@pytest.mark.parametrize(
    "query",
    [*HOSTILE, " ", "!!! ??? ...", "a" * 10_000, "word " * 2000, "AND OR NOT (", "~^*"],
)
async def test_odd_queries_never_raise(index: Index, query: str) -> None:
    collection = uuid4()
    entities = [entity(i, [text]) for i, text in enumerate(HOSTILE)]
    await index.append(collection, DIMENSION, entities)
    reader = await index.reader(collection)

    hits = await reader.keyword(query, 10, EVERYTHING)
    assert all(hit.score > 0 for hit in hits)


async def test_a_query_without_direction_finds_no_neighbours(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, [entity(1)])
    reader = await index.reader(collection)
    zero = memoryview(bytes(4 * DIMENSION))

    assert await reader.semantic(zero, 10, EVERYTHING) == []
    assert await reader.semantic(vectors_of([1]), 0, EVERYTHING) == []
    assert await reader.keyword("text", 0, EVERYTHING) == []
