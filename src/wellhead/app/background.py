"""A server in the background of one command, ended with it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from wellhead.app import logs
from wellhead.app.home import Home
from wellhead.app.settings import Settings
from wellhead.app.supervisor import Started, serve
from wellhead.domain.errors import StartError, WellheadError


@dataclass(slots=True)
class _State:
    """What the thread that serves and the one that waits tell each other."""

    changed: threading.Event = field(default_factory=threading.Event)
    started: Started | None = None
    error: WellheadError | None = None
    loop: asyncio.AbstractEventLoop | None = None
    stop: asyncio.Event | None = None


@contextmanager
def running(settings: Settings) -> Iterator[Started]:
    """Serve on a free port while the caller works; logs go to <data-dir>/serve.log.

    Raises StartError.
    """
    local = settings.model_copy(update={"port": 0, "host": "127.0.0.1"})
    logs.silence()
    home, state = Home(settings.data_dir), _State()
    home.prepare()
    home.log_file.touch(mode=0o600)
    with home.log_file.open("wb") as output:
        yield from _run(local, state, output)


def _run(settings: Settings, state: _State, output: IO[bytes]) -> Iterator[Started]:
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(settings, state, output)), name="server"
    )
    thread.start()
    try:
        state.changed.wait()
        if state.started is None:
            raise state.error or StartError("the server ended at once")
        yield state.started
    finally:
        if state.loop is not None and state.stop is not None and thread.is_alive():
            state.loop.call_soon_threadsafe(state.stop.set)
        thread.join()


async def _serve(settings: Settings, state: _State, output: IO[bytes]) -> None:
    state.loop, state.stop = asyncio.get_running_loop(), asyncio.Event()

    def ready(started: Started) -> None:
        state.started = started
        state.changed.set()

    try:
        await serve(settings, stop=state.stop, ready=ready, output=output)
    except WellheadError as error:
        state.error = error
    finally:
        state.changed.set()
