"""The ticker: starts jobs of connections whose time has come."""

import structlog

from wellhead.domain.errors import ConflictError
from wellhead.services import runs, schedules
from wellhead.services.parts import Parts
from wellhead.store import connections

BATCH = 100

_log = structlog.get_logger(__name__)


async def tick(parts: Parts) -> int:
    """Start what is due, once for however many moments passed; returns how many.

    A connection that is paused or has an open job is not started, it waits for its
    next moment. Any number of workers may tick at once: each takes other rows.
    """
    started = 0
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        for due in await connections.take_due(connection, now, limit=BATCH):
            cron = due.schedule_cron
            next_run_at = None if cron is None else schedules.next_run(cron, after=now)
            await connections.set_next_run(connection, due.id, next_run_at)
            if due.paused_reason is not None or not due.is_authenticated:
                continue
            try:
                await runs.enqueue_run(parts, connection, due, trigger="schedule")
                started += 1
            except ConflictError as error:
                _log.info("not started", connection_id=str(due.id), reason=str(error))
    return started
