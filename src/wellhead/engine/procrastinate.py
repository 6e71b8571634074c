"""The job engine: Procrastinate on the ledger's own PostgreSQL.

It only carries ids to workers. What a job is, who may run it and how it ends stands in
the ledger (sync protocol, section 9), so a task that comes twice or late does no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import procrastinate
import psycopg
from procrastinate import exceptions
from psycopg.abc import PQGen
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.database import raw


class Task(StrEnum):
    """What a worker can be asked to do; each takes one id."""

    RUN_JOB = "run_job"
    ROLL_BACK = "roll_back"
    PURGE_CONNECTION = "purge_connection"
    DROP_COLLECTION = "drop_collection"
    DELIVER = "deliver"


Waited = TypeVar("Waited")
Handler = Callable[[UUID], Awaitable[None]]

_QUEUES = {Task.DELIVER: "deliveries"}
"""Tasks that have workers of their own, so that they take no job's place."""

FETCH_SECONDS = 5.0
"""Workers are notified of tasks; this is for connections that cannot be notified."""
ABORT_SECONDS = 1.0
BEAT_SECONDS = 5.0
WAIT_SECONDS = 5.0
STALLED_SECONDS = 15.0
_NOTIFY = """
    SELECT pg_notify(
      'procrastinate_queue_v1#' || queue_name, '{"type": "job_inserted"}')
    FROM procrastinate_jobs
    WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
    GROUP BY queue_name
"""
"""As Procrastinate does it when a task is queued."""


class _Connection(psycopg.AsyncConnection[Any]):
    """Waits in peace: psycopg would look up ten times a second, without need."""

    async def wait(
        self,
        gen: PQGen[Waited],
        interval: float = WAIT_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's own signature
    ) -> Waited:
        return await super().wait(gen, interval, timeout)


@dataclass(frozen=True, slots=True)
class JobEngine:
    """Defers and runs tasks; `app` is open between `open()` and `close()`."""

    app: procrastinate.App

    @classmethod
    def at(cls, url: str) -> "JobEngine":
        """Return an engine on this `postgresql://` URL; nothing is connected yet."""
        conninfo = make_url(url).set(drivername="postgresql")
        connector = procrastinate.PsycopgConnector(
            conninfo=conninfo.render_as_string(hide_password=False),
            min_size=1,
            max_size=8,
            connection_class=_Connection,
        )
        return cls(procrastinate.App(connector=connector))

    async def open(self) -> None:
        await self.app.open_async()

    async def close(self) -> None:
        await self.app.close_async()

    async def defer(
        self,
        connection: AsyncConnection,
        task: Task,
        subject: UUID,
        *,
        after_seconds: float = 0,
    ) -> None:
        """Queue a task in the caller's transaction; queued already is fine."""
        deferrer = self.app.configure_task(
            task.value,
            queue=_queue(task),
            queueing_lock=f"{task.value}:{subject}",
            schedule_in={"seconds": int(after_seconds)} if after_seconds else None,
            connection=await raw(connection),
        )
        async with connection.begin_nested() as savepoint:
            try:
                await deferrer.defer_async(subject=str(subject))
            except exceptions.AlreadyEnqueued:
                await savepoint.rollback()

    async def abort(
        self, connection: AsyncConnection, task: Task, subject: UUID
    ) -> None:
        """Tell the worker that runs this task to stop, once the caller commits."""
        await connection.execute(
            text(
                "SELECT procrastinate_cancel_job_v1(id, true, false)"
                " FROM procrastinate_jobs"
                " WHERE status = 'doing' AND queueing_lock = :lock"
            ),
            {"lock": f"{task.value}:{subject}"},
        )

    async def is_known(
        self, connection: AsyncConnection, task: Task, subject: UUID
    ) -> bool:
        """Tell whether the task is queued or being worked on."""
        return bool(
            await connection.scalar(
                text(
                    "SELECT EXISTS (SELECT 1 FROM procrastinate_jobs"
                    " WHERE queueing_lock = :lock AND status IN ('todo', 'doing'))"
                ),
                {"lock": f"{task.value}:{subject}"},
            )
        )

    async def drop_dead(self) -> None:
        """Forget tasks of workers that stopped beating; the reaper queues anew."""
        await self.app.job_manager.prune_stalled_workers(STALLED_SECONDS)
        await self.app.connector.execute_query_async(
            "DELETE FROM procrastinate_jobs"
            " WHERE status = 'doing' AND worker_id IS NULL"
        )

    async def wake(self) -> None:
        """Notify workers of tasks that wait: new ones may have been overlooked.

        Nobody is told when the time of a task has come that had to wait for it.
        """
        await self.app.connector.execute_query_async(_NOTIFY)

    async def run(
        self, handlers: Mapping[Task, Handler], *, concurrency: int, stop: asyncio.Event
    ) -> None:
        """Work until `stop` is set or the database goes away; handlers get the id."""
        for task, handler in handlers.items():
            _register(self.app, task, handler)
        worker = asyncio.create_task(
            self.app.run_worker_async(
                queues=sorted({_queue(task) for task in handlers}),
                concurrency=concurrency,
                install_signal_handlers=False,
                shutdown_graceful_timeout=0.05,
                fetch_job_polling_interval=FETCH_SECONDS,
                abort_job_polling_interval=ABORT_SECONDS,
                update_heartbeat_interval=BEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
                delete_jobs="always",
            )
        )
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            worker.cancel()
            await asyncio.gather(worker, stopping, return_exceptions=True)


def _register(app: procrastinate.App, task: Task, handler: Handler) -> None:
    async def run(subject: str) -> None:
        await handler(UUID(subject))

    app.tasks.pop(task.value, None)
    app.task(name=task.value, queue=_queue(task))(run)


def _queue(task: Task) -> str:
    return _QUEUES.get(task, "jobs")
