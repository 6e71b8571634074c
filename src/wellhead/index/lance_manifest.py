"""Which files the newest manifest of a local Lance table names, and which are gone."""

import struct
from collections.abc import Iterator
from pathlib import Path

from wellhead.domain.errors import JobError

_FOOTER = struct.Struct("<QHH4s")
"""Where the message begins, the format's version, and Lance's mark."""
_LENGTH = struct.Struct("<I")
_FRAGMENTS = 2
_FRAGMENT_ID, _FRAGMENT_FILES, _FRAGMENT_DELETIONS = 1, 2, 3
_FILE_PATH = 1
_DELETIONS_KIND, _DELETIONS_STATE, _DELETIONS_ID = 1, 2, 3
_SUFFIXES = {0: "arrow", 1: "bin"}
_Message = dict[int, list[int | bytes]]


def missing_files(folder: Path) -> list[Path]:
    """Return what a table's newest state needs and does not have.

    Reads the manifest only, none of the data. Raises JobError where it cannot be read.
    """
    # names count down: the first is the newest
    manifests = sorted((folder / "_versions").glob("*.manifest"))
    if not manifests:
        return [folder / "_versions"]
    try:
        named = list(_named(manifests[0].read_bytes()))
    except (ValueError, LookupError, ArithmeticError, struct.error) as error:
        raise JobError(f"{manifests[0]} cannot be read: {error}") from error
    return [folder / one for one in named if not (folder / one).exists()]


def _named(manifest: bytes) -> Iterator[str]:
    begin, _, _, mark = _FOOTER.unpack(manifest[-_FOOTER.size :])
    if mark != b"LANC":
        raise ValueError("it does not end as a manifest does")
    [length] = _LENGTH.unpack_from(manifest, begin)
    begin += _LENGTH.size
    for one in _messages(_read(manifest[begin : begin + length]), _FRAGMENTS):
        for file in _messages(one, _FRAGMENT_FILES):
            yield f"data/{_text(file, _FILE_PATH)}"
        for deletions in _messages(one, _FRAGMENT_DELETIONS):
            suffix = _SUFFIXES[_number(deletions, _DELETIONS_KIND)]
            numbers = (
                _number(one, _FRAGMENT_ID),
                _number(deletions, _DELETIONS_STATE),
                _number(deletions, _DELETIONS_ID),
            )
            yield f"_deletions/{'-'.join(map(str, numbers))}.{suffix}"


def _messages(message: _Message, field: int) -> Iterator[_Message]:
    for one in message.get(field, []):
        if not isinstance(one, bytes):
            raise ValueError(f"field {field} is a number")  # noqa: TRY004  # of the file
        yield _read(one)


def _text(message: _Message, field: int) -> str:
    return b"".join(one for one in message[field] if isinstance(one, bytes)).decode()


def _number(message: _Message, field: int) -> int:
    return sum(one for one in message.get(field, []) if isinstance(one, int))


def _read(message: bytes) -> _Message:
    """Read a protobuf message: its fields by number, none of them understood."""
    fields: _Message = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                fields.setdefault(tag >> 3, []).append(value)
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(message, at)
            case 5:
                size = 4
            case kind:
                raise ValueError(f"it has a field of kind {kind}")
        fields.setdefault(tag >> 3, []).append(message[at : at + size])
        at += size
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
