"""YAML read with care: plain values only, each with the line on which it stands.

No aliases (a few lines could stand for gigabytes), no tags (they make objects), no key
twice, and bounds on size and depth.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from wellhead.domain.errors import InvalidInputError

LARGEST = 256 * 1024
DEEPEST = 30
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some builds lack the fast one
_ODD_SIGN = re.compile(r"[\x00\ud800-\udfff]")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?\d{1,17}\.\d{1,17}")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, and on which line."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class DefinitionError(InvalidInputError):
    """The file is no definition; the message has a line for each problem."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Marked:
    """A document as plain values, and where each of them stands."""

    value: Any = None
    lines: dict[Location, int] = field(default_factory=dict)

    def line_of(self, where: Location) -> int:
        """Return the line of a value, or of the nearest thing around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def read(text: str) -> Marked:
    """Raises DefinitionError."""
    if len(text) > LARGEST:
        raise DefinitionError([Problem(1, f"more than {LARGEST // 1024} KB")])
    _refuse_odd_signs(text, 1)
    try:
        _refuse_tricks(text)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise DefinitionError([Problem(line, error.problem or "no YAML")]) from error
    except yaml.YAMLError as error:
        raise DefinitionError([Problem(1, f"no YAML: {error}")]) from error
    if node is None:
        raise DefinitionError([Problem(1, "the file is empty")])
    found = Marked()
    found.value = _value(node, (), found.lines)
    return found


def _refuse_odd_signs(text: str, line: int) -> None:
    """Neither can be stored or sent on; a file can also write them as escapes."""
    if _ODD_SIGN.search(text):
        raise DefinitionError([Problem(line, "it holds a NUL or half a character")])


def _refuse_tricks(text: str) -> None:
    """Look at the file piece by piece, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = _line(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise DefinitionError([Problem(line, "aliases (*name) are not allowed")])
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DefinitionError(
                [Problem(line, f"nested deeper than {DEEPEST} levels")]
            )
        if getattr(event, "tag", None) is not None:
            raise DefinitionError([Problem(line, "tags (!name) are not allowed")])


def _line(mark: Any) -> int:
    return 1 if mark is None else int(mark.line) + 1


def _value(node: yaml.Node, where: Location, lines: dict[Location, int]) -> Any:
    lines.setdefault(where, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(node, where, lines))
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(one, (*where, place), lines) for place, one in enumerate(node.value)
        ]
    if isinstance(node, yaml.ScalarNode):
        return _plain(node)
    raise DefinitionError([Problem(_line(node.start_mark), "no plain value")])


def _entries(
    node: yaml.MappingNode, where: Location, lines: dict[Location, int]
) -> Iterator[tuple[str, Any]]:
    for key, value in node.value:
        line = _line(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            raise DefinitionError([Problem(line, "a key must be a word")])
        _refuse_odd_signs(key.value, line)
        if (*where, key.value) in lines:
            raise DefinitionError([Problem(line, f"'{key.value}' is there twice")])
        lines[(*where, key.value)] = line
        yield key.value, _value(value, (*where, key.value), lines)


def _plain(node: yaml.ScalarNode) -> Any:
    """Read a scalar as JSON would: `no` is a word, `1:30` is one, and so is a date."""
    text: str = node.value
    _refuse_odd_signs(text, _line(node.start_mark))
    if node.style:
        return text  # it is quoted, or a block of text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
