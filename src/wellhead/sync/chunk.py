"""Cuts a text into passages that an embedder reads whole."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath

from semantic_text_splitter import CodeSplitter, MarkdownSplitter, TextSplitter

from wellhead.domain.files import TextKind

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
# to cut, so they never see more than this at once.
WINDOW = 40_000
TITLE_CHARACTERS = 200
BLANK_LINE = "\n\n"
HEADINGS = re.compile(r"(\s*#{1,6} [^\n]*)+\s*")

Splitter = TextSplitter | MarkdownSplitter | CodeSplitter


def split(text: str, *, kind: TextKind, name: str, budget: int) -> list[str]:
    """Return passages of at most `budget` characters, in order; blank text has none.

    Nothing but white space, NULs and lone surrogates is lost. The suffix of `name`
    picks the grammar of code.
    """
    suffix = PurePosixPath(name.lower()).suffix if kind is TextKind.CODE else ""
    splitter = _splitter(kind, suffix if suffix in GRAMMARS else "", budget)
    chunks = [
        chunk for window in _windows(clean(text)) for chunk in splitter.chunks(window)
    ]
    if kind is TextKind.MARKDOWN:
        chunks = _with_headings(chunks, budget)
    return [
        passage
        for chunk in chunks
        for passage in _cut(chunk, budget)
        if passage.strip()
    ]


def embedding_text(name: str, chunk: str) -> str:
    """Return what is embedded for a chunk: its entity's name and the chunk itself."""
    title = clean(name).strip()[:TITLE_CHARACTERS]
    return f"{title}\n\n{chunk}" if title else chunk


def clean(text: str) -> str:
    """Return the text as every store can take it: no NULs, no lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


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


def _windows(text: str) -> Iterator[str]:
    """Yield the text in pieces, cut where a reader would: blank line, line, space."""
    start = 0
    while len(text) - start > WINDOW:
        end = start + WINDOW
        for mark in ("\n\n", "\n", " "):
            found = text.rfind(mark, start + WINDOW // 2, end)
            if found >= 0:
                end = found + len(mark)
                break
        yield text[start:end]
        start = end
    yield text[start:]


def _with_headings(chunks: list[str], budget: int) -> list[str]:
    """Put a heading that stands alone before what it is the heading of."""
    joined: list[str] = []
    headings = ""
    for chunk in chunks:
        room = budget - len(headings) - len(BLANK_LINE)
        if HEADINGS.fullmatch(chunk) and room > len(chunk):
            headings = f"{headings}{BLANK_LINE}{chunk}" if headings else chunk
        elif headings and room > budget // 2:
            first, *others = TextSplitter(room).chunks(chunk) or [chunk]
            joined += [f"{headings}{BLANK_LINE}{first}", *others]
            headings = ""
        else:
            joined += [headings, chunk] if headings else [chunk]
            headings = ""
    return [*joined, headings] if headings else joined


def _cut(chunk: str, budget: int) -> Iterator[str]:
    for start in range(0, len(chunk), budget):
        yield chunk[start : start + budget]
