"""The parent's end of one process that reads documents."""

import asyncio
import json
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path

from wellhead.domain.errors import EntityError, FailureClass, FailureStage

HEADER_BYTES = 9
START_SECONDS = 60
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertLimits:
    """What one document may take."""

    file_bytes: int = 200 * MEGABYTE
    text_bytes: int = 100 * MEGABYTE
    seconds: float = 120
    cpu_seconds: int = 120
    memory_bytes: int = 2048 * MEGABYTE
    documents_per_process: int = 200


class ConvertError(EntityError):
    """A file that gives no text, and why."""

    def __init__(
        self, reason: str, failure_class: FailureClass = FailureClass.PERMANENT
    ) -> None:
        super().__init__(
            reason, stage=FailureStage.CONVERT, failure_class=failure_class
        )


class LimitError(ConvertError):
    """The document took more than it may, or ended its process."""


class ConverterProcess:
    """Reads one document at a time until it is no longer `usable`."""

    def __init__(self, process: Process, limits: ConvertLimits) -> None:
        """Keep a process that is yet to say that it is ready; see `spawn`."""
        self._process = process
        self._limits = limits
        self._reads_left = limits.documents_per_process
        self._is_between_documents = False
        self._reading = asyncio.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        return (
            self._is_between_documents
            and self._reads_left > 0
            and self._process.returncode is None
        )

    async def wait_ready(self) -> None:
        """Wait for the first answer. Raises ConvertError (transient)."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._receive()
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise _not_started("it ended or hung") from error
        self._is_between_documents = True

    async def read(self, path: Path, suffix: str, *, attachments: bool) -> str:
        """Return the document's text. Raises ConvertError."""
        request = {"path": str(path), "suffix": suffix, "attachments": attachments}
        self._reads_left -= 1
        self._is_between_documents = False
        try:
            async with asyncio.timeout(self._limits.seconds):
                kind, text = await self._ask(json.dumps(request).encode() + b"\n")
        except TimeoutError as error:
            reason = f"reading it took longer than {self._limits.seconds:g} s"
            raise LimitError(reason) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise self._death(await self._process.wait()) from error
        self._is_between_documents = True
        if kind == b"E":
            raise ConvertError(text)
        return text

    async def end(self) -> None:
        """Kill the process and collect it."""
        if self._process.returncode is None:
            self._process.kill()
        stdin, stdout = self._pipes()
        stdin.close()
        async with self._reading:
            # asyncio does not see the end of a process while a pipe is full.
            await stdout.read()
        await self._process.wait()

    async def _ask(self, request: bytes) -> tuple[bytes, str]:
        stdin, _ = self._pipes()
        stdin.write(request)
        await stdin.drain()
        return await self._receive()

    async def _receive(self) -> tuple[bytes, str]:
        async with self._reading:
            return await self._read_frame(self._pipes()[1])

    async def _read_frame(self, stdout: StreamReader) -> tuple[bytes, str]:
        header = await stdout.readexactly(HEADER_BYTES)
        size = int.from_bytes(header[1:])
        if size > self._limits.text_bytes:
            limit = self._limits.text_bytes // MEGABYTE
            raise LimitError(f"its text is larger than {limit} MB")
        payload = await stdout.readexactly(size)
        return header[:1], payload.decode()

    def _pipes(self) -> tuple[StreamWriter, StreamReader]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101  # PIPE was asked for
        assert stdout is not None  # noqa: S101  # PIPE was asked for
        return stdin, stdout

    def _death(self, code: int) -> ConvertError:
        if code == -signal.SIGXCPU:
            seconds = self._limits.cpu_seconds
            return LimitError(f"reading it took more than {seconds} s of CPU time")
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            # Neither the parser nor a limit of ours does that: shutdown, OOM killer.
            return ConvertError("its converter was killed", FailureClass.TRANSIENT)
        memory = self._limits.memory_bytes // MEGABYTE
        return LimitError(
            f"the parser crashed ({_exit_name(code)}); it may have needed more than "
            f"{memory} MB of memory"
        )


async def spawn(limits: ConvertLimits) -> ConverterProcess:
    """Start a process; it ends with this one. Raises ConvertError (transient)."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing in the working directory shadows a module
            "-m",
            "wellhead.sync.convert.child",
            str(limits.cpu_seconds),
            str(limits.memory_bytes),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
    except OSError as error:
        raise _not_started(error.strerror or str(error)) from error
    return ConverterProcess(process, limits)


def _not_started(why: str) -> ConvertError:
    reason = f"no converter process could be started: {why}"
    return ConvertError(reason, FailureClass.TRANSIENT)


def _exit_name(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    return signal.Signals(-code).name
