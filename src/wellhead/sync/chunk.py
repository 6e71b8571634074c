"""Cuts a text into passages that an embedder reads whole."""

import re
from collections.abc import Generator, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath

from semantic_text_splitter import CodeSplitter, MarkdownSplitter, TextSplitter

from wellhead.domain.files import TextKind
from wellhead.sync.storable import clean

GRAMMARS = {
    ".c": ("tree_sitter_c", "language"),
    ".cc": ("tree_sitter_cpp", "language"),
    ".cjs": ("tree_sitter_javascript", "language"),
    ".cpp": ("tree_sitter_cpp", "language"),
    ".cts": ("tree_sitter_typescript", "language_typescript"),
    ".cxx": ("tree_sitter_cpp", "language"),
    ".go": ("tree_sitter_go", "language"),
    ".h": ("tree_sitter_c", "language"),
    ".hh": ("tree_sitter_cpp", "language"),
    ".hpp": ("tree_sitter_cpp", "language"),
    ".hxx": ("tree_sitter_cpp", "language"),
    ".java": ("tree_sitter_java", "language"),
    ".js": ("tree_sitter_javascript", "language"),
    ".jsx": ("tree_sitter_javascript", "language"),
    ".mjs": ("tree_sitter_javascript", "language"),
    ".mts": ("tree_sitter_typescript", "language_typescript"),
    ".py": ("tree_sitter_python", "language"),
    ".pyi": ("tree_sitter_python", "language"),
    ".rs": ("tree_sitter_rust", "language"),
    ".ts": ("tree_sitter_typescript", "language_typescript"),
    ".tsx": ("tree_sitter_typescript", "language_tsx"),
}

# The splitters' time grows with the square of the longest run without a better place
# to cut, so they never see more than this at once, of text without such places less.
WINDOW = 40_000
UNBROKEN_WINDOW = 2_000
LONG_LINE = 2_000
"""Nobody reads such code by its structure, and deep nesting takes cubic time."""
MARKS = ("\n\n", "\n", " ", "\u3002")
TITLE_CHARACTERS = 200
BLANK_LINE = "\n\n"
HEADING = re.compile(r"\s*#{1,6} ")

Splitter = TextSplitter | MarkdownSplitter | CodeSplitter


def split(text: str, *, kind: TextKind, name: str, budget: int) -> list[str]:
    """Return passages of at most `budget` characters, in order; blank text has none.

    Nothing but white space, NULs and lone surrogates is lost. The suffix of `name`
    picks the grammar of code.
    """
    return list(passages([clean(text)], kind=kind, name=name, budget=budget))


def passages(
    pieces: Iterable[str], *, kind: TextKind, name: str, budget: int
) -> Iterator[str]:
    """Yield the passages of a clean text that comes in pieces, cut anywhere."""
    suffix = PurePosixPath(name.lower()).suffix if kind is TextKind.CODE else ""
    suffix = suffix if suffix in GRAMMARS else ""
    chunks = (
        chunk
        for window in _windows(pieces)
        for chunk in _splitter(
            kind, "" if _has_long_line(window) else suffix, budget
        ).chunks(window)
    )
    if kind is TextKind.MARKDOWN:
        chunks = _with_headings(chunks, budget)
    for chunk in chunks:
        for passage in _cut(chunk, budget):
            if passage.strip():
                yield passage


def embedding_text(name: str, chunk: str) -> str:
    """Return what is embedded for a chunk: its entity's name and the chunk itself."""
    title = clean(name).strip()[:TITLE_CHARACTERS]
    return f"{title}\n\n{chunk}" if title else chunk


@cache
def _splitter(kind: TextKind, suffix: str, budget: int) -> Splitter:
    match kind:
        case TextKind.MARKDOWN:
            return MarkdownSplitter(budget)
        case TextKind.CODE if suffix:
            module, function = GRAMMARS[suffix]
            return CodeSplitter(getattr(import_module(module), function)(), budget)
        case TextKind.CODE | TextKind.TEXT:
            return TextSplitter(budget)


def _has_long_line(window: str) -> bool:
    return max(map(len, window.split("\n"))) > LONG_LINE


def _windows(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the text in pieces, cut where a reader would: blank line, line, space."""
    rest = ""
    for piece in pieces:
        rest, start = rest + piece, 0
        while len(rest) - start > WINDOW:
            end = start + WINDOW
            for mark in MARKS:
                found = rest.rfind(mark, start + WINDOW // 2, end)
                if found >= 0:
                    end = found + len(mark)
                    break
            else:
                end = start + UNBROKEN_WINDOW
            yield rest[start:end]
            start = end
        rest = rest[start:]
    yield rest


def _with_headings(chunks: Iterable[str], budget: int) -> Generator[str]:
    """Put a heading that stands alone before what it is the heading of."""
    headings = ""
    for chunk in chunks:
        room = budget - len(headings) - len(BLANK_LINE)
        if room > len(chunk) and _is_heading(chunk):
            headings = f"{headings}{BLANK_LINE}{chunk}" if headings else chunk
        elif headings and room > budget // 2:
            first, *others = TextSplitter(room).chunks(chunk) or [chunk]
            yield f"{headings}{BLANK_LINE}{first}"
            yield from others
            headings = ""
        else:
            if headings:
                yield headings
            yield chunk
            headings = ""
    if headings:
        yield headings


def _is_heading(chunk: str) -> bool:
    lines = [line for line in chunk.split("\n") if line and not line.isspace()]
    return bool(lines) and all(map(HEADING.match, lines))


def _cut(chunk: str, budget: int) -> Iterator[str]:
    for start in range(0, len(chunk), budget):
        yield chunk[start : start + budget]
