"""The charts of the console, as the numbers that they are drawn from."""

from datetime import UTC, datetime, timedelta

from wellhead.api.console.charts import HEIGHT, OTHERS, columns, split, stacked
from wellhead.domain.glances import Growth

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_is_no_chart() -> None:
    assert stacked([], DAY) is None
    assert columns([]) == []
    assert split([0, 0]) == [(0.0, 0.0), (0.0, 0.0)]


def test_types_are_stacked_and_add_up() -> None:
    growth = [
        Growth(DAY, "File", 10),
        Growth(DAY, "Page", 5),
        Growth(DAY + timedelta(days=2), "Page", 15),
    ]

    found = stacked(growth, DAY + timedelta(days=3))

    assert found is not None
    assert [(one.name, one.total) for one in found.areas] == [
        ("Page", 20),
        ("File", 10),
    ]
    assert found.top == 30
    assert found.last == DAY + timedelta(days=3)
    assert found.areas[-1].path.startswith("M0.0 80.0 L")


def test_many_types_and_years_stay_readable() -> None:
    growth = [Growth(DAY, f"Type {number}", number + 1) for number in range(30)]

    found = stacked(growth, DAY + timedelta(days=2000))

    assert found is not None
    assert len(found.areas) == 7
    assert found.areas[-1].name == OTHERS
    assert sum(one.total for one in found.areas) == found.top == 465
    assert found.areas[0].path.count("L") < 200


def test_a_bar_that_is_more_than_nothing_can_be_seen() -> None:
    found = columns([0, 1, 1_000_000])

    assert found[0].height == 0
    assert found[1].height > 1
    assert found[2].height == HEIGHT
    assert split([1, 3]) == [(0.0, 25.0), (25.0, 75.0)]
