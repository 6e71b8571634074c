"""Paths of files: patterns as in .gitignore files, and names as storable text."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, Field


def compile_patterns(lines: Iterable[str]) -> GitIgnoreSpec | None:
    """Return the patterns as one, None if there are none; raises ValueError."""
    kept = [line for line in lines if line.strip()]
    for line in kept:
        if not _is_valid(line):
            raise ValueError(f"{line!r} is not a valid pattern")
    return GitIgnoreSpec.from_lines(kept) if kept else None


def compile_ignore_file(content: str) -> GitIgnoreSpec | None:
    """Return the patterns of an ignore file; like git, pass over invalid lines."""
    return compile_patterns(line for line in content.splitlines() if _is_valid(line))


def decide(spec: GitIgnoreSpec, path: str) -> bool | None:
    """Return whether the path matches, None if no pattern speaks of it."""
    return spec.check_file(path, separators=()).include


@dataclass(frozen=True, slots=True)
class Globs:
    """Takes what an include pattern matches (all, without one) and no exclude does.

    Paths are relative to the source's root, with "/"; those of folders end with it.
    """

    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec | None = None

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> "Globs":
        return cls(compile_patterns(include), compile_patterns(exclude))

    def take(self, path: str) -> bool:
        """Return whether the file is wanted."""
        if self.exclude is not None and decide(self.exclude, path):
            return False
        return self.include is None or bool(decide(self.include, path))

    def enter(self, folder: str) -> bool:
        """Return whether anything below the folder can be wanted."""
        return self.exclude is None or not decide(self.exclude, folder)


def storable(name: str, siblings: Collection[str] = ()) -> str:
    r"""Return the name as text that a database holds and that stays unique.

    Bytes that are not UTF-8 become \udcXX, a backslash doubles, and a name that
    differs from a sibling's by Unicode normalisation only is spelled out.
    """
    if name.isascii() and "\\" not in name:
        return name
    composed = unicodedata.normalize("NFC", name)
    is_twin = composed != name and composed in siblings
    return "".join(_spell(letter, is_twin=is_twin) for letter in name)


def _spell(letter: str, *, is_twin: bool) -> str:
    if letter == "\\":
        return "\\\\"
    if "\ud800" <= letter <= "\udfff" or (is_twin and not letter.isascii()):
        return f"\\u{ord(letter):04x}"
    return letter


def _is_valid(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _validated(patterns: list[str]) -> list[str]:
    compile_patterns(patterns)
    return patterns


Patterns = Annotated[list[str], AfterValidator(_validated)]
Include = Annotated[
    Patterns,
    Field(
        title="Include",
        description="Only files that match one of these patterns, such as *.md.",
    ),
]
Exclude = Annotated[
    Patterns,
    Field(
        title="Exclude",
        description="No files or folders that match one of these patterns.",
    ),
]
LargestFile = Annotated[
    int,
    Field(
        ge=1,
        le=10_000,
        title="Largest file (MB)",
        description="Larger files are reported as failed.",
    ),
]
