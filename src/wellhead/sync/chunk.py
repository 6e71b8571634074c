"""Cuts a text into passages that an embedder reads whole."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cache, partial

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from wellhead.domain.files import TextKind
from wellhead.sync.storable import clean

# The splitters' time grows with the square of the longest run without a better place
# to cut, so they never see more than this at once, of text without such places less.
WINDOW = 40_000
UNBROKEN_WINDOW = 2_000
MARKS = ("\n\n", "\n", " ", "\u3002")
TITLE_CHARACTERS = 200
BLANK_LINE = "\n\n"
BEGINNING = r"[^\s)\]}]"
"""Of a line that begins something: neither blank nor only the end of what is before."""
INDENT = re.compile(rf"\n([ \t]*+){BEGINNING}")
HEADING = re.compile(r"\s*#{1,6} ")


def split(text: str, *, kind: TextKind, budget: int) -> list[str]:
    """Return passages of at most `budget` characters, in order; blank text has none.

    Nothing but white space, NULs and lone surrogates is lost.
    """
    return list(passages([clean(text)], kind=kind, budget=budget))


def passages(pieces: Iterable[str], *, kind: TextKind, budget: int) -> Iterator[str]:
    """Yield the passages of a clean text that comes in pieces, cut anywhere."""
    cut = _cutter(kind, budget)
    chunks = (chunk for window in _windows(pieces) for chunk in cut(window))
    if kind is TextKind.MARKDOWN:
        chunks = _with_headings(chunks, budget)
    for chunk in chunks:
        if len(chunk) > budget:
            yield from _cut(chunk, budget)
        elif chunk.strip():
            yield chunk


def embedding_texts(name: str, chunks: Sequence[str]) -> list[str]:
    """Return what is embedded for chunks: their entity's name and the chunk itself."""
    title = clean(name).strip()[:TITLE_CHARACTERS]
    return [f"{title}{BLANK_LINE}{chunk}" for chunk in chunks] if title else [*chunks]


@cache
def _cutter(kind: TextKind, budget: int) -> Callable[[str], Iterable[str]]:
    match kind:
        case TextKind.MARKDOWN:
            return MarkdownSplitter(budget).chunks
        case TextKind.CODE:
            return partial(_code_chunks, budget=budget)
        case TextKind.TEXT:
            return partial(_text_chunks, TextSplitter(budget), budget)


def _text_chunks(splitter: TextSplitter, budget: int, text: str) -> Iterable[str]:
    # the splitter gives the interpreter's lock away, and waits to have it back
    return splitter.chunks(text) if len(text) > budget else (text.strip(),)


def _code_chunks(text: str, budget: int) -> Iterator[str]:
    """Cut where the indentation is least: there begins what belongs together.

    That holds in every language. A syntax tree costs 25 times as much, makes a quarter
    of the passages too small to say anything, and lets functions be found no better.
    """
    start = 0
    while len(text) - start > budget:
        end = _least_indented(text, start + budget // 3, start + budget)
        yield text[start:end].strip("\r\n")
        start = end
    yield text[start:].strip("\r\n")


def _least_indented(text: str, low: int, high: int) -> int:
    """Return where to cut, best before a line that follows a blank one; or the last."""
    indents = INDENT.findall(text, low, high)
    if not indents:
        return _after_mark(text, low, high) or high
    least = min(map(len, indents))
    for line in _lines_indented(least):
        ends = [found.end() for found in line.finditer(text, low, high)]
        if ends:
            return ends[-1] - least - 1
    raise AssertionError("a line that was found is gone")


@cache
def _lines_indented(by: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds lines indented so: those after a blank one, all of them."""
    line = rf"[ \t]{{{by}}}{BEGINNING}"
    return re.compile(rf"\n\r?\n{line}"), re.compile(rf"\n{line}")


def _windows(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the text in pieces, cut where a reader would: blank line, line, space."""
    rest = ""
    for piece in pieces:
        rest, start = rest + piece, 0
        while len(rest) - start > WINDOW:
            end = _after_mark(rest, start + WINDOW // 2, start + WINDOW)
            end = end or start + UNBROKEN_WINDOW
            yield rest[start:end]
            start = end
        rest = rest[start:]
    yield rest


def _after_mark(text: str, low: int, high: int) -> int | None:
    for mark in MARKS:
        found = text.rfind(mark, low, high)
        if found >= 0:
            return found + len(mark)
    return None


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
        passage = chunk[start : start + budget]
        if passage.strip():
            yield passage
