"""The worker process: runs tasks, reaps, maintains, and outlives the database."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from wellhead.engine.procrastinate import Handler, Task
from wellhead.services.endpoints import Caller
from wellhead.services.parts import Parts
from wellhead.store.database import is_gone
from wellhead.sync.convert.converter import Converter
from wellhead.sync.recover import roll_back
from wellhead.worker import boot
from wellhead.worker.deliver import ENDPOINTS, Courier, deliver
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.maintain import flush_garbage, maintain_tables
from wellhead.worker.outbox import publish, purge_messages
from wellhead.worker.purge import drop_collection, purge_connection
from wellhead.worker.reaper import reap
from wellhead.worker.run_job import Desk, run_job
from wellhead.worker.scheduler import tick

REAP_SECONDS = 1.0
TICK_SECONDS = 1.0
GARBAGE_SECONDS = 5.0
MAINTAIN_SECONDS = 5.0
PUBLISH_SECONDS = 1.0
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
    desk = Desk(parts, converter, leases)
    handlers: dict[Task, Handler] = {
        Task.RUN_JOB: partial(run_job, desk),
        Task.ROLL_BACK: partial(roll_back, parts.db),
        Task.PURGE_CONNECTION: partial(purge_connection, parts),
        Task.DROP_COLLECTION: partial(drop_collection, parts),
    }
    chores = [
        asyncio.create_task(_every(PUBLISH_SECONDS, publish, parts)),
        asyncio.create_task(_every(PURGE_SECONDS, purge_messages, parts)),
        asyncio.create_task(_every(REAP_SECONDS, reap, parts)),
        asyncio.create_task(_every(TICK_SECONDS, tick, parts)),
        asyncio.create_task(_every(GARBAGE_SECONDS, flush_garbage, parts)),
        asyncio.create_task(_every(MAINTAIN_SECONDS, maintain_tables, parts)),
        asyncio.create_task(_every(MAINTAIN_SECONDS, expunge_erased, parts)),
    ]
    try:
        await boot.after_power_loss(parts)
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


async def _serve(
    parts: Parts, handlers: dict[Task, Handler], concurrency: int, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        await parts.engine.run(handlers, concurrency=concurrency, stop=stop)
        if not stop.is_set():
            _log.warning("the engine stopped; is the database away? trying again")
            await asyncio.sleep(RESTART_SECONDS)


async def _every(
    seconds: float, work: Callable[[Parts], Awaitable[object]], parts: Parts
) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work(parts)
        except Exception as error:  # noqa: BLE001  # it is done again next time
            if is_gone(error):
                _log.info("database away", chore=work.__name__)
            else:
                _log.error("chore failed", chore=work.__name__, exc_info=error)
