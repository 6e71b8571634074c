"""After a power loss: what the index may have lost is synced again."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.services.parts import Parts

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
WINDOW = timedelta(minutes=10)

_log = structlog.get_logger(__name__)


async def after_power_loss(parts: Parts, *, boot_id: str | None = None) -> int:
    """Compare recently committed versions with the index, if the machine restarted.

    Entities whose chunks are missing lose their hashes, and their connection runs full
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
        lost = 0
        if known is not None and known != boot:
            lost = await _forget_lost(parts, connection)
        await connection.execute(
            text(
                "INSERT INTO setting (name, value) VALUES ('boot_id', :b)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            ),
            {"b": boot},
        )
    if lost:
        _log.warning("chunks lost with the power; syncing again", entities=lost)
    return lost


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
    lost = 0
    for collection_id in [row.collection_id for row in rows]:
        lost += await _forget_lost_of(parts, connection, collection_id)
    return lost


async def _forget_lost_of(
    parts: Parts, connection: AsyncConnection, collection_id: UUID
) -> int:
    recent = {
        row.version: row.chunk_count
        for row in await connection.execute(
            text(
                "SELECT e.version, e.chunk_count FROM entity e"
                " JOIN source_connection c ON c.id = e.connection_id"
                " WHERE c.collection_id = :id AND e.chunk_count > 0"
                " AND e.committed_at >= (SELECT max(l.committed_at) FROM entity l"
                "   WHERE l.connection_id = e.connection_id) - :window"
            ),
            {"id": collection_id, "window": WINDOW},
        )
    }
    stored = {
        version: count
        async for version, count in parts.index.versions(collection_id)
        if version in recent
    }
    missing = [v for v, count in recent.items() if stored.get(v) != count]
    if missing:
        await connection.execute(
            text(
                "WITH gone AS (UPDATE entity SET source_version = NULL,"
                " content_hash = '' WHERE version = ANY(CAST(:v AS bigint[]))"
                " RETURNING connection_id)"
                " UPDATE source_connection SET needs_full = true"
                " WHERE id IN (SELECT connection_id FROM gone)"
            ),
            {"v": missing},
        )
    return len(missing)
