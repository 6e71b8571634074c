"""Blocks of a page as Markdown, one after the other, whatever they are nested in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wellhead.sources.connectors.notion.values import file_name, rich_text

Block = Mapping[str, Any]
DEEPEST = 8
"""Indented so far and no further: text is for reading, not for its margin."""
INLINE = frozenset({"synced_block", "column_list", "column", "table"})
"""They only hold others, which stand where they stand."""
REFERENCES = frozenset({"child_page", "child_database"})
"""Their content is an entity of its own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block's own text. Those of one group have no empty line between them."""

    text: str
    depth: int
    group: str = ""

    @property
    def lines(self) -> str:
        margin = "  " * min(self.depth, DEEPEST)
        return "\n".join(margin + line for line in self.text.splitlines())


def written(block: Block, *, depth: int, number: int) -> Piece | None:
    """Write a block without what is in it; None if it shows no text.

    `number` is its place in its parent: lists are numbered by it.
    """
    kind = str(block.get("type") or "")
    content = block.get(kind) or {}
    text = _text(kind, content, number)
    if not text.strip():
        return None
    return Piece(text, depth, _GROUPS.get(kind, ""))


def joined(pieces: Sequence[Piece]) -> str:
    """Return all of them as one text."""
    found = []
    for place, piece in enumerate(pieces):
        before = pieces[place - 1] if place else None
        if before is not None:
            is_tight = before.group == piece.group != ""
            found.append("\n" if is_tight else "\n\n")
        found.append(piece.lines)
    return "".join(found)


def _text(kind: str, content: Block, number: int) -> str:
    write = _WRITERS.get(kind)
    if write is not None:
        return write(content)
    text = rich_text(content.get("rich_text"))
    if kind == "numbered_list_item":
        return _hanging(f"{number}. ", text)
    if kind == "table_row":
        return _row(content, is_first=number == 1)
    # the types of tomorrow will have their text where those of today have it
    return _hanging(_MARKS.get(kind, ""), text) if text else ""


def _hanging(mark: str, text: str) -> str:
    """Put a mark before the first line, and the other lines below its text."""
    again = mark if mark.startswith("> ") else " " * len(mark)
    return mark + text.replace("\n", f"\n{again}")


def _to_do(content: Block) -> str:
    mark = "- [x] " if content.get("checked") else "- [ ] "
    return _hanging(mark, rich_text(content.get("rich_text")))


def _callout(content: Block) -> str:
    emoji = (content.get("icon") or {}).get("emoji")
    text = rich_text(content.get("rich_text"))
    return _hanging("> ", f"{emoji} {text}" if emoji else text)


def _code(content: Block) -> str:
    text = rich_text(content.get("rich_text"))
    caption = rich_text(content.get("caption"))
    language = str(content.get("language") or "").replace("plain text", "")
    fence = "````" if "```" in text else "```"
    code = f"{fence}{language}\n{text}\n{fence}"
    return f"{code}\n{caption}" if caption else code


def _equation(content: Block) -> str:
    expression = content.get("expression")
    return f"$${expression}$$" if expression else ""


def _link(content: Block) -> str:
    url, caption = content.get("url") or "", rich_text(content.get("caption"))
    return f"{caption}: {url}" if caption else str(url)


def _file(noun: str) -> Callable[[Block], str]:
    def write(content: Block) -> str:
        caption = rich_text(content.get("caption"))
        named = [one for one in (file_name(content), caption) if one]
        return f"{noun}: {', '.join(named)}" if named else ""

    return write


def _reference(noun: str) -> Callable[[Block], str]:
    return lambda content: f"- {noun}: {content.get('title') or 'Untitled'}"


def _row(content: Block, *, is_first: bool) -> str:
    cells = [
        " ".join(rich_text(cell).split()).replace("|", "\\|")
        for cell in content.get("cells") or ()
    ]
    line = f"| {' | '.join(cells)} |"
    return f"{line}\n|{' --- |' * len(cells)}" if is_first else line


_MARKS = {
    "heading_1": "## ",  # the page's own title is the first
    "heading_2": "### ",
    "heading_3": "#### ",
    "heading_4": "##### ",
    "bulleted_list_item": "- ",
    "toggle": "- ",
    "quote": "> ",
}
_WRITERS: dict[str, Callable[[Block], str]] = {
    "to_do": _to_do,
    "callout": _callout,
    "code": _code,
    "equation": _equation,
    "divider": lambda _: "---",
    "bookmark": _link,
    "embed": _link,
    "link_preview": _link,
    "image": _file("Image"),
    "video": _file("Video"),
    "audio": _file("Audio"),
    "file": _file("File"),
    "pdf": _file("File"),
    "child_page": _reference("Page"),
    "child_database": _reference("Database"),
}
LIST = "list"
_GROUPS = {
    "bulleted_list_item": LIST,
    "numbered_list_item": LIST,
    "to_do": LIST,
    "toggle": LIST,
    "child_page": LIST,
    "child_database": LIST,
    "table_row": "table",
}
