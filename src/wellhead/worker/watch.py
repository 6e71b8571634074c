"""The watch: one query tells which chores have something to do.

It asks for all that a chore might take; the chore itself decides. What it overlooks is
found when the chore is done without being asked for.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import LiteralString

from wellhead.services.parts import Parts
from wellhead.store.jobs import WAITS_FOR_CONSENT
from wellhead.worker.expunge import expunge_erased
from wellhead.worker.maintain import drop_retired, flush_garbage
from wellhead.worker.outbox import publish
from wellhead.worker.reaper import reap
from wellhead.worker.scheduler import tick

Chore = Callable[[Parts], Awaitable[object]]


async def wake_idle(parts: Parts) -> None:
    """Let tasks be taken that nobody was told of, or that had to wait for a moment."""
    await parts.engine.wake()


DUE: dict[Chore, LiteralString] = {
    publish: """
        EXISTS (SELECT FROM event WHERE published_at IS NULL)
        OR EXISTS (SELECT FROM subscription s WHERE NOT s.disabled AND EXISTS (
          SELECT FROM delivery d
          WHERE d.subscription_id = s.id AND d.next_attempt_at <= %(now)s))""",
    tick: """
        EXISTS (SELECT FROM source_connection
          WHERE next_run_at <= %(now)s AND NOT is_deleting)
        OR EXISTS (SELECT FROM source_connection
          WHERE next_full_at <= %(now)s AND NOT is_deleting)""",
    reap: f"""
        EXISTS (SELECT FROM sync_job
          WHERE status IN ('pending', 'running', 'cancelling')
            AND NOT ({WAITS_FOR_CONSENT}))
        OR EXISTS (SELECT FROM sync_job WHERE rollback = 'pending')
        OR EXISTS (SELECT FROM source_connection WHERE is_deleting)
        OR EXISTS (SELECT FROM collection WHERE is_deleting)
        OR EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'doing')
        """,  # noqa: S608  # made of constants
    wake_idle: """
        EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo'
          AND (scheduled_at IS NULL OR scheduled_at <= now()))""",
    flush_garbage: "EXISTS (SELECT FROM garbage)",
    expunge_erased: "EXISTS (SELECT FROM expunge)",
    drop_retired: "EXISTS (SELECT FROM retired_table WHERE not_before <= now())",
}
"""When each chore has something to do."""

_LOOK: LiteralString = "SELECT " + ", ".join(DUE.values())


async def look(parts: Parts) -> Sequence[Chore]:
    """Return the chores that may have something to do now."""
    [found] = await parts.reads.fetch(
        _LOOK, {"now": parts.clock.now()}, lambda *flags: flags
    )
    return [chore for chore, is_due in zip(DUE, found, strict=True) if is_due]
