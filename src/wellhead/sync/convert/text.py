"""Bytes of text files to text."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wellhead.domain.errors import EntityError, FailureStage

# UTF-32 first: its little-endian mark starts with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

BLOCK = 1024 * 1024
_UNDEFINED = b"\x81\x8d\x8f\x90\x9d"
"""Bytes that Windows-1252 has no character for."""
_BINARY = "the file is named like text but holds binary data"


@dataclass(frozen=True, slots=True)
class LongText:
    """The text of a file that is read block by block, each time anew."""

    path: Path
    encoding: str
    mark: bytes

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        with self.path.open("rb") as file:
            file.seek(len(self.mark))
            while block := file.read(BLOCK):
                yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def read_text(path: Path) -> Iterable[str]:
    """Return the text of a file in pieces; see `decode`."""
    with path.open("rb") as file:
        data = file.read(BLOCK + 1)
    return (decode(data),) if len(data) <= BLOCK else _long(path, data)


def _long(path: Path, head: bytes) -> LongText:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return LongText(path, encoding, mark)
    broken = sound = 0
    for text in LongText(path, "utf-8", b""):
        if "\x00" in text:
            raise EntityError(_BINARY, stage=FailureStage.CONVERT)
        in_block = text.count("\ufffd")
        broken += in_block
        sound += len(text) - len(text.encode("ascii", "ignore")) - in_block
    if broken * 2 <= sound or not broken:
        return LongText(path, "utf-8", b"")
    return LongText(path, _older(path), b"")


def _older(path: Path) -> str:
    """Return the older character set that has all of the file's bytes."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if block.translate(None, _UNDEFINED) != block:
                return "latin-1"
    return "cp1252"


def decode(data: bytes) -> str:
    """Return the text, in UTF-8, as a byte order mark says, or else Windows-1252.

    Raises EntityError for what is not text.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\x00" in data:
        raise EntityError(_BINARY, stage=FailureStage.CONVERT)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decode_damaged(data)


def _decode_damaged(data: bytes) -> str:
    """Tell UTF-8 with a few broken bytes from an older character set."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    sound = len(text) - len(text.encode("ascii", "ignore")) - broken
    if broken * 2 <= sound:
        return text
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
