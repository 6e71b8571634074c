"""What counts as changed, and how often."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.domain.entities import Access, Entity
from wellhead.domain.errors import FailureClass, JobError
from wellhead.store.ledger import Change, Known
from wellhead.store.quarantine import OpenFailure
from wellhead.sync import counting, diff
from wellhead.sync.diff import Verdict
from wellhead.sync.quarantine import FailureRate

KNOWN = Known(1, "v1", b"content", b"meta", uuid4())


def entity(version: str | None = None, **more: Any) -> Entity:
    return Entity(type="T", source_id="a", name="a", source_version=version, **more)


@pytest.mark.parametrize(
    ("version", "known", "failure", "verdict"),
    [
        ("v1", KNOWN, None, Verdict.KEEP),
        ("v2", KNOWN, None, Verdict.LOOK),
        (None, KNOWN, None, Verdict.LOOK),
        ("v1", None, None, Verdict.LOOK),
        ("v1", KNOWN, ("permanent", "v1", "f"), Verdict.SKIP),
        ("v2", KNOWN, ("permanent", "v1", "f"), Verdict.LOOK),
        ("v1", KNOWN, ("permanent", "v1", "older"), Verdict.LOOK),
        ("v1", KNOWN, ("permanent", "v1", "f", True), Verdict.LOOK),
        (None, KNOWN, ("permanent", None, "f"), Verdict.LOOK),
        ("v1", KNOWN, ("transient", "v1", "f"), Verdict.LOOK),
    ],
)
def test_the_source_version_decides_where_it_can(
    version: str | None, known: Known | None, failure: Any, verdict: Verdict
) -> None:
    is_open = failure and OpenFailure(FailureClass(failure[0]), *failure[1:])

    assert diff.by_version(entity(version), known, is_open, "f") is verdict


@pytest.mark.parametrize(
    ("known", "content", "meta", "verdict"),
    [
        (None, b"content", b"meta", Verdict.WRITE),
        (KNOWN, b"content", b"meta", Verdict.KEEP),
        (KNOWN, b"other", b"meta", Verdict.WRITE),
        (KNOWN, b"content", b"other", Verdict.WRITE),
    ],
)
def test_the_content_decides_the_rest(
    known: Known | None, content: bytes, meta: bytes, verdict: Verdict
) -> None:
    assert diff.by_content(known, None, content, meta) is verdict


def test_an_open_failure_is_never_kept() -> None:
    failure = OpenFailure(FailureClass.TRANSIENT, "v1", "f")

    assert diff.by_content(KNOWN, failure, b"content", b"meta") is Verdict.WRITE


def test_metadata_does_not_depend_on_the_order_of_its_parts() -> None:
    one = entity(raw={"a": 1, "b": 2}, access=Access(viewers=("x", "y")))
    two = entity(raw={"b": 2, "a": 1}, access=Access(viewers=("y", "x")))

    assert diff.meta_json(one, one.raw) == diff.meta_json(two, two.raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_raw_fields_become_json_that_postgresql_takes(value: Any) -> None:
    made = entity(raw={"value": value}, updated_at=datetime(2026, 1, 1, tzinfo=UTC))

    stored = diff.meta_json(made, made.raw)

    assert "\\u0000" not in stored.replace("\\\\", "")
    assert json.loads(stored)["updated_at"] == "2026-01-01T00:00:00+00:00"
    stored.encode()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_however_often_an_entity_changes_it_counts_once(
    steps: list[tuple[str, bool]],
) -> None:
    alive = {b"a"}
    first = set(alive)
    noted: dict[bytes, Change] = {}
    total = counting.Tally()
    for name, exists in steps:
        key = name.encode()
        if not exists and key not in alive:
            continue
        before = noted[key].before if key in noted else key in alive
        earlier = {key: noted[key]} if key in noted else {}
        now = {key: Change(before, exists)}
        total += counting.tally(earlier, now)
        noted |= now
        alive = alive | {key} if exists else alive - {key}

    assert total.inserted == len(alive - first)
    assert total.deleted == len(first - alive)
    assert total.updated == sum(one.before and one.after for one in noted.values())


def test_a_few_failures_are_borne_and_many_are_not() -> None:
    rate = FailureRate()
    rate.add(well=0, failed=20)
    rate.judge(["x"])
    rate.add(well=1000, failed=1)
    rate.judge(["x"])
    rate.add(well=0, failed=150)

    with pytest.raises(JobError, match=r"171 entities failed, 15[01] of the last 1000"):
        rate.judge(["out of paper"])
