"""Files to text: plain files here, documents in processes that can be killed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wellhead.domain.errors import FailureClass
from wellhead.domain.files import (
    DOCUMENT_SUFFIXES,
    TextKind,
    readable_suffix,
    text_kind,
)
from wellhead.sync.convert.process import (
    MEGABYTE,
    ConverterProcess,
    ConvertError,
    ConvertLimits,
    LimitError,
    spawn,
)
from wellhead.sync.convert.text import read_text

MAIL = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Converted:
    """The text of a file, in pieces that may be read anew, and what it is written in.

    Reading the pieces of a long file raises OSError.
    """

    pieces: Iterable[str]
    kind: TextKind

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Converter:
    """Spawns up to `processes` children when documents come; `close` ends them all."""

    def __init__(
        self, *, processes: int = 1, limits: ConvertLimits | None = None
    ) -> None:
        self._limits = limits or ConvertLimits()
        self._slots = asyncio.Semaphore(processes)
        self._children: set[ConverterProcess] = set()
        self._idle: list[ConverterProcess] = []
        self._is_closed = False
        self.documents = 0
        """How many documents it is done with, well or not: the queue moves."""

    async def text_of(
        self, path: Path, *, name: str, media_type: str | None = None
    ) -> Converted:
        """Return a file's text; an empty file's is empty.

        `name` is what the source calls the file; its suffix says how to read it.
        Raises ConvertError (an EntityError).
        """
        suffix = readable_suffix(name, media_type)
        if suffix is None:
            raise ConvertError("files of this type are not read")
        try:
            size = await asyncio.to_thread(_checked_size, path, self._limits.file_bytes)
            kind = text_kind(suffix)
            if kind is not None:
                return Converted(await asyncio.to_thread(read_text, path), kind)
        except OSError as error:
            reason = f"the file cannot be opened: {error.strerror}"
            raise ConvertError(reason, FailureClass.TRANSIENT) from error
        text = await self._read_document(path, suffix) if size else ""
        if size and not text.strip():
            raise ConvertError("no text found in it")
        return Converted((text,), TextKind.MARKDOWN)

    def check_size(self, size: int) -> None:
        """Raises ConvertError for a file that is too large."""
        if size > self._limits.file_bytes:
            raise ConvertError(_too_large(self._limits.file_bytes))

    async def close(self) -> None:
        """End every child, also those at work; a second call changes nothing."""
        self._is_closed = True
        self._idle.clear()
        for child in list(self._children):
            await self._end(child)

    async def _read_document(self, path: Path, suffix: str) -> str:
        try:
            return await self._read(path, suffix, attachments=True)
        except LimitError:
            if DOCUMENT_SUFFIXES[suffix] != MAIL:
                raise
        # One bad attachment shall not cost the message.
        return await self._read(path, suffix, attachments=False)

    async def _read(self, path: Path, suffix: str, *, attachments: bool) -> str:
        async with self._slots:
            child = await self._take()
            try:
                return await child.read(path, suffix, attachments=attachments)
            finally:
                self.documents += 1
                if child.usable and not self._is_closed:
                    self._idle.append(child)
                else:
                    await self._end(child)

    async def _take(self) -> ConverterProcess:
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            await self._end(child)
        self._refuse_when_closed()
        child = await spawn(self._limits)
        self._children.add(child)
        try:
            await child.wait_ready()
            self._refuse_when_closed()
        except BaseException:
            await self._end(child)
            raise
        return child

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise ConvertError("the converter is closed", FailureClass.TRANSIENT)

    async def _end(self, child: ConverterProcess) -> None:
        self._children.discard(child)
        await child.end()


def _checked_size(path: Path, limit: int) -> int:
    size = path.stat().st_size
    if size > limit:
        raise ConvertError(_too_large(limit))
    return size


def _too_large(limit: int) -> str:
    return f"the file is larger than {limit // MEGABYTE} MB"
