"""Cron expressions: defaults, checks, next moments."""

from datetime import UTC, datetime

import pytest

from wellhead.domain.errors import BadRequestError, InvalidInputError
from wellhead.services import schedules

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_default_is_daily_at_the_minute_of_creation() -> None:
    assert schedules.default_cron(at=NOW, is_continuous=False) == "4 3 * * *"
    assert schedules.default_cron(at=NOW, is_continuous=True) == "*/5 * * * *"


@pytest.mark.parametrize(
    ("cron", "plain"),
    [("0 * * * *", "0 * * * *"), ("  0   12 * *  MON ", "0 12 * * MON")],
)
def test_a_good_cron_comes_back_with_single_spaces(cron: str, plain: str) -> None:
    assert schedules.valid_cron(cron, after=NOW) == plain


@pytest.mark.parametrize(
    "cron",
    ["", "@daily", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "0 0 31 2 *"],
)
def test_what_is_no_cron_or_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(InvalidInputError, match="Invalid CRON expression"):
        schedules.valid_cron(cron, after=NOW)


@pytest.mark.parametrize("cron", ["* * * * *", "*/1 * * * *", "*/59 * * * *"])
def test_every_few_minutes_is_only_for_continuous_sources(cron: str) -> None:
    schedules.require_interval(cron, is_continuous=True, refusal="no")
    with pytest.raises(BadRequestError, match="no"):
        schedules.require_interval(cron, is_continuous=False, refusal="no")


@pytest.mark.parametrize("cron", ["0,30 * * * *", "0 * * * *", "*/5 1 * * *"])
def test_other_patterns_pass(cron: str) -> None:
    schedules.require_interval(cron, is_continuous=False, refusal="no")


def test_the_next_run_is_after_now_and_in_utc() -> None:
    moment = schedules.next_run("4 3 * * *", after=NOW)

    assert moment == datetime(2026, 1, 3, 3, 4, tzinfo=UTC)
