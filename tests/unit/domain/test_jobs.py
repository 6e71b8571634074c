"""The state machine of a job: every edge of the graph, and no other."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.domain.errors import ConflictError
from wellhead.domain.jobs import FINAL, NEXT, OPEN, JobStatus, SyncJob, move

START = datetime(2026, 1, 1, tzinfo=UTC)
EDGES = {
    ("pending", "running"),
    ("pending", "cancelled"),
    ("pending", "failed"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelling"),
    ("cancelling", "cancelled"),
}


def job() -> SyncJob:
    return SyncJob(
        id=uuid4(), organization_id=uuid4(), connection_id=uuid4(), created_at=START
    )


def test_the_graph_is_the_one_of_the_contract() -> None:
    assert {(a.value, b.value) for a in JobStatus for b in NEXT[a]} == EDGES
    assert frozenset(JobStatus) == OPEN | FINAL
    assert all(not NEXT[status] for status in FINAL)


@given(st.lists(st.sampled_from(JobStatus), max_size=8))
def test_every_history_is_a_path_of_the_graph(wishes: list[JobStatus]) -> None:
    now, history = job(), [JobStatus.PENDING]
    for minutes, wish in enumerate(wishes, start=1):
        before = now
        at = START + timedelta(minutes=minutes)
        if wish is not now.status and wish not in NEXT[now.status]:
            with pytest.raises(ConflictError):
                move(now, wish, at=at)
            continue
        now = move(now, wish, at=at)
        if wish is before.status:
            assert now == before, "going nowhere changes nothing"
        history.append(now.status)

    steps = {(a.value, b.value) for a, b in pairwise(history) if a is not b}
    assert steps <= EDGES
    assert (now.completed_at is not None) == (now.status in FINAL)
    if now.duration_seconds is not None:
        assert now.duration_seconds > 0


def test_a_job_that_ended_while_it_waited_has_no_duration() -> None:
    cancelled = move(job(), JobStatus.CANCELLED, at=START + timedelta(minutes=1))

    assert cancelled.completed_at is not None
    assert (cancelled.started_at, cancelled.duration_seconds) == (None, None)


def test_a_final_job_holds_no_lease() -> None:
    running = move(job(), JobStatus.RUNNING, at=START)
    ended = move(running, JobStatus.FAILED, at=START + timedelta(seconds=90))

    assert (ended.lease_until, ended.waiting_until) == (None, None)
    assert ended.duration_seconds == 90


@given(st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=2))
def test_clocks_that_disagree_make_no_job_end_before_it_began(
    seconds: list[int],
) -> None:
    began, ended = (START + timedelta(seconds=one) for one in seconds)
    done = move(move(job(), JobStatus.RUNNING, at=began), JobStatus.COMPLETED, at=ended)

    assert done.started_at is not None
    assert done.completed_at is not None
    assert done.created_at <= done.started_at <= done.completed_at
    assert (done.duration_seconds or 0) >= 0
