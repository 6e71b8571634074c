"""What a scope lets through, in every Index: each filter against an oracle."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from wellhead.domain.chunks import EntityChunks, Vectors, text_hash
from wellhead.domain.entities import Access, Breadcrumb, entity_key
from wellhead.domain.filters import (
    FIELDS,
    MOST_CONDITIONS,
    MOST_VALUES,
    NOTHING,
    ORDERING,
    Condition,
    FieldType,
    Filter,
    FilterGroup,
    Operator,
    Scalar,
    negated,
    presence,
)
from wellhead.domain.ports import Index, IndexReader, Scope
from wellhead.domain.principals import Principal
from wellhead.domain.search import SearchResult
from wellhead.index.lance import LanceIndex
from wellhead.search.matches import may_pass, passes

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


OPENERS: dict[str, Opener] = {"lance": LanceIndex.open}


@pytest.fixture(params=list(OPENERS))
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    opened = await OPENERS[request.param](tmp_path / "index")
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


async def visible(reader: IndexReader, scope: Scope) -> set[tuple[int, int]]:
    hits = await reader.semantic(vectors_of([1]), 10_000, scope)
    found = [(hit.version, hit.ordinal) for hit in hits]
    assert len(found) == len(set(found))
    return set(found)


async def test_hidden_connections_and_jobs_are_left_out_of_both_legs(
    index: Index,
) -> None:
    collection, leaving, rolled_back = uuid4(), UUID(int=7), UUID(int=8)
    shown = replace(entity(1), inserted_by=None)
    entities = [
        shown,
        replace(entity(2), connection_id=leaving),
        replace(entity(3), inserted_by=rolled_back),
        replace(entity(4), connection_id=leaving, inserted_by=None),
    ]
    await index.append(collection, DIMENSION, entities)
    reader = await index.reader(collection)
    scope = Scope(hidden_connections=[leaving], hidden_jobs=[rolled_back, uuid4()])

    assert await visible(reader, scope) == {(1, 0)}
    assert [h.version for h in await reader.keyword("text", 9, scope)] == [1]


ACCESS = [
    Access(),
    Access(is_public=True),
    Access(viewers=(), is_public=False),
    Access(is_public=False),
    Access(viewers=()),
    Access(viewers=("user:ann",)),
    Access(viewers=("user:eve", "user:ann"), is_public=False),
    Access(viewers=("user:eve",), is_public=True),
    Access(viewers=("group:user:ann", "user:an", "user:Ann")),
    *(Access(viewers=(f"user:{one}",)) for one in HOSTILE),
]
PRINCIPALS = [
    Principal(("user:ann",)),
    Principal(("user:ann", "user:eve", "group:none")),
    Principal(("user:ann",), sees_unlisted=True),
    Principal(("user:nobody",)),
    *(Principal((f"user:{one}",)) for one in HOSTILE),
]


async def test_a_principal_is_shown_what_it_may_see_in_both_legs(index: Index) -> None:
    collection = uuid4()
    made = [
        replace(entity(version, ["text", "more text"]), access=access)
        for version, access in enumerate(ACCESS)
    ]
    await index.append(collection, DIMENSION, made)
    reader = await index.reader(collection)

    for principal in PRINCIPALS:
        scope = Scope(principal=principal)
        seen = {version for version, a in enumerate(ACCESS) if principal.may_see(a)}
        both = {(version, ordinal) for version in seen for ordinal in (0, 1)}
        assert await visible(reader, scope) == both, principal
        hits = await reader.keyword("text", 1_000, scope)
        assert {(hit.version, hit.ordinal) for hit in hits} == both, principal


async def test_what_a_principal_may_not_see_takes_no_places(index: Index) -> None:
    collection = uuid4()
    eve = Access(viewers=("user:eve",))
    hidden = [replace(entity(one, ["text"] * 9), access=eve) for one in range(1, 40)]
    ann = replace(entity(99, ["a longer text"]), access=Access(viewers=("user:ann",)))
    await index.append(collection, DIMENSION, [*hidden, ann])
    reader = await index.reader(collection)
    scope = Scope(principal=Principal(("user:ann",)))

    near = await reader.semantic(vectors_of([1_000]), 1, scope)
    assert [hit.version for hit in near] == [99]
    assert [hit.version for hit in await reader.keyword("text", 1, scope)] == [99]


MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


def filtered_entities() -> list[EntityChunks]:
    made = []
    for i, text in enumerate(HOSTILE):
        other = HOSTILE[(i + 3) % len(HOSTILE)]
        steps = (
            Breadcrumb(f"id {text}", other, "Folder"),
            Breadcrumb(other, text, "X"),
        )
        one = replace(
            entity(i, [text, "more"]),
            source_id=text,
            name=text,
            entity_type=other,
            source_name=text.upper(),
            connection_id=UUID(int=i % 3),
            job_id=UUID(int=i % 2),
            created_at=[None, *MOMENTS][i % 6],
            updated_at=[*MOMENTS, None][i % 6],
            breadcrumbs=steps[: i % 3],
        )
        made.append(one)
    return made


def values_of(one: EntityChunks, ordinal: int, field: str) -> list[Scalar]:
    """The oracle's view of a field; an empty list where it holds nothing."""
    system = "airweave_system_metadata."
    known: dict[str, Sequence[Scalar | None]] = {
        "entity_id": [f"{one.source_id}__chunk_{ordinal}"],
        "name": [one.name],
        "created_at": [one.created_at],
        "updated_at": [one.updated_at],
        "breadcrumbs.entity_id": [step.entity_id for step in one.breadcrumbs],
        "breadcrumbs.name": [step.name for step in one.breadcrumbs],
        "breadcrumbs.entity_type": [step.entity_type for step in one.breadcrumbs],
        system + "entity_type": [one.entity_type],
        system + "source_name": [one.source_name],
        system + "original_entity_id": [one.source_id],
        system + "chunk_index": [ordinal],
        system + "sync_id": [str(one.connection_id)],
        system + "sync_job_id": [str(one.job_id)],
    }
    return [value for value in known[field] if value is not None]


