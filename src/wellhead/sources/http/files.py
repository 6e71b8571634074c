"""Files of an API: fetched or put together only when somebody opens them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from wellhead.domain.entities import Blob
from wellhead.sources.http import bodies
from wellhead.sources.http.api import MEGABYTE, Call
from wellhead.sources.http.client import ApiClient

MOST_FILE_BYTES = 200 * MEGABYTE


def blob(
    client: ApiClient,
    call: Call,
    *,
    name: str,
    size: int,
    media_type: str | None = None,
    most_bytes: int = MOST_FILE_BYTES,
) -> Blob:
    """Return a file that is downloaded when it is opened, in whichever thread.

    Call it where the source is read: the download runs in that event loop.
    """
    loop = asyncio.get_running_loop()

    def open_it() -> Path:
        download = client.download(call, most_bytes=most_bytes)
        return asyncio.run_coroutine_threadsafe(download, loop).result()

    return Blob(name=name, size=size, open=open_it, media_type=media_type)


def document(name: str, write: Callable[[], Awaitable[str]], *, size: int) -> Blob:
    """Return a text that takes more requests: it is written when it is opened.

    So a listing asks for the parts of what has changed only (its `source_version`
    tells). `size` is a guess. Call it where the source is read.
    """
    loop = asyncio.get_running_loop()

    def open_it() -> Path:
        text = asyncio.run_coroutine_threadsafe(_awaited(write), loop).result()
        return bodies.keep(text.encode("utf-8", "replace"))

    return Blob(name=name, size=size, open=open_it, is_size_guessed=True)


async def _awaited(write: Callable[[], Awaitable[str]]) -> str:
    return await write()
