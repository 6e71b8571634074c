"""A definition is read with care, and what is wrong with it is told by line."""

import re
import time

import pytest

from wellhead.domain.errors import InvalidInputError
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.marks import LARGEST, DefinitionError

SMALL = """\
wellhead: 1
short_name: tracker
name: Tracker
description: Tickets of a tracker.
base_url: https://tracker.example/v1
config:
  team:
    title: Team
    description: Which one.
credentials:
  token:
    title: Token
    description: Made in the settings.
auth: {kind: bearer, token: token}
check: {path: /me}
streams:
  tickets:
    type: TrackerTicket
    list:
      path: /tickets
      records: tickets
    name: "{title}"
    text: "{body}"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load(text)
    assert isinstance(caught.value, InvalidInputError)
    return [str(one) for one in caught.value.problems]


def with_line(old: str, new: str, text: str = SMALL) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def in_stream(*lines: str) -> str:
    return SMALL + "".join(f"    {line}\n" for line in lines)


def test_a_small_definition_is_whole() -> None:
    found = load(SMALL)

    assert found.short_name == "tracker"
    assert found.streams["tickets"].listing.records == "tickets"
    assert not found.is_incremental


def test_a_mistyped_key_is_named_with_its_line_and_the_nearest_known_one() -> None:
    assert problems(with_line("      records: tickets", "      record: tickets")) == [
        "line 21: streams.tickets.list: unknown key 'record'; did you mean 'records'?"
    ]
    assert problems(with_line("base_url:", "baseurl:")) == [
        "line 1: the file: 'base_url' is missing",
        "line 5: the file: unknown key 'baseurl'; did you mean 'base_url'?",
    ]
    assert problems(with_line("    title: Team", "    titel: Team"))[1:] == [
        "line 8: config.team: unknown key 'titel'; did you mean 'title'?"
    ]


def test_a_key_that_resembles_none_is_told_which_there_are() -> None:
    [found] = problems(with_line("check: {path: /me}", "check: {path: /me, zzz: 1}"))

    assert found.startswith("line 15: check: unknown key 'zzz'; known: body, graphql")


def test_every_problem_is_told_at_once() -> None:
    text = with_line("short_name: tracker", "short_name: Tracker!")
    text = with_line("auth: {kind: bearer,", "auth: {kind: barer,", text)

    assert [one.partition(":")[0] for one in problems(text)] == ["line 2", "line 14"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the file is empty"),
        ("just words", "line 1: keys are expected"),
        ("- a\n- b\n", "line 1: keys are expected"),
        ("a: [1, 2\nb: 3\n", "line 2: "),
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' is there twice"),
        ("a: &x [1]\nb: *x\n", "line 2: aliases"),
        ("a: !!python/object/apply:os.system ['true']\n", "line 1: tags"),
        ("a: !!str 1\n", "line 1: tags"),
        ("? [1, 2]\n: 3\n", "line 1: a key must be a word"),
        ("a: " + "[" * 100_000 + "]" * 100_000, "line 1: nested deeper than"),
        ("a: " + "x" * LARGEST, "line 1: more than 256 KB"),
        ("a: \x01\n", "line 1: no YAML"),
        ("a: \x00\n", "line 1: it holds a NUL"),
        ("a: 1\n---\nb: 2\n", "line 2: "),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str, told: str) -> None:
    [found] = problems(text)

    assert found.startswith(told), found


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    bomb = 'a0: &a0 ["lol", "lol"]\n' + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)
    )
    began = time.process_time()

    assert problems(bomb) == ["line 2: aliases (*name) are not allowed"]
    assert time.process_time() - began < 5


def test_words_stay_words() -> None:
    text = with_line(
        "      path: /tickets",
        "      path: /tickets\n      query: {a: no,"
        " b: 1:30, c: 2026-01-01, d: 017, e: 1e3, f: true, g: 7, h: 1.5}",
    )

    assert load(text).streams["tickets"].listing.query == {
        "a": "no",
        "b": "1:30",
        "c": "2026-01-01",
        "d": "017",
        "e": "1e3",
        "f": True,
        "g": 7,
        "h": 1.5,
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("/tickets", "tickets", "line 20: streams.tickets.list.path: a path below"),
        ("/tickets", "//evil.example/", "line 20: streams.tickets.list.path: a path"),
        ("{body}", "{body", "line 23: streams.tickets.text: a single '{'"),
        ("{body}", "{body|shout}", "line 23: streams.tickets.text: no filter 'shout'"),
        ("{body}", "{credentials.token}", "line 23: streams.tickets.text: credentials"),
        ("{body}", "{config.tea}", "line 23: streams.tickets.text: there is no"),
        ("{body}", "{parent.id}", "line 23: streams.tickets.text: {parent.id} means"),
        ("{body}", "{since}", "line 23: streams.tickets.text: {since} means nothing"),
        ("/me}", '"/me?k={credentials.token}"}', "line 15: check.path: credentials"),
        ("/me}", '"/{id}"}', "line 15: check.path: {record.id} means nothing here"),
        ("token: token}", "token: tokne}", "line 14: auth.token: there is no cred"),
        ("https://t", "ftp://t", "line 5: base_url: it must begin with https://"),
        ("https://t", "https://ann:pw@t", "line 5: base_url: it holds a user"),
        ("tracker.example", "{config.team}", "line 5: base_url: places may stand only"),
        ("tracker.example", "a.{config.team}", "line 5: base_url: places may stand"),
        ("tracker.example", "{config.team}.com", "line 5: base_url: places may stand"),
        ("example/v1", "example/{config.team}", "line 5: base_url: places may stand"),
        ("wellhead: 1", "wellhead: 2", "line 1: wellhead: Input should be 1"),
    ],
)
def test_what_does_not_fit_is_told_where_it_stands(
    old: str, new: str, told: str
) -> None:
    text = SMALL.replace(old, new, 1) if old != "/tickets" else with_line(old, new)

    assert any(one.startswith(told) for one in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("for_each: boards",), "for_each: there is no stream 'boards'"),
        (("for_each: tickets",), "for_each: it goes round in a circle"),
        (("raw: [config.team]",), "raw.0: 'config.team' is not a part of the record"),
        (("id: ticket",), "id: it has no place: all records would be one"),
        (("removed: {path: /gone}",), "removed: it needs 'changes'"),
        (("parts: {a: {path: /a, text: x}}",), "parts: they need 'updated'"),
        (("changes: {path: /c, fetch: true}",), "changes.fetch: it needs 'one'"),
        (
            ("changes: {path: /c, tells_deletes: true}",),
            "changes.tells_deletes: it needs 'gone'",
        ),
        (("whole: false",), "whole: without 'gone' nothing would ever be deleted"),
        (("gone: [{field: a, if_config: b}]",), "gone.0: no config field 'b'"),
        (("ids: {path: /i, pages: {by: page}}",), "ids.pages: pages by 'page' need"),
        (("ids: {path: /i, body: {a: 1}}",), "ids: 'body' needs 'method: POST'"),
        (("ids: {path: /i, graphql: x}",), None),
        (
            ("ids: {path: /i, pages: {by: graphql}}",),
            "ids.pages: 'graphql' goes with",
        ),
    ],
)
def test_streams_have_to_make_sense(lines: tuple[str, ...], told: str | None) -> None:
    text = in_stream(*lines)
    if told is None:
        load(text)
        return

    assert any(f"streams.tickets.{told}" in one for one in problems(text))
    assert all(re.match(r"line \d+: ", one) for one in problems(text))


def test_the_children_of_what_is_not_listed_whole_are_refused() -> None:
    text = in_stream("changes: {path: /c}") + (
        "  comments:\n    type: C\n    for_each: tickets\n    name: a\n    text: b\n"
        '    list: {path: "/tickets/{parent.id}/comments"}\n'
    )

    [found] = problems(text)
    assert "'tickets' is not listed whole: it has changes" in found
