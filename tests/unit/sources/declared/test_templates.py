"""Texts with places: filled by names alone, never by code."""

from datetime import UTC, datetime
from typing import Any

import pytest

from wellhead.sources.declared.templates import moment, template, written

RECORD: dict[str, Any] = {
    "title": "It breaks",
    "count": 3,
    "is_open": True,
    "nothing": None,
    "author": {"name": "Ada", "tags": ["a", "b"]},
    "lines": [{"text": "one"}, {"text": "two"}, {"other": 1}],
    "config": "its own",
    "at": 1_767_225_600,
}


def fill(text: str, **more: Any) -> str:
    return template(text).fill({"record": RECORD, "config": {"team": "core"}, **more})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{title}!", "It breaks!"),
        ("{ title }", "It breaks"),
        ("{count} {is_open}", "3 yes"),
        ("{author.name} of {config.team}", "Ada of core"),
        ("{record.config}", "its own"),
        ("{author.tags}", "a, b"),
        ("{lines.text}", "one, two"),
        ("{author}", "name: Ada\ntags: a, b"),
        ("{{title}} {title}", "{title} It breaks"),
        ("{title|upper} {title|lower}", "IT BREAKS it breaks"),
        ("{at|date}", "2026-01-01"),
        ("{title|date}", "It breaks"),
        ("{title.__class__}{author.__init__.__globals__}", ""),
        ("{nothing.at.all}", ""),
    ],
)
def test_places_are_filled_from_the_record(text: str, filled: str) -> None:
    assert fill(text) == filled


def test_a_line_whose_places_are_all_empty_is_left_out() -> None:
    text = "# {title}\nBy {nothing}\n\nFrom {nothing} to {count}\nThe end"

    assert fill(text) == "# It breaks\n\nFrom  to 3\nThe end"


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        (4999, "usd", "49.99 USD"),
        (1000, "jpy", "1000 JPY"),
        (1500, "kwd", "1.500 KWD"),
        (-5, "eur", "-0.05 EUR"),
        (None, "eur", ""),
        ("odd", "eur", "odd"),
    ],
)
def test_amounts_are_written_by_their_currency(
    amount: Any, currency: str, told: str
) -> None:
    values = {"record": {"amount": amount, "currency": currency}}

    assert template("{amount|money:currency}").fill(values) == told


@pytest.mark.parametrize(
    "text",
    [
        *("{", "}", "{}", "{a", "{a b}", "{a..b}", "{a|}", "{a|shout}", "{a|date:b}"),
        *("{a{b}}", "{.a}"),
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        template(text)


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("a b", "/t/a%20b"),
        ("../../etc", "/t/..%2F..%2Fetc"),
        ("a?x=1#y", "/t/a%3Fx%3D1%23y"),
        (7, "/t/7"),
    ],
)
def test_no_value_leaves_its_place_in_a_path(value: Any, filled: str) -> None:
    assert template("/t/{id}").fill_path({"record": {"id": value}}) == filled


@pytest.mark.parametrize("value", ["", ".", "..", None])
def test_what_cannot_be_a_part_of_a_path_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be a part of a path"):
        template("/t/{id}").fill_path({"record": {"id": value}})


@pytest.mark.parametrize(
    "value",
    [
        *("2026-01-01T00:00:00Z", "2026-01-01", "1767225600", 1_767_225_600),
        *(1_767_225_600_000, 1_767_225_600.0, "2026-01-01T01:00:00+01:00"),
    ],
)
def test_times_are_read_in_the_ways_of_vendors(value: Any) -> None:
    assert moment(value) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", True, [1], {}, 10**30])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(value)


def test_values_are_written_as_people_read_them() -> None:
    assert written({"a": None, "b": [1, None, {"c": False}]}) == "b: 1, c: no"
