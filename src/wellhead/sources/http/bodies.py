"""Reading an answer's body: no more than is allowed, into memory or a file."""

import os
import tempfile
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from wellhead.sources.http.errors import TooLargeError


async def read(response: httpx.Response, *, most_bytes: int, what: str) -> bytes:
    """Return the whole body; raises TooLargeError."""
    body = bytearray()
    async for block in _blocks(response, most_bytes, what):
        body += block
    return bytes(body)


async def save(response: httpx.Response, *, most_bytes: int, what: str) -> Path:
    """Write the whole body to a file, which goes with its path; see HeldPath.

    Raises TooLargeError.
    """
    handle, name = tempfile.mkstemp(prefix="wellhead-download-")
    path = HeldPath(name)
    weakref.finalize(path, _remove, name)
    is_whole = False
    try:
        with os.fdopen(handle, "wb") as file:
            async for block in _blocks(response, most_bytes, what):
                file.write(block)
        is_whole = True
    finally:
        if not is_whole:
            _remove(name)  # an error may be kept, and with it the path
    return path


def keep(content: bytes) -> Path:
    """Write this to a file, which goes with its path; see HeldPath."""
    handle, name = tempfile.mkstemp(prefix="wellhead-document-")
    path = HeldPath(name)
    weakref.finalize(path, _remove, name)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return path


class HeldPath(type(Path())):  # type: ignore[misc]  # this system's kind of path
    """A path whose file is removed when nobody holds the path any more.

    So a job that reads a million attachments needs disk for a few of them.
    """


def _remove(name: str) -> None:
    Path(name).unlink(missing_ok=True)


async def _blocks(
    response: httpx.Response, most_bytes: int, what: str
) -> AsyncIterator[bytes]:
    announced = response.headers.get("content-length", "")
    size = 0
    is_too_large = announced.isdecimal() and int(announced) > most_bytes
    if not is_too_large:
        async for block in response.aiter_bytes():
            size += len(block)  # unpacked: a small answer may hold a large one
            if size > most_bytes:
                is_too_large = True
                break
            yield block
    if is_too_large:
        raise TooLargeError(f"{what} is larger than {most_bytes} bytes")
