"""The worker process: runs tasks, reaps, maintains, and outlives the database."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from wellhead.engine.procrastinate import Handler, Task
from wellhead.services.endpoints import Caller
from wellhead.services.parts import Parts
from wellhead.store import reembeddings
from wellhead.store.database import is_gone
from wellhead.sync.convert.converter import Converter
from wellhead.worker import boot
from wellhead.worker.deliver import ENDPOINTS, Courier, deliver
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.maintain import flush_garbage, maintain_tables
from wellhead.worker.outbox import purge_messages
from wellhead.worker.purge import drop_collection, purge_connection
from wellhead.worker.watch import DUE, Chore, look

LOOK_SECONDS = 1.0
REST_SECONDS: dict[Chore, float] = {flush_garbage: 5.0, expunge_erased: 5.0}
"""How long some chores wait, so that what comes meanwhile is done in one go."""
UNASKED_SECONDS = 30.0
"""After so long each chore is done though the watch sees nothing for it."""
MAINTAIN_SECONDS = 5.0
REEMBED_SECONDS = 10.0
PURGE_SECONDS = 60.0
RESTART_SECONDS = 1.0
THREADS = 64

_log = structlog.get_logger(__name__)


async def work(
    parts: Parts,
    converter: Converter,
    *,
    conninfo: str,
    concurrency: int,
    stop: asyncio.Event,
    blocked: Callable[[], None] = lambda: None,
) -> None:
    """Work until `stop` is set. Jobs under way are then released to other workers.

    `blocked` is called from a thread when a connector has blocked the event loop for
    so long that this process had better end.
    """
    # what connectors leave hanging in threads must not hold up everybody else
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    leases = LeaseKeeper(conninfo, blocked=blocked)
    leases.start()
    handlers: dict[Task, Handler] = {
        Task.RUN_JOB: partial(_run_job, parts, converter, leases),
        Task.ROLL_BACK: partial(_roll_back, parts),
        Task.PURGE_CONNECTION: partial(purge_connection, parts),
        Task.DROP_COLLECTION: partial(drop_collection, parts),
    }
    due = {chore: asyncio.Event() for chore in DUE}
    chores = [
        asyncio.create_task(_do(boot.meet_running_jobs, parts)),
        asyncio.create_task(_watch(due, parts)),
        *(asyncio.create_task(_when(due, chore, parts)) for chore in due),
        asyncio.create_task(_every(REEMBED_SECONDS, _reembed, parts)),
        asyncio.create_task(_every(MAINTAIN_SECONDS, maintain_tables, parts)),
        asyncio.create_task(_every(PURGE_SECONDS, purge_messages, parts)),
    ]
    try:
        await boot.after_power_loss(parts)
        await boot.want_embedder(parts)
        async with Caller(parts.webhooks) as caller:
            courier = partial(deliver, Courier(parts, caller))
            await asyncio.gather(
                _serve(parts, handlers, concurrency, stop),
                _serve(parts, {Task.DELIVER: courier}, ENDPOINTS, stop),
            )
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        leases.close()


async def _run_job(
    parts: Parts, converter: Converter, leases: LeaseKeeper, job_id: UUID
) -> None:
    # all of syncing, and NumPy: idle workers, of which there may be many, do without
    from wellhead.worker.run_job import Desk, run_job  # noqa: PLC0415

    await run_job(Desk(parts, converter, leases), job_id)


async def _roll_back(parts: Parts, job_id: UUID) -> None:
    from wellhead.sync.recover import roll_back  # noqa: PLC0415  # as above

    await roll_back(parts.db, job_id)


async def _reembed(parts: Parts) -> None:
    to = parts.embedder
    if await reembeddings.concerned(parts.reads, to.name, to.dimension):
        from wellhead.worker.reembed import reembed  # noqa: PLC0415  # as above

        await reembed(parts)


async def _serve(
    parts: Parts, handlers: dict[Task, Handler], concurrency: int, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        await parts.engine.run(handlers, concurrency=concurrency, stop=stop)
        if not stop.is_set():
            _log.warning("the engine stopped; is the database away? trying again")
            await asyncio.sleep(RESTART_SECONDS)


async def _watch(due: Mapping[Chore, asyncio.Event], parts: Parts) -> None:
    async def ask_for_chores(parts: Parts) -> None:
        for chore in await look(parts):
            due[chore].set()

    await _every(LOOK_SECONDS, ask_for_chores, parts)


async def _when(due: Mapping[Chore, asyncio.Event], chore: Chore, parts: Parts) -> None:
    # one after another, or each would keep a connection that nobody needs else
    unasked_seconds = UNASKED_SECONDS + list(due).index(chore)
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(due[chore].wait(), unasked_seconds)
        due[chore].clear()
        await _do(chore, parts)
        await asyncio.sleep(REST_SECONDS.get(chore, 0))


async def _every(seconds: float, chore: Chore, parts: Parts) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _do(chore, parts)


async def _do(chore: Chore, parts: Parts) -> None:
    name = getattr(chore, "__name__", "")
    try:
        await chore(parts)
    except Exception as error:  # noqa: BLE001  # it is done again next time
        if is_gone(error):
            _log.info("database away", chore=name)
        else:
            _log.error("chore failed", chore=name, exc_info=error)
