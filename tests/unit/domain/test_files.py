"""A file's name tells whether and how we read it."""

import pytest

from wellhead.domain.files import (
    CODE_SUFFIXES,
    DOCUMENT_SUFFIXES,
    MARKDOWN_SUFFIXES,
    TEXT_SUFFIXES,
    TextKind,
    is_readable,
    readable_suffix,
    text_kind,
)


@pytest.mark.parametrize(
    "name",
    [
        "a.md",
        "A.PDF",
        "src/x.tsx",
        "dir.v2/Makefile",
        "LICENSE",
        "pkg.dist-info/METADATA",
    ],
)
def test_text_code_and_documents_are_readable(name: str) -> None:
    assert is_readable(name)


@pytest.mark.parametrize(
    "name", ["a.png", "py.typed", "a.so", ".env", "noise", "a.", "", "x.md/photo"]
)
def test_other_files_are_not(name: str) -> None:
    assert not is_readable(name)


def test_each_suffix_is_read_in_one_way() -> None:
    groups = [MARKDOWN_SUFFIXES, TEXT_SUFFIXES, CODE_SUFFIXES, set(DOCUMENT_SUFFIXES)]

    assert len(frozenset().union(*groups)) == sum(map(len, groups))
    assert all(suffix.startswith(".") for group in groups for suffix in group)


@pytest.mark.parametrize(
    ("name", "media_type", "suffix"),
    [
        ("a.md", "application/pdf", ".md"),
        ("Report", "Application/PDF; version=1", ".pdf"),
        ("Budget", DOCUMENT_SUFFIXES[".xlsm"], ".xlsm"),
        ("page", "text/markdown", ".md"),
        ("page", "text/x-unheard-of", ".txt"),
        ("page", "application/json", ".txt"),
        ("page", "image/png", None),
        ("page", None, None),
    ],
)
def test_the_media_type_counts_when_the_name_says_nothing(
    name: str, media_type: str | None, suffix: str | None
) -> None:
    assert readable_suffix(name, media_type) == suffix


def test_documents_are_not_plain_text() -> None:
    assert text_kind(".pdf") is None
    assert text_kind(".py") is TextKind.CODE
