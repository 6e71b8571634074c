"""Leases of running jobs, renewed from a thread that no busy event loop can starve."""

import asyncio
import threading
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog

from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.store.jobs import LEASE

RENEW_SECONDS = 1.0

_log = structlog.get_logger(__name__)

_RENEW = """
    UPDATE sync_job j SET lease_until = clock_timestamp() + %(lease)s
    FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS mine(id, fence)
    WHERE j.id = mine.id AND j.fence = mine.fence
      AND j.status IN ('running', 'cancelling') AND NOT j.released
    RETURNING j.id, j.status
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A job whose lease this worker renews; `stop` is set when it must end."""

    job: SyncJob
    stop: asyncio.Event
    loop: asyncio.AbstractEventLoop

    def tell(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)


class LeaseKeeper:
    """Renews the leases of all jobs of one worker, and notices lost or cancelled ones.

    Every second, on a connection of its own; while the database is away nothing is
    renewed and nothing is concluded.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
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
        held = Held(job, asyncio.Event(), asyncio.get_running_loop())
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
        while not self._end.wait(RENEW_SECONDS):
            with self._lock:
                held = dict(self._held)
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
