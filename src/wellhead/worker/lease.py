"""Leases of running jobs, renewed from a thread that no busy event loop can starve."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store.jobs import LEASE

RENEW_SECONDS = 1.0
BLOCKED_SECONDS = 15 * 60.0
"""An event loop that stands still for so long is as good as dead."""
BLOCKED_CANCEL_SECONDS = 60.0
"""The same while a cancelled job waits for it."""
LONGEST_ROUND_SECONDS = 5.0
"""No round of the thread counts for more: the whole machine may have slept."""

_log = structlog.get_logger(__name__)

_RENEW = """
    UPDATE sync_job j SET lease_until = clock_timestamp() + %(lease)s
    FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS mine(id, fence)
    WHERE j.id = mine.id AND j.fence = mine.fence
      AND j.status IN ('running', 'cancelling') AND NOT j.released
    RETURNING j.id, j.status
"""


@dataclass(slots=True)
class Held:
    """A job whose lease this worker renews; `stop` is set when it must end."""

    job: SyncJob
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_told: bool = False
    silent_seconds: float = 0.0
    """For how long the event loop has not turned, as the thread sees it."""
    _is_asked: bool = False

    def tell(self) -> None:
        self.is_told = True
        self._call(self.stop.set)

    def listen(self, seconds: float) -> None:
        """Note whether the loop has turned since the last round, and ask again."""
        if self._is_asked:
            self.silent_seconds += seconds
        else:
            self.silent_seconds = 0.0
            self._is_asked = True
            self._call(self._turned)

    @property
    def is_blocked(self) -> bool:
        limit = BLOCKED_CANCEL_SECONDS if self.is_told else BLOCKED_SECONDS
        return self.silent_seconds > limit

    def _turned(self) -> None:
        self._is_asked = False

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, nobody waits any more
            self.loop.call_soon_threadsafe(callback)


def _do_nothing() -> None:
    """The leases run out; other workers do the rest."""


class LeaseKeeper:
    """Renews the leases of all jobs of one worker, and notices lost or cancelled ones.

    Every second, on a connection of its own; while the database is away nothing is
    renewed and nothing is concluded. A job whose event loop stands still is not kept
    from other workers for ever: `blocked` is called once, and may end the process.
    """

    def __init__(
        self, conninfo: str, *, blocked: Callable[[], None] = _do_nothing
    ) -> None:
        self._conninfo = conninfo
        self._blocked = blocked
        self._has_told_blocked = False
        self._held: dict[UUID, Held] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(timeout=5)

    def hold(self, job: SyncJob) -> Held:
        """Begin to renew; call from the event loop that waits for `stop`."""
        held = Held(job, asyncio.get_running_loop())
        with self._lock:
            replaced = self._held.get(job.id)
            self._held[job.id] = held
        if replaced is not None:
            replaced.tell()
        return held

    def drop(self, job: SyncJob) -> None:
        with self._lock:
            held = self._held.get(job.id)
            if held is not None and held.job.fence == job.fence:
                del self._held[job.id]

    def _run(self) -> None:
        connection: psycopg.Connection[tuple[UUID, str]] | None = None
        last = time.monotonic()
        while not self._end.wait(RENEW_SECONDS):
            with self._lock:
                held = dict(self._held)
            now = time.monotonic()
            held = self._alive(held, min(now - last, LONGEST_ROUND_SECONDS))
            last = now
            if not held:
                continue
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(
                        self._conninfo, autocommit=True, connect_timeout=3
                    )
                    connection.execute("SET lock_timeout = '500ms'")
                self._renew(connection, held)
            except psycopg.Error as error:
                _log.warning("leases not renewed", error=str(error))
                _close(connection)
                connection = None
        _close(connection)

    def _alive(self, held: dict[UUID, Held], seconds: float) -> dict[UUID, Held]:
        """Leave out the jobs that nobody works on any more, whatever it looks like."""
        for one in held.values():
            one.listen(seconds)
        alive = {ident: one for ident, one in held.items() if not one.is_blocked}
        if len(alive) < len(held) and not self._has_told_blocked:
            self._has_told_blocked = True
            _log.error(
                "a job blocks this worker, its leases are given up",
                jobs=[str(ident) for ident in held if ident not in alive],
            )
            self._blocked()
        return alive

    def _renew(
        self,
        connection: psycopg.Connection[tuple[UUID, str]],
        held: dict[UUID, Held],
    ) -> None:
        for job_id, one in held.items():
            # one by one: a job in the midst of a long commit must not hold up others
            try:
                row = connection.execute(
                    _RENEW,
                    {"lease": LEASE, "ids": [job_id], "fences": [one.job.fence]},
                ).fetchone()
            except psycopg.errors.LockNotAvailable:
                continue  # being written by its owner, so alive
            if row is None or row[1] != JobStatus.RUNNING.value:
                one.tell()


def _close(connection: psycopg.Connection[tuple[UUID, str]] | None) -> None:
    if connection is not None:
        connection.close()
