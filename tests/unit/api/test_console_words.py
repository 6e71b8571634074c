"""What the console says of schedules, numbers and moments."""

from datetime import UTC, datetime, timedelta

import pytest

from wellhead.api.console import words
from wellhead.api.console.cron_words import read_aloud

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* * * * *", "Every minute."),
        ("*/15 * * * *", "Every 15 minutes."),
        ("0 * * * *", "Every hour, on the hour."),
        ("7 * * * *", "Every hour, at 7 minutes past."),
        ("0 */6 * * *", "Every 6 hours, at 0 minutes past."),
        ("30 4 * * *", "Every day at 04:30 UTC."),
        ("0 6,18 * * *", "Every day at 06:00 and 18:00 UTC."),
        ("0 3 * * 1", "Every Monday at 03:00 UTC."),
        ("0 3 * * 7", "Every Sunday at 03:00 UTC."),
        ("0 3 * * mon,fri", "Every Monday and Friday at 03:00 UTC."),
        ("0 3 * * 1-5", "Every weekday, Monday to Friday, at 03:00 UTC."),
        ("0 3 1,15 * *", "On the 1st and 15th of each month at 03:00 UTC."),
        ("0 3 22 12 *", "On the 22nd of December at 03:00 UTC."),
        ("0 3 * 7 *", "Every day of July at 03:00 UTC."),
        ("*/10 * * * 6", "Every 10 minutes, every Saturday."),
        ("5-9 3 * * *", "Whenever minute 5-9 and hour 3 match, in UTC."),
        ("0 3 1 * 1", "Whenever minute 0, hour 3, day of month 1 and day of week 1"),
    ],
)
def test_a_schedule_is_read_aloud(cron: str, said: str) -> None:
    assert read_aloud(cron).startswith(said)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "\N{EN DASH}"),
        (0.0421, "42 ms"),
        (3.21, "3.2 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (3725, "1 h 2 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_span_is_told_with_two_units(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=-3), "in a moment"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=-2), "in 2 days"),
        (timedelta(days=70), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_a_moment_is_told_from_now(ago: timedelta, said: str) -> None:
    assert words.relative(NOW - ago, NOW) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (999, "999"), (1000, "1K"), (999_700, "1M"), (1_234_567, "1.23M")],
)
def test_a_number_is_told_in_short(number: int, said: str) -> None:
    assert words.short_count(number) == said


def test_changes_leave_out_what_there_was_none_of() -> None:
    assert words.changes(0, 0, 0) == "no changes"
    assert words.changes(12, 0, 1) == "+12 \N{MINUS SIGN}1"


def test_bytes_and_rates_have_units() -> None:
    assert [words.size(one) for one in (0, 999, 1000, 1_500_000)] == [
        *("0 B", "999 B", "1 KB", "1.5 MB"),
    ]
    assert [words.rate(one) for one in (0, 0.5, 3.25, 1234)] == [
        *("0.0 / s", "30.0 / min", "3.2 / s", "1.23K / s"),
    ]
