"""The processes that a supervisor starts: the API, and workers."""

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from wellhead.app import logs
from wellhead.app.home import Home
from wellhead.app.settings import AuthMode, Settings, load
from wellhead.domain.errors import StartError

CANNOT_START = 78
"""The exit status of a process that starting again would not help."""
GRACE_SECONDS = 10.0
ORPHAN_WORKER_SECONDS = 2.0
THRESHOLDS = (20_000, 20, 20)
"""When garbage is looked for. A page of items is a hundred thousand objects, none of
them in a cycle: looking through them at every 700, as Python does, costs a quarter of
the time of a sync."""
WORKERS_INDEX_CACHE_BYTES = 64 * 2**20
"""A worker appends; it is searches that profit from a larger one."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one process with the settings of its environment."""
    parser = argparse.ArgumentParser(prog="wellhead process")
    parser.add_argument("role", choices=["api", "worker"])
    parser.add_argument("--socket", type=int, help="descriptor that the API listens on")
    parser.add_argument("--tied", action="store_true", help="end when stdin does")
    parser.add_argument("--ends-postgres", action="store_true")
    given = parser.parse_args(words)
    gc.disable()  # loading makes much and drops little: to look through it is in vain
    orphaned = threading.Event()
    if given.tied:
        threading.Thread(target=_follow_parent, args=[orphaned], daemon=True).start()
    try:
        settings = load()
        if given.role == "api":
            run_api(settings, socket.socket(fileno=given.socket))
        else:
            run_worker(settings)
    except StartError as error:
        sys.stderr.write(f"wellhead: {error}\n")
        return CANNOT_START
    if orphaned.is_set() and given.ends_postgres:
        _end_postgres(settings)
    return 0


def _settle() -> None:
    """Collect garbage from now on, but never look through what was loaded."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def _follow_parent(orphaned: threading.Event) -> None:
    """End with the supervisor, whose end of the pipe closes however it dies."""
    while os.read(0, 1024):
        pass
    orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS + ORPHAN_WORKER_SECONDS + 5)
    os._exit(1)


def _end_postgres(settings: Settings) -> None:
    """Stop the database that nobody watches any more.

    This process still holds the lock of the data directory, so no other server can
    have taken it over.
    """
    from wellhead.app.postgres import EmbeddedPostgres

    time.sleep(ORPHAN_WORKER_SECONDS)  # workers hand their jobs back first
    EmbeddedPostgres(settings.data_dir.resolve(), database_url(settings)).stop()


def database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise StartError("WELLHEAD_DATABASE_URL is not set")
    return settings.database_url.get_secret_value()


def run_api(settings: Settings, listener: socket.socket) -> None:
    """Serve HTTP on the socket until SIGTERM."""
    _configure_logs(settings)
    _upgrade(database_url(settings))
    asyncio.run(_serve_api(settings, listener))


async def _serve_api(settings: Settings, listener: socket.socket) -> None:
    from wellhead.api.application import create_app
    from wellhead.app.http_server import HttpServer
    from wellhead.app.wiring import open_parts
    from wellhead.services import definitions, keys

    async with open_parts(settings, database_url(settings)) as parts:
        key = await keys.ensure_first_key(parts)
        if key is not None:
            Home(settings.data_dir).write_key(key)
        app = create_app(
            parts,
            auth=settings.auth is AuthMode.ON,
            rate_limit=settings.rate_limit,
        )
        server = HttpServer(app, closing=app.state.progress.close)
        await definitions.look(parts)
        following = asyncio.create_task(definitions.follow(parts))

        def leave(*_: object) -> None:
            server.should_exit = True

        # uvicorn raises the signal again once it is done; the parts are yet to close
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        _settle()
        try:
            await server.serve(sockets=[listener])
        finally:
            following.cancel()


def run_worker(settings: Settings) -> None:
    """Run sync jobs until SIGTERM; jobs under way go to other workers."""
    _configure_logs(settings)
    _upgrade(database_url(settings))
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    from wellhead.app.wiring import embed_processes_of, open_converter, open_parts
    from wellhead.worker.loop import work

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = database_url(settings)
    processes = embed_processes_of(settings)
    async with open_parts(
        settings,
        url,
        embed_processes=processes,
        index_cache_bytes=WORKERS_INDEX_CACHE_BYTES,
    ) as parts:
        converter = open_converter(settings)
        _settle()
        try:
            await work(
                parts,
                converter,
                conninfo=url,
                concurrency=settings.job_concurrency,
                stop=stop,
                blocked=_die,
            )
        finally:
            await converter.close()


def _upgrade(url: str) -> None:
    """Bring the database up to date; what does it is loaded only where it must."""
    from wellhead.store.revision import is_current

    if not is_current(url):
        from wellhead.store import migrate

        migrate.upgrade(url)


def _die() -> None:
    """End as after a crash: the jobs go on in the process that takes our place."""
    os.kill(os.getpid(), signal.SIGKILL)


def _configure_logs(settings: Settings) -> None:
    password = urlsplit(database_url(settings)).password or ""
    logs.configure(
        settings.level, secrets=[*settings.secrets, password, unquote(password)]
    )


if __name__ == "__main__":
    sys.exit(main())
