"""Erased entities: found, removed with every trace, and remembered by their key."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store import garbage
from wellhead.store.arrays import byteas

ERASED = "(erased)"
_MARK = 80
"""So many characters of a reason tell it from others; errors may cut it off later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasable:
    """An entity that the ledger knows, or that has only ever failed."""

    connection_id: UUID
    entity_key: bytes
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is left of an erased entity."""

    connection_id: UUID
    entity_key: bytes
    type: str
    erased_at: datetime


async def find_erasable(
    connection: AsyncConnection, connection_ids: Collection[UUID], source_id: str
) -> list[Erasable]:
    """Find entities by the id that their source gave them."""
    rows = await connection.execute(
        text(
            "SELECT connection_id, entity_key, type FROM entity"
            " WHERE connection_id = ANY(CAST(:ids AS uuid[])) AND source_id = :s"
            " UNION SELECT connection_id, entity_key, type FROM failure"
            " WHERE connection_id = ANY(CAST(:ids AS uuid[])) AND source_id = :s"
            " ORDER BY 1, 2"
        ),
        {"ids": list(connection_ids), "s": source_id},
    )
    return [Erasable(connection_id=r[0], entity_key=r[1], type=r[2]) for r in rows]


async def among(
    connection: AsyncConnection, connection_id: UUID, keys: Collection[bytes]
) -> set[bytes]:
    """Return those keys that must not be synced again."""
    rows = await connection.execute(
        text(
            "SELECT entity_key FROM tombstone WHERE connection_id = :c"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"c": connection_id, "keys": byteas(keys)},
    )
    return {row.entity_key for row in rows}


async def bury(connection: AsyncConnection, one: Erasable, at: datetime) -> None:
    """Remember that it must not be synced again; burying twice is fine."""
    await connection.execute(
        text(
            "INSERT INTO tombstone (connection_id, entity_key, type, erased_at)"
            " VALUES (:c, :k, :t, :at) ON CONFLICT DO NOTHING"
        ),
        {"c": one.connection_id, "k": one.entity_key, "t": one.type, "at": at},
    )


async def remove(
    connection: AsyncConnection, collection_id: UUID, one: Erasable
) -> bool:
    """Remove an entity and what names it; tells whether there was anything stored.

    The caller holds the connection and its open job. Whatever is on its way out of the
    index then may be of this entity, and has to leave the disk with it.
    """
    whose = {"c": one.connection_id, "k": one.entity_key}
    version = await connection.scalar(
        text(
            "DELETE FROM entity WHERE connection_id = :c AND entity_key = :k"
            " RETURNING version"
        ),
        whose,
    )
    if version is not None:
        await garbage.discard(connection, collection_id, one.connection_id, [version])
    await connection.execute(
        text(
            "INSERT INTO expunge (version, collection_id) SELECT version, :collection"
            " FROM (SELECT version FROM garbage WHERE connection_id = :c"
            "       UNION SELECT version FROM intent WHERE connection_id = :c"
            # what was deleted or updated before has left the index, not yet its files
            "       UNION SELECT nextval('version_seq') WHERE :is_gone) AS going"
            " ON CONFLICT DO NOTHING"
        ),
        whose | {"collection": collection_id, "is_gone": version is None},
    )
    await _unname(connection, one)
    return version is not None


_REASONS = """
    SELECT left(error, :mark) AS said, source_id FROM failure
    WHERE connection_id = :c AND entity_key = :k
    UNION SELECT left(f.reason, :mark), f.source_id FROM job_failure f
    JOIN sync_job j ON j.id = f.job_id
    WHERE j.connection_id = :c AND f.entity_key = :k
