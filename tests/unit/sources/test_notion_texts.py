"""What people wrote on Notion is readable text, whatever it was written with."""

from typing import Any

import pytest
from tests.vendors.notion import block, text

from wellhead.sources.connectors.notion.blocks import joined, written
from wellhead.sources.connectors.notion.entities import page_head
from wellhead.sources.connectors.notion.values import rich_text, title_of, value_text

HOSTED = {
    "type": "file",
    "file": {"url": "https://files.notion.example/a?signature=SECRET"},
}
EXTERNAL = {"type": "external", "external": {"url": "https://example.com/cat.png"}}
EMPTY: list[Any] = []


def markdown(*blocks: dict[str, Any], depth: int = 0) -> str:
    found = [
        written(one, depth=depth, number=number)
        for number, one in enumerate(blocks, start=1)
    ]
    return joined([one for one in found if one is not None])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (block("paragraph", "Hello"), "Hello"),
        (block("paragraph", ""), ""),
        (block("heading_1", "Why"), "## Why"),
        (block("heading_3", "Why"), "#### Why"),
        (block("bulleted_list_item", "One\nmore"), "- One\n  more"),
        (block("numbered_list_item", "One"), "1. One"),
        (block("to_do", "Wash", checked=True), "- [x] Wash"),
        (block("to_do", "Wash", checked=False), "- [ ] Wash"),
        (block("toggle", "More"), "- More"),
        (block("quote", "To be\nor not"), "> To be\n> or not"),
        (block("callout", "Mind", icon={"emoji": "💡"}), "> 💡 Mind"),
        (block("callout", "Mind", icon=None), "> Mind"),
        (block("code", "x = 1", language="python"), "```python\nx = 1\n```"),
        (block("code", "a", language="plain text"), "```\na\n```"),
        (block("code", "```", language="markdown"), "````markdown\n```\n````"),
        (block("equation", {"expression": "e=mc^2"}), "$$e=mc^2$$"),
        (block("divider", {}), "---"),
        (block("bookmark", {"url": "https://a.example"}), "https://a.example"),
        (
            block("embed", {"url": "https://a.example", "caption": [text("A map")]}),
            "A map: https://a.example",
        ),
        (block("image", {**EXTERNAL}), "Image: https://example.com/cat.png"),
        (block("file", {**HOSTED, "name": "plan.pdf"}), "File: plan.pdf"),
        (block("image", {**HOSTED, "caption": [text("A cat")]}), "Image: A cat"),
        (block("image", {**HOSTED}), ""),
        (block("child_page", {"title": "Below"}), "- Page: Below"),
        (block("child_database", {"title": ""}), "- Database: Untitled"),
        (block("table_of_contents", {}), ""),
        (block("unsupported", {}), ""),
        (block("hologram", "Of tomorrow"), "Of tomorrow"),
        ({"type": "paragraph", "paragraph": None, "id": "x"}, ""),
        ({"id": "x"}, ""),
    ],
)
def test_a_block_is_written_as_markdown(found: dict[str, Any], expected: str) -> None:
    assert markdown(found) == expected


def test_a_table_has_a_head_and_its_bars_are_escaped() -> None:
    rows = [
        block("table_row", {"cells": [[text("Name")], [text("Age")]]}),
        block("table_row", {"cells": [[text("a|b")], []]}),
    ]

    assert markdown(*rows) == "| Name | Age |\n| --- | --- |\n| a\\|b |  |"


def test_lists_are_tight_and_paragraphs_are_not() -> None:
    found = [
        block("paragraph", "First"),
        block("bulleted_list_item", "a"),
        block("bulleted_list_item", "b"),
        block("paragraph", "Last"),
    ]

    assert markdown(*found) == "First\n\n- a\n- b\n\nLast"


def test_margins_end_somewhere() -> None:
    assert len(markdown(block("paragraph", "x"), depth=5_000)) < 50


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (None, ""),
        ([text("a"), text("b", "https://b.example")], "a[b](https://b.example)"),
        ([text("https://b.example", "https://b.example")], "https://b.example"),
        ([text("a page", "/0123abcd")], "a page"),
        ([text(" ", "https://b.example")], " "),
        ([{"type": "mention", "plain_text": "@Ada", "href": None}], "@Ada"),
    ],
)
def test_links_are_kept(parts: Any, expected: str) -> None:
    assert rich_text(parts) == expected


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("rich_text", [text("words")], "words"),
        ("number", 3, "3"),
        ("number", 2.5, "2.5"),
        ("number", 12345678.9, "12345678.9"),
        ("number", None, ""),
        ("select", {"name": "Red"}, "Red"),
        ("select", None, ""),
        ("multi_select", [{"name": "Red"}, {"name": "Blue"}], "Red, Blue"),
        ("status", {"name": "Open"}, "Open"),
        ("date", {"start": "2026-01-01", "end": None}, "2026-01-01"),
        (
            "date",
            {"start": "2026-01-01", "end": "2026-02-01"},
            "2026-01-01 to 2026-02-01",
        ),
        ("checkbox", False, "no"),
        ("checkbox", True, "yes"),
        ("url", "https://a.example", "https://a.example"),
        ("email", "a@example.com", "a@example.com"),
        ("phone_number", "1234", "1234"),
        ("people", [{"id": "1", "name": "Ada"}, {"id": "2"}], "Ada"),
        ("files", [{"name": "a.pdf", **HOSTED}], "a.pdf"),
        ("created_by", {"id": "1", "name": "Ada"}, "Ada"),
        ("unique_id", {"prefix": "TASK", "number": 7}, "TASK-7"),
        ("unique_id", {"prefix": None, "number": 7}, "7"),
        ("verification", {"state": "verified"}, "verified"),
        ("formula", {"type": "string", "string": "sum"}, "sum"),
        ("formula", {"type": "number", "number": 4}, "4"),
        ("formula", {"type": "boolean", "boolean": True}, "yes"),
        ("formula", {"type": "date", "date": {"start": "2026-01-01"}}, "2026-01-01"),
        ("rollup", {"type": "number", "number": 5, "function": "sum"}, "5"),
        (
            "rollup",
            {"type": "array", "array": [{"type": "select", "select": {"name": "Red"}}]},
            "Red",
        ),
        ("rollup", {"type": "unsupported", "unsupported": {}}, ""),
        ("relation", [{"id": "p1"}, {"id": "p2"}], "Plan"),
        ("button", {}, ""),
        ("aura", {"glow": 1}, ""),
    ],
)
def test_a_property_is_written_as_people_read_it(
    kind: str, content: Any, expected: str
) -> None:
    assert value_text({"type": kind, kind: content}, {"p1": "Plan"}) == expected


def test_a_page_begins_with_its_title_and_what_its_row_says() -> None:
    page = {
        "object": "page",
        "properties": {
            "State": {"type": "status", "status": {"name": "Open"}},
            "Name": {"type": "title", "title": [text("Buy\nmilk")]},
            "Due": {"type": "date", "date": None},
        },
    }

    assert title_of(page) == "Buy milk"
    assert page_head(page, {}) == "# Buy milk\n\nState: Open"
