"""Odd text, dates, numbers and tokens on their way into PostgreSQL and the index."""

import json
import math
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wellhead.domain.entities import Access, Breadcrumb, Entity
from wellhead.domain.errors import EntityError, JobError
from wellhead.sync import storable
from wellhead.sync.diff import MOST_LEVELS, meta_json
from wellhead.sync.storable import (
    canonical_pieces,
    canonical_text,
    original,
    original_token,
    stored_form,
    stored_scope,
    stored_token,
    stored_version,
    utc,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))
TRICKY = st.text(st.sampled_from("\0\\{}05cdf8\ud800\udcff\udfffa"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=8,
)


def is_storable(text: str) -> bool:
    text.encode()
    return "\0" not in text


@given(ANY_TEXT | TRICKY)
@example("\\{0}")
@example("\\{5c}{0}")
@example("\\\\{0}\0")
def test_an_identifier_is_stored_one_to_one(text: str) -> None:
    assert is_storable(storable.storable(text))
    assert original(storable.storable(text)) == text


@given(ANY_TEXT)
def test_a_usual_identifier_is_stored_as_it_is(text: str) -> None:
    usual = text.encode("utf-8", "ignore").decode().replace("\0", "").replace("{", "")

    assert storable.storable(usual) == usual


@given(ANY_TEXT)
def test_canonical_text_is_storable_and_stays_what_it_is(text: str) -> None:
    canonical = canonical_text(text)

    assert is_storable(canonical)
    assert canonical_text(canonical) == canonical
    assert unicodedata.is_normalized("NFC", canonical)


@given(
    st.lists(st.text(st.sampled_from("ae\u0301\u0327\u1100\u1161\u11a8水\ud83e\0 ")))
)
def test_pieces_of_a_text_are_canonical_as_the_whole_is(
    parts: list[str],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storable, "_PIECE", 8)
        got = "".join(canonical_pieces(parts))

    # a half of a pair that was cut off in another part is none
    assert got == "".join(canonical_pieces(["".join(parts)]))


def test_a_long_version_is_stored_as_its_digest() -> None:
    one, other = stored_version("v" * 10_000), stored_version("v" * 10_001)

    assert one is not None
    assert one != other
    assert len(one) < 100
    assert stored_version("v1") == "v1"
    assert stored_version(None) is None


def test_a_scope_is_refused_when_no_index_can_hold_it() -> None:
    assert stored_scope("a/\0") == "a/\\{0}"
    with pytest.raises(JobError, match="3000 characters"):
        stored_scope("x" * 3_000)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 1, 2), "2026-01-02T00:00:00+00:00"),  # noqa: DTZ001
        (datetime.min, "0001-01-01T00:00:00+00:00"),  # noqa: DTZ901
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            "0001-01-01T00:00:00+00:00",
        ),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
            "9999-12-31T23:59:59.999999+00:00",
        ),
    ],
)
def test_every_moment_has_one_in_utc(moment: datetime, expected: str) -> None:
    got = utc(moment)

    assert got is not None
    assert got.isoformat() == expected
    assert got.tzinfo is UTC


@given(st.dictionaries(ANY_TEXT, JSON, max_size=3))
@settings(max_examples=40)
@example({"$json": "x"})
def test_a_token_comes_back_as_it_was(token: dict[str, Any]) -> None:
    stored = json.dumps(stored_token(token), allow_nan=False)

    assert not storable.REFUSED_JSON.search(stored.replace("\\\\", ""))
    back = original_token(json.loads(stored))
    assert json.dumps(back, sort_keys=True) == json.dumps(token, sort_keys=True)


@settings(max_examples=40)
@given(
    st.builds(
        Entity,
        type=ANY_TEXT,
        source_id=ANY_TEXT,
        name=ANY_TEXT,
        url=ANY_TEXT,
        created_at=st.none() | st.datetimes(),
        breadcrumbs=st.lists(st.builds(Breadcrumb, ANY_TEXT, ANY_TEXT, ANY_TEXT)).map(
            tuple
        ),
        access=st.builds(Access, st.none() | st.lists(ANY_TEXT).map(tuple)),
        raw=st.dictionaries(ANY_TEXT | st.integers() | st.none(), JSON),
    )
)
def test_all_metadata_becomes_json_that_everything_takes(entity: Entity) -> None:
    meta = meta_json(stored_form(entity), entity.raw)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(meta, parse_constant=refuse)
    json.dumps(read, ensure_ascii=False).encode()
    assert "\0" not in json.dumps(read, ensure_ascii=False).replace("\\u0000", "\0")


def test_metadata_is_never_nested_deeper_than_readers_go() -> None:
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]

    meta = meta_json(Entity(type="T", source_id="a", name=""), {"a": deep})

    assert meta.count("[") <= MOST_LEVELS + 1


@pytest.mark.parametrize(
    "number", [10**5_000, math.nan, math.inf, -(10**400)], ids=["a", "b", "c", "d"]
)
def test_what_is_no_number_to_readers_is_left_out(number: float) -> None:
    entity = Entity(type="T", source_id="a", name="", raw={"a": number, "b": 1})

    assert json.loads(meta_json(stored_form(entity), entity.raw))["raw"] == {
        "a": None,
        "b": 1,
    }


def test_the_outsized_is_refused_in_words() -> None:
    with pytest.raises(EntityError, match="its id has 10000 characters"):
        stored_form(Entity(type="T", source_id="x" * 10_000, name=""))
    with pytest.raises(EntityError, match="2000 steps"):
        stored_form(
            Entity(
                type="T",
                source_id="x",
                name="",
                breadcrumbs=(Breadcrumb("a", "b", "c"),) * 2_000,
            )
        )
    with pytest.raises(EntityError, match="17 MB"):
        meta_json(Entity(type="T", source_id="x", name=""), {"a": "x" * 17 * 2**20})
