"""Cron expressions: defaults, checks, next moments, and who starts how late."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import BadRequestError, InvalidInputError
from wellhead.domain.items import Item
from wellhead.services import schedules
from wellhead.services.schedules import Schedule
from wellhead.sources.base import Source, SourceInfo

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOME = [UUID(int=number) for number in range(200)]


def source_that(**traits: Any) -> type[Source]:
    class Scripted(Source):
        info = SourceInfo(
            short_name="x", name="X", description="", entity_types=(), **traits
        )

        async def check(self) -> None: ...

        async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            nothing: tuple[Item, ...] = ()
            for one in nothing:
                yield one

    return Scripted


PLAIN = source_that()
CONTINUOUS = source_that(supports_continuous=True)
INCREMENTAL = source_that(supports_continuous=True, is_incremental=True)


def connection(cron: str | None, ident: UUID | None = None) -> SourceConnection:
    return SourceConnection(
        id=ident or uuid4(),
        organization_id=uuid4(),
        collection_id=uuid4(),
        readable_collection_id="c",
        short_name="x",
        name="X",
        created_at=NOW,
        modified_at=NOW,
        schedule_cron=cron,
    )


def first(source: type[Source], cron: str | None, ident: UUID) -> dict[str, Any]:
    return schedules.first_moments(
        source, cron, connection_id=ident, created_at=NOW, at=NOW
    )


def test_the_default_is_daily_at_the_minute_of_creation() -> None:
    assert schedules.wished_cron(PLAIN, None, at=NOW) == "4 3 * * *"
    assert schedules.wished_cron(CONTINUOUS, None, at=NOW) == "*/5 * * * *"


def test_a_wish_without_a_cron_is_for_no_schedule() -> None:
    assert schedules.wished_cron(CONTINUOUS, Schedule(), at=NOW) is None
    assert first(CONTINUOUS, None, uuid4()) == {
        "schedule_cron": None,
        "next_run_at": None,
        "next_full_at": None,
        "full_waits_until": None,
    }


@pytest.mark.parametrize(
    ("cron", "plain"),
    [
        ("0 * * * *", "0 * * * *"),
        ("  0   12 * *  MON ", "0 12 * * MON"),
        ("0 0 1 mar,apr thu", "0 0 1 mar,apr thu"),
    ],
)
def test_a_good_cron_comes_back_with_single_spaces(cron: str, plain: str) -> None:
    assert schedules.valid_cron(cron, after=NOW) == plain


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "@daily",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "x * * * *",
        "0 0 31 2 *",
        "R R * * *",
        "r(0-9) 3 * * *",
        "H * * * *",
    ],
)
def test_what_is_no_cron_or_never_comes_or_differs_each_time_is_refused(
    cron: str,
) -> None:
    with pytest.raises(InvalidInputError, match="Invalid CRON expression"):
        schedules.valid_cron(cron, after=NOW)


@pytest.mark.parametrize("cron", ["* * * * *", "*/1 * * * *", "*/59 * * * *"])
def test_every_few_minutes_is_only_for_continuous_sources(cron: str) -> None:
    wish = Schedule(cron)

    assert schedules.wished_cron(CONTINUOUS, wish, at=NOW) == cron
    with pytest.raises(BadRequestError) as refused:
        schedules.wished_cron(PLAIN, wish, at=NOW)

    assert refused.value.message == (
        "Source 'x' does not support continuous syncs. Minimum interval is 1 hour."
    )


@pytest.mark.parametrize(
    "cron", ["0,30 * * * *", "0 * * * *", "7 */2 * * *", "*/60 * * * *"]
)
def test_other_crons_are_for_every_source(cron: str) -> None:
    assert schedules.wished_cron(PLAIN, Schedule(cron), at=NOW) == cron


def test_the_next_run_is_in_utc_and_never_now() -> None:
    moment = schedules.next_run("4 3 * * *", after=NOW.replace(second=0))

    assert moment == datetime(2026, 1, 3, 3, 4, tzinfo=UTC)


def test_crons_are_in_utc_wherever_the_database_thinks_it_is() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-7)))
    here = connection("*/5 * * * *")
    away = replace(here, created_at=there)

    assert schedules.next_run("4 3 * * *", after=there) == datetime(
        2026, 1, 3, 3, 4, tzinfo=UTC
    )
    assert schedules.run_after(here, now=there) == schedules.run_after(here, now=NOW)
    assert schedules.full_run_after(away, now=there) == schedules.full_run_after(
        here, now=NOW
    )


@pytest.mark.parametrize(
    ("cron", "most"),
    [
        ("*/5 * * * *", timedelta(seconds=10)),
        ("* * * * *", timedelta(seconds=10)),
        ("0 * * * *", timedelta(minutes=5)),
        ("4 3 * * *", timedelta(minutes=5)),
    ],
)
def test_connections_start_apart_within_a_bound(cron: str, most: timedelta) -> None:
    named = schedules.next_run(cron, after=NOW)
    late = [first(PLAIN, cron, one)["next_run_at"] - named for one in SOME]

    assert all(timedelta(0) <= one < most for one in late)
    assert len(set(late)) == len(SOME)
    assert max(late) - min(late) > most / 2
    assert late[7] == first(PLAIN, cron, SOME[7])["next_run_at"] - named


@pytest.mark.parametrize("cron", ["0,3 * * * *", "* * * * *", "4 3 * * *"])
def test_no_moment_is_left_out_however_late_a_connection_starts(cron: str) -> None:
    for ident in SOME[:20]:
        one = connection(cron, ident)
        starts = first(PLAIN, cron, ident)["next_run_at"]
        named = schedules.next_run(cron, after=NOW)
        late = starts - named
        for _ in range(5):
            starts = schedules.run_after(one, now=starts)
            named = schedules.next_run(cron, after=named)

            assert starts == named + late


def test_what_was_missed_is_passed_over() -> None:
    one = connection("0 * * * *")
    now = NOW + timedelta(days=9)

    next_run_at = schedules.run_after(one, now=now)

    assert next_run_at is not None
    assert now < next_run_at <= now + timedelta(hours=1)
    assert schedules.run_after(connection(None), now=now) is None


@pytest.mark.parametrize("cron", ["*/5 * * * *", "* * * * *", "7 * * * *"])
def test_quick_schedules_of_incremental_sources_have_a_daily_full_run(
    cron: str,
) -> None:
    named = datetime(2026, 1, 2, 15, 4, tzinfo=UTC)
    for ident in SOME:
        full_at = first(INCREMENTAL, cron, ident)["next_full_at"]

        assert named <= full_at < named + timedelta(minutes=30)
        assert schedules.full_run_after(
            connection(cron, ident), now=full_at
        ) == full_at + timedelta(days=1)


@pytest.mark.parametrize(
    ("source", "cron"),
    [
        (CONTINUOUS, "*/5 * * * *"),
        (INCREMENTAL, "4 3 * * *"),
        (INCREMENTAL, "0,30 * * * *"),
        (INCREMENTAL, "0 */2 * * *"),
    ],
)
def test_other_schedules_have_none(source: type[Source], cron: str) -> None:
    assert first(source, cron, uuid4())["next_full_at"] is None
