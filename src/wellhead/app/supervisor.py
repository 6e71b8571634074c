"""The supervisor: PostgreSQL, the API and workers, kept alive, ended together."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import IO
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from wellhead.app.embedders import refuse_useless_embedder
from wellhead.app.home import Home, Served
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.processes import CANNOT_START, GRACE_SECONDS
from wellhead.app.settings import Settings, environment
from wellhead.domain.errors import StartError

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0
POSTGRES_SECONDS = 1.0
READY_POLL_SECONDS = 0.1
BACKLOG = 2048

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """What a server tells once it answers."""

    url: str
    home: Home
    new_key: str | None = field(repr=False)
    """The first API key, when this start made it."""


async def serve(
    settings: Settings,
    *,
    stop: asyncio.Event,
    ready: Callable[[Started], None],
    output: IO[bytes] | None = None,
) -> None:
    """Run the whole server until `stop` is set; `output` takes what processes print.

    Raises StartError when something cannot start.
    """
    home = Home(settings.data_dir)
    home.prepare()
    await refuse_useless_embedder(settings)
    with ExitStack() as stack:
        lock = stack.enter_context(home.locked())
        listener = stack.enter_context(listen(settings.host, settings.port))
        postgres = None
        if settings.database_url is None:
            postgres = await asyncio.to_thread(
                EmbeddedPostgres.ensure, settings.data_dir
            )
            # orphaned processes end it as well, so it goes the same way for both
            url = SecretStr(postgres.url)
            settings = settings.model_copy(update={"database_url": url})
        try:
            await _Server(
                settings=settings,
                home=home,
                listener=listener,
                lock=lock,
                postgres=postgres,
                output=output,
                stop=stop,
            ).run(ready)
        finally:
            home.withdraw()
            if postgres is not None:
                await asyncio.to_thread(postgres.stop)


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is started. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StartError(
            f"port {port} of {host} cannot be used ({error.strerror}): stop what uses "
            "it, or choose another --port (0 picks a free one)"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the URL at which this machine reaches the listener."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(slots=True, kw_only=True)
class _Server:
    settings: Settings
    home: Home
    listener: socket.socket
    lock: int
    postgres: EmbeddedPostgres | None
    output: IO[bytes] | None
    stop: asyncio.Event
    is_ready: bool = False
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def run(self, ready: Callable[[Started], None]) -> None:
        keepers = [
            asyncio.create_task(self._keep(name, role)) for name, role in self._wanted()
        ]
        if self.postgres is not None:
            keepers.append(asyncio.create_task(self._keep_postgres(self.postgres)))
        keepers.append(asyncio.create_task(self._tell_ready(ready)))
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await _first_error_or(stopping, keepers)
        finally:
            self.stop.set()
            for task in (stopping, *keepers):
                task.cancel()
            await asyncio.gather(stopping, *keepers, return_exceptions=True)
            await asyncio.gather(*map(_end, self.processes.values()))

    def _wanted(self) -> list[tuple[str, str]]:
        workers = range(1, self.settings.workers + 1)
        return [("api", "api"), *((f"worker-{n}", "worker") for n in workers)]

    async def _keep(self, name: str, role: str) -> None:
        """Run one process, again and again."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            process = await self._spawn(role)
            self.processes[name] = process
            self._announce()
            status = await process.wait()
            _kill_group(process)
            if status == CANNOT_START and not self.is_ready:
                raise StartError(f"the process {name} cannot start; it said why above")
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            _log.warning(
                "process ended, starting it again",
                process=name,
                status=status,
                pause_seconds=pause,
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _spawn(self, role: str) -> asyncio.subprocess.Process:
        words = [sys.executable, "-P", "-m", "wellhead.app.processes", role, "--tied"]
        descriptors = [self.lock]
        if role == "api":
            descriptors.append(self.listener.fileno())
            words += ["--socket", str(self.listener.fileno())]
            if self.postgres is not None:
                words.append("--ends-postgres")
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone
            stdout=self.output,
            stderr=self.output,
            env=environment(self.settings),
            pass_fds=descriptors,
            start_new_session=True,  # a Ctrl-C is for us alone
        )

    def _announce(self) -> None:
        if self.is_ready:
            pids = {name: one.pid for name, one in self.processes.items()}
            url = address_of(self.listener)
            self.home.announce(Served(url, os.getpid(), pids))

    async def _tell_ready(self, ready: Callable[[Started], None]) -> None:
        url, old_key = address_of(self.listener), self.home.read_key()
        while not await asyncio.to_thread(_answers, url):  # noqa: ASYNC110  # HTTP
            await asyncio.sleep(READY_POLL_SECONDS)
        self.is_ready = True
        self._announce()
        key = self.home.read_key()
        ready(Started(url, self.home, key if key != old_key else None))
        await self.stop.wait()

    async def _keep_postgres(self, postgres: EmbeddedPostgres) -> None:
        while True:
            await postgres.until_gone()
            try:
                if not await asyncio.to_thread(postgres.is_alive):
                    _log.warning("PostgreSQL is gone, starting it again")
                    await asyncio.to_thread(EmbeddedPostgres.ensure, postgres.data_dir)
            except StartError as error:
                _log.error("PostgreSQL cannot be started", error=str(error))
            await asyncio.sleep(POSTGRES_SECONDS)


async def _first_error_or(
    stopping: asyncio.Task[bool], keepers: list[asyncio.Task[None]]
) -> None:
    """Wait for the stop; raise what a keeper raises before."""
    await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
    for task in keepers:
        if task.done():
            await task


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process to end, insist after a while, and clear up what it started."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        _log.warning("process does not end, killing it", pid=process.pid)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    _kill_group(process)


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _answers(url: str) -> bool:
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
