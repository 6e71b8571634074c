"""Texts are cut into passages that hold everything and fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellhead.domain.files import TextKind
from wellhead.sync import chunk
from wellhead.sync.chunk import WINDOW, _windows, embedding_texts, split
from wellhead.sync.storable import clean

KINDS = list(TextKind)
PIECES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "# Heading\n\n",
            "- item\n",
            "| a | b |\n|---|---|\n| 1 | 2 |\n",
            "```py\ndef f():\n    return 1\n```\n",
            "\n\n\n",
            "---\n",
            "def f(x):\n    return [x]\n\n",
            "<b>bold</b> [link](http://a.b)\n",
            "\x00",
            "\ud800",
            "\u2028\u3000",
            "word " * 40,
            "x" * 300,
        ]
    ),
)


@pytest.mark.parametrize("kind", KINDS)
@given(pieces=st.lists(PIECES, max_size=12), budget=st.integers(20, 300))
@settings(max_examples=60)
def test_passages_fit_and_hold_everything_in_order(
    kind: TextKind, pieces: list[str], budget: int
) -> None:
    text = "".join(pieces)

    passages = split(text, kind=kind, budget=budget)

    assert all(passage.strip() for passage in passages)
    assert all(len(passage) <= budget for passage in passages)
    assert _visible("".join(passages)) == _visible(clean(text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n", "\u2003\u3000", "\x00", "\x1c"])
def test_blank_text_has_no_passages(kind: TextKind, text: str) -> None:
    assert split(text, kind=kind, budget=700) == []


def test_markdown_is_cut_at_headings() -> None:
    text = "# One\n\n" + "first " * 60 + "\n\n# Two\n\n" + "second " * 60

    passages = split(text, kind=TextKind.MARKDOWN, budget=500)

    assert [passage[:5] for passage in passages] == ["# One", "# Two"]


def test_a_heading_stays_with_what_it_is_the_heading_of() -> None:
    text = "# Title\n\n" + "".join(
        f"## Section {n}\n\n{f'word{n} ' * 120}\n\n" for n in range(3)
    )

    passages = split(text, kind=TextKind.MARKDOWN, budget=700)

    assert passages[0].startswith("# Title\n\n## Section 0\n\nword0")
    assert all(len(passage) <= 700 for passage in passages)
    for n in range(3):
        [headed] = [one for one in passages if f"## Section {n}" in one]
        assert f"word{n}" in headed


def test_a_heading_at_the_end_is_kept() -> None:
    text = "word " * 200 + "\n\n## Nothing below"

    passages = split(text, kind=TextKind.MARKDOWN, budget=700)

    assert "## Nothing below" in passages[-1]


def test_code_is_cut_between_functions() -> None:
    body = "".join(f"    value_{n} = {n}\n\n" for n in range(15))
    text = f"def first():\n{body}\ndef second():\n{body}"

    passages = split(text, kind=TextKind.CODE, budget=450)

    assert [passage.splitlines()[0] for passage in passages] == [
        "def first():",
        "def second():",
    ]


def test_what_stands_above_a_function_stays_with_it() -> None:
    body = "".join(f"    value_{n} = {n}\n" for n in range(15))
    functions = [f"# {n}\n@decorated\ndef f():\n{body}" for n in "abc"]

    passages = split("\n".join(functions), kind=TextKind.CODE, budget=350)

    assert passages == [function.strip() for function in functions]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_long_function_is_cut_between_its_statements(line_end: str) -> None:
    block = ["    while True:", *["        do_something()"] * 5, "    )"]
    text = line_end.join(["int main() {", *block * 10, "}"])

    passages = split(text, kind=TextKind.CODE, budget=450)

    assert len(passages) > 3
    assert all(passage.startswith("    while True:") for passage in passages[1:])
    assert all(passage.endswith(("    )", "}")) for passage in passages)


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (TextKind.TEXT, "a"),
        (TextKind.MARKDOWN, "["),
        (TextKind.MARKDOWN, "|a"),
        (TextKind.CODE, "a=1;"),
        (TextKind.CODE, "("),
    ],
)
def test_a_line_without_end_reaches_the_splitter_in_windows(
    kind: TextKind, unit: str
) -> None:
    text = unit * (WINDOW * 5 // len(unit))

    passages = split(text, kind=kind, budget=700)

    assert max(map(len, _windows([text]))) <= WINDOW
    assert "".join(passages) == text


def test_long_text_is_windowed_at_blank_lines() -> None:
    paragraph = "some words of it " * 20 + "\n\n"

    passages = split(
        paragraph * (3 * WINDOW // len(paragraph)),
        kind=TextKind.TEXT,
        budget=700,
    )

    assert all(passage.startswith("some words") for passage in passages)


def test_stores_can_take_what_is_left() -> None:
    assert clean("a\x00b \ud83e\udd89 \ud83e.") == "ab 🦉 \ufffd."


def test_a_passage_is_embedded_under_its_title() -> None:
    assert embedding_texts("Plan", ["We sail."]) == ["Plan\n\nWe sail."]
    assert embedding_texts(" ", ["We sail."]) == ["We sail."]


def _visible(text: str) -> str:
    return "".join(text.split())


def test_headings_that_are_none_are_seen_in_no_time() -> None:
    text = "# " * 300 + "\nsome words"

    assert split(text, kind=TextKind.MARKDOWN, budget=700)


@given(st.lists(st.text("a \n#"), max_size=20), st.sampled_from(list(TextKind)))
def test_a_text_in_pieces_is_cut_as_a_whole_one(
    pieces: list[str], kind: TextKind
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk, "WINDOW", 20)
        patch.setattr(chunk, "UNBROKEN_WINDOW", 5)
        whole = split("".join(pieces), kind=kind, budget=10)
        parts = list(chunk.passages(pieces, kind=kind, budget=10))

    assert parts == whole


@pytest.mark.parametrize(
    "unit",
    [
        "(",
        "[",
        "{",
        "> ",
        "- ",
        "*",
        "`",
        "<",
        "|",
        "\\",
        "a.",
        "#",
        "\t- ",
        "![",
        "é\u0301",
        "\n",
        "\n)",
        "\n\t",
        "\r\n",
    ],
)
@pytest.mark.parametrize("kind", [TextKind.MARKDOWN, TextKind.CODE])
def test_deep_nesting_is_cut_like_all_else(kind: TextKind, unit: str) -> None:
    text = unit * (WINDOW // 4) + "end"

    passages = split(text, kind=kind, budget=700)

    assert max(map(len, passages)) <= 700
    assert passages[-1].endswith("end")