def holds(condition: Condition, held: list[Scalar]) -> bool:
    return compares(condition, held) is not condition.is_negated


def compares(condition: Condition, held: list[Scalar]) -> bool:
    """The oracle: what a plain condition means, in plain words."""
    wanted = condition.values
    one = wanted[0] if wanted else None
    match condition.operator:
        case Operator.EQUALS | Operator.IN:
            return any(value in wanted for value in held)
        case Operator.NOT_EQUALS | Operator.NOT_IN:
            return not any(value in wanted for value in held)
        case Operator.CONTAINS:
            return any(str(one).lower() in str(value).lower() for value in held)
        case Operator.GREATER_THAN:
            return any(value > one for value in held)  # type: ignore[operator]
        case Operator.LESS_THAN:
            return any(value < one for value in held)  # type: ignore[operator]
        case Operator.GREATER_THAN_OR_EQUAL:
            return any(value >= one for value in held)  # type: ignore[operator]
        case Operator.LESS_THAN_OR_EQUAL:
            return any(value <= one for value in held)  # type: ignore[operator]


TEXTS = [*HOSTILE, "straSSE", "ÖÄ", "日本", "Folder", "absent"]
TEXTS += ["XaFolder", "FolderaX", "Folder\x1fX", "FolderX"]
SAMPLES: dict[FieldType, list[Scalar]] = {
    FieldType.TEXT: list(TEXTS),
    FieldType.NUMBER: [-1, 0, 1, 2**31, 10**30, -(10**30)],
    FieldType.DATE: [*MOMENTS, datetime(2000, 1, 1, tzinfo=UTC)],
}
OWN_SAMPLES: dict[str, list[Scalar]] = {
    "entity_id": [*(f"{text}__chunk_1" for text in HOSTILE), "__chunk_", "__C"],
    "airweave_system_metadata.sync_id": [str(UUID(int=1)), "0000-0000", "'"],
    "airweave_system_metadata.sync_job_id": [str(UUID(int=0)), "0000-0000", "'"],
}


def conditions() -> Iterator[Condition]:
    """Every field with every operator that it takes, and values that bite."""
    for field, kind in FIELDS.items():
        values = OWN_SAMPLES.get(field, SAMPLES[kind])
        excluded = ORDERING if kind is FieldType.TEXT else {Operator.CONTAINS}
        for operator in Operator:
            if operator in excluded:
                continue
            if operator in (Operator.IN, Operator.NOT_IN):
                yield Condition(field, operator, ())
                yield Condition(field, operator, tuple(values[::2]))
                yield Condition(field, operator, tuple(values))
            else:
                yield from (Condition(field, operator, (value,)) for value in values)


def _one(condition: Condition) -> Filter:
    return (FilterGroup((condition,)),)


def expected_rows(groups: Filter) -> set[tuple[int, int]]:
    return {
        (one.version, ordinal)
        for one in filtered_entities()
        for ordinal in range(len(one.texts))
        if not groups
        or any(
            all(holds(c, values_of(one, ordinal, c.field)) for c in group.conditions)
            for group in groups
        )
    }