"""


async def _unname(connection: AsyncConnection, one: Erasable) -> None:
    """Take its name, its id and what was said of it out of failures and jobs."""
    whose = {"c": one.connection_id, "k": one.entity_key, "erased": ERASED}
    rows = await connection.execute(text(_REASONS), whose | {"mark": _MARK})
    for said, source_id in rows.all():
        spoken = whose | {"said": said, "id": source_id}
        for statement in _UNNAME:
            await connection.execute(text(statement), spoken)
    await connection.execute(
        text("DELETE FROM failure WHERE connection_id = :c AND entity_key = :k"), whose
    )
    await connection.execute(
        text(
            "UPDATE job_failure f SET source_id = NULL, reason = :erased"
            " FROM sync_job j WHERE j.id = f.job_id AND j.connection_id = :c"
            " AND f.entity_key = :k"
        ),
        whose,
    )


_UNNAME = (
    "UPDATE sync_job SET error = split_part(error, :said, 1) || :erased"
    " WHERE connection_id = :c AND :said <> '' AND strpos(error, :said) > 0",
    "UPDATE event SET payload = jsonb_set(payload, '{error}', to_jsonb("
    " split_part(payload ->> 'error', :said, 1) || :erased))"
    " WHERE payload ->> 'source_connection_id' = CAST(CAST(:c AS uuid) AS text)"
    " AND :said <> '' AND strpos(payload ->> 'error', :said) > 0",
    "UPDATE sync_job SET error_details = jsonb_set(error_details, '{failures}',"
    " coalesce((SELECT jsonb_agg(one) FROM"
    "   jsonb_array_elements(error_details -> 'failures') AS one"
    "   WHERE one ->> 'source_id' IS DISTINCT FROM :id), '[]'))"
    " WHERE connection_id = :c AND error_details ? 'failures'",
)


async def page(
    connection: AsyncConnection, collection_id: UUID, *, skip: int, limit: int
) -> list[Tombstone]:
    """List a collection's tombstones, oldest first."""
    rows = await connection.execute(
        text(
            "SELECT t.connection_id, t.entity_key, t.type, t.erased_at FROM tombstone t"
            " JOIN source_connection c ON c.id = t.connection_id"
            " WHERE c.collection_id = :id AND NOT c.is_deleting"
            " ORDER BY t.erased_at, t.connection_id, t.entity_key"
            " LIMIT :limit OFFSET :skip"
        ),
        {"id": collection_id, "limit": limit, "skip": skip},
    )
    return [
        Tombstone(connection_id=r[0], entity_key=r[1], type=r[2], erased_at=r[3])
        for r in rows
    ]


async def types_of(
    connection: AsyncConnection, connection_ids: Collection[UUID]
) -> list[tuple[UUID, str]]:
    """Return of which types something was erased, by connection."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT connection_id, type FROM tombstone"
            " WHERE connection_id = ANY(CAST(:ids AS uuid[])) ORDER BY 1, 2"
        ),
        {"ids": list(connection_ids)},
    )
    return [(row[0], row[1]) for row in rows]


async def dig_up(connection: AsyncConnection, one: Erasable) -> bool:
    """Let it be synced again; tells whether it was buried."""
    result = await connection.execute(
        text("DELETE FROM tombstone WHERE connection_id = :c AND entity_key = :k"),
        {"c": one.connection_id, "k": one.entity_key},
    )
    return bool(result.rowcount)


async def to_expunge(connection: AsyncConnection) -> list[tuple[UUID, list[int]]]:
    """Return versions that have left the index, but not its files yet.

    Nothing of a table that was rewritten a minute ago: many erasures share one rewrite.
    """
    rows = await connection.execute(
        text(
            "SELECT x.collection_id, array_agg(x.version) FROM expunge x"
            " WHERE x.clean_state IS NULL"
            " AND NOT EXISTS (SELECT FROM garbage g WHERE g.version = x.version)"
            " AND NOT EXISTS (SELECT FROM intent i WHERE i.version = x.version)"
            " AND NOT EXISTS (SELECT FROM expunge r"
            "   WHERE r.collection_id = x.collection_id"
            "   AND r.rewritten_at > now() - interval '1 minute')"
            " GROUP BY 1 ORDER BY 1"
        )
    )
    return [(row[0], list(row[1])) for row in rows]


async def expunged(
    connection: AsyncConnection, versions: Sequence[int], clean_state: int
) -> None:
    """The newest state of the table holds nothing of these any more."""
    await connection.execute(
        text(
            "UPDATE expunge SET clean_state = :state, rewritten_at = now()"
            " WHERE version = ANY(CAST(:versions AS bigint[]))"
        ),
        {"versions": list(versions), "state": clean_state},
    )


async def to_forget(connection: AsyncConnection) -> list[tuple[UUID, int]]:
    """Return the newest clean state of each table whose older ones must go."""
    rows = await connection.execute(
        text(
            "SELECT collection_id, max(clean_state) FROM expunge"
            " WHERE clean_state IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
    )
    return [(row[0], int(row[1])) for row in rows]


async def forgotten(
    connection: AsyncConnection, collection_id: UUID, clean_state: int
) -> int:
    """No file holds them any more; returns how many versions."""
    result = await connection.execute(
        text("DELETE FROM expunge WHERE collection_id = :id AND clean_state <= :state"),
        {"id": collection_id, "state": clean_state},
    )
    return int(result.rowcount)
