"""What a worker sees to when it starts: lost chunks, and jobs of workers that died."""

from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.services.parts import Parts
from wellhead.store import index_tables, lost, reembeddings

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
WINDOW = timedelta(minutes=10)

_IS_ANY_RUNNING = """
    SELECT EXISTS (SELECT FROM sync_job WHERE status IN ('running', 'cancelling'))
"""

_log = structlog.get_logger(__name__)


async def after_power_loss(parts: Parts, *, boot_id: str | None = None) -> int:
    """Compare recently committed versions with the index, if the machine restarted.

    Entities whose chunks are missing are forgotten, and their connection runs full
    next time, so they are written again; returns how many. Where the system has no
    boot id nothing is checked.
    """
    boot = boot_id or _read_boot_id()
    if boot is None:
        return 0
    async with parts.db.begin() as connection:
        known = await connection.scalar(
            text("SELECT value FROM setting WHERE name = 'boot_id' FOR UPDATE")
        )
        forgotten = 0
        if known is not None and known != boot:
            forgotten = await _forget_lost(parts, connection)
        await connection.execute(
            text(
                "INSERT INTO setting (name, value) VALUES ('boot_id', :b)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            ),
            {"b": boot},
        )
    if forgotten:
        _log.warning("chunks lost with the power; syncing again", entities=forgotten)
    return forgotten


async def want_embedder(parts: Parts) -> None:
    """Say whose vectors all collections are to have from now on."""
    embedder = parts.embedder
    async with parts.db.begin() as connection:
        await reembeddings.want(connection, embedder.name, embedder.dimension)


async def meet_running_jobs(parts: Parts) -> None:
    """Load the index while leases of workers that died run out.

    Whoever takes their jobs over needs it at once, and it takes seconds.
    """
    [is_any] = await parts.reads.fetch(_IS_ANY_RUNNING, {}, bool)
    if is_any:
        await parts.index.tables()


def _read_boot_id() -> str | None:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


async def _forget_lost(parts: Parts, connection: AsyncConnection) -> int:
    rows = await connection.execute(
        text(
            "SELECT DISTINCT c.collection_id FROM entity e"
            " JOIN source_connection c ON c.id = e.connection_id"
        )
    )
    forgotten = 0
    for collection_id in [row.collection_id for row in rows]:
        forgotten += await _forget_lost_of(parts, connection, collection_id)
    return forgotten


async def _forget_lost_of(
    parts: Parts, connection: AsyncConnection, collection_id: UUID
) -> int:
    recent = {
        row.version: row
        for row in await connection.execute(
            text(
                "SELECT e.connection_id, e.entity_key, e.version, e.chunk_count"
                " FROM entity e JOIN source_connection c ON c.id = e.connection_id"
                " WHERE c.collection_id = :id AND e.chunk_count > 0"
                " AND e.committed_at >= (SELECT max(l.committed_at) FROM entity l"
                "   WHERE l.connection_id = e.connection_id) - :window"
            ),
            {"id": collection_id, "window": WINDOW},
        )
    }
    table_id = await index_tables.live_id(connection, collection_id)
    stored = {
        version: count
        async for version, count in parts.index.versions(table_id)
        if version in recent
    }
    missing: dict[UUID, dict[bytes, int]] = defaultdict(dict)
    for version, row in recent.items():
        if stored.get(version) != row.chunk_count:
            missing[row.connection_id][row.entity_key] = version
    return sum(
        [
            await lost.forget(connection, connection_id, missing[connection_id])
            for connection_id in sorted(missing)
        ]
    )
