"""Leases of running jobs, renewed from a thread that no busy event loop can starve."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from wellhead.domain.jobs import JobStatus, SyncJob

LEASE = timedelta(seconds=6)
RENEW_SECONDS = 1.0

_log = structlog.get_logger(__name__)

_RENEW = """
    UPDATE sync_job j SET lease_until = now() + %(lease)s
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

    A lease lasts six seconds and is renewed every second, on a connection of its
    own; while the database is away nothing is renewed and nothing is concluded.
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
            self._held[job.id] = held
        return held

    def drop(self, job: SyncJob) -> None:
        with self._lock:
            self._held.pop(job.id, None)

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
        rows = connection.execute(
            _RENEW,
            {
                "lease": LEASE,
                "ids": list(held),
                "fences": [one.job.fence for one in held.values()],
            },
        ).fetchall()
        statuses: dict[UUID, str] = dict(rows)
        for job_id, one in held.items():
            if statuses.get(job_id) != JobStatus.RUNNING.value:
                one.tell()


def _close(connection: psycopg.Connection[tuple[UUID, str]] | None) -> None:
    if connection is not None:
        connection.close()