async def test_every_field_and_operator_agrees_with_the_oracle(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    for condition in conditions():
        found = await visible(reader, Scope(filter=_one(condition)))
        assert found == expected_rows(_one(condition)), condition


async def test_what_is_negated_holds_exactly_where_it_did_not(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    for condition in map(negated, list(conditions())[::17]):
        found = await visible(reader, Scope(filter=_one(condition)))
        assert found == expected_rows(_one(condition)), condition
        hits = await reader.keyword("more", 1000, Scope(filter=_one(condition)))
        assert {(h.version, h.ordinal) for h in hits} <= found, condition


async def test_a_field_is_present_where_it_holds_anything(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    for field in FIELDS:
        present = {
            (one.version, ordinal)
            for one in filtered_entities()
            for ordinal in range(len(one.texts))
            if values_of(one, ordinal, field)
        }

        found = await visible(reader, Scope(filter=_one(presence(field))))
        absent = await visible(reader, Scope(filter=_one(negated(presence(field)))))
        assert found == present, field
        assert absent == expected_rows(()) - present, field
    assert await visible(reader, Scope(filter=NOTHING)) == set()


async def test_the_largest_filters_are_answered(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    unlike = [
        Condition("name", Operator.CONTAINS, (f"x{n}",), is_negated=True)
        for n in range(MOST_CONDITIONS)
    ]
    many = tuple(f"x{n}" for n in range(MOST_VALUES))

    for filter_ in (
        tuple(FilterGroup((one,)) for one in unlike),
        _one(Condition("name", Operator.NOT_IN, many)),
    ):
        assert await visible(reader, Scope(filter=filter_)) == expected_rows(())


async def test_groups_are_alternatives_and_conditions_inside_add_up(
    index: Index,
) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    dice, pool = random.Random(1), list(conditions())  # noqa: S311  # not a secret
    for size in [0, *[1, 2, 3] * 20, 300]:
        filter_ = tuple(
            FilterGroup(tuple(dice.sample(pool, dice.randint(0, 3))))
            for _ in range(size)
        )
        found = await visible(reader, Scope(filter=filter_))
        assert found == expected_rows(filter_), filter_


async def test_the_keyword_leg_obeys_the_same_filter(index: Index) -> None:
    collection = uuid4()
    await index.append(collection, DIMENSION, filtered_entities())
    reader = await index.reader(collection)
    for condition in list(conditions())[::7]:
        filter_ = _one(condition)
        hits = await reader.keyword("more", 1000, Scope(filter=filter_))
        found = {(hit.version, hit.ordinal) for hit in hits}
        assert found == {row for row in expected_rows(filter_) if row[1] == 1}


def result_of(one: EntityChunks, ordinal: int) -> SearchResult:
    return SearchResult(
        entity_id=f"{one.source_id}__chunk_{ordinal}",
        name=one.name,
        relevance_score=0.0,
        breadcrumbs=one.breadcrumbs,
        created_at=one.created_at,
        updated_at=one.updated_at,
        text=one.texts[ordinal],
        source_name=one.source_name,
        entity_type=one.entity_type,
        sync_id=one.connection_id,
        sync_job_id=one.job_id,
        chunk_index=ordinal,
        original_entity_id=one.source_id,
    )


def test_what_is_found_live_is_filtered_as_the_index_would() -> None:
    results = {
        (one.version, ordinal): result_of(one, ordinal)
        for one in filtered_entities()
        for ordinal in range(len(one.texts))
    }
    every = list(conditions())
    for condition in [*every, *map(negated, every[::5]), *map(presence, FIELDS)]:
        filter_ = _one(condition)
        passing = {place for place, one in results.items() if passes(one, filter_)}
        assert passing == expected_rows(filter_), condition
        for one in results.values():
            if passes(one, filter_):
                assert may_pass(one.source_name, str(one.sync_id), filter_), condition
    assert all(passes(one, ()) for one in results.values())


def test_a_connection_that_a_filter_leaves_out_is_known_beforehand() -> None:
    system = "airweave_system_metadata."
    mine = Condition(system + "sync_id", Operator.EQUALS, ("a",))
    other = Condition(system + "sync_id", Operator.EQUALS, ("b",))
    notes = Condition(system + "source_name", Operator.NOT_EQUALS, ("notes",))
    named = Condition("name", Operator.EQUALS, ("x",))
    for groups, is_left in (
        ((FilterGroup((mine, named)),), True),
        ((FilterGroup((other, named)),), False),
        ((FilterGroup((other,)), FilterGroup((named,))), True),
        ((FilterGroup((notes,)),), False),
        ((FilterGroup((negated(other),)),), True),
        (NOTHING, True),
    ):
        assert may_pass("notes", "a", groups) is is_left, groups
