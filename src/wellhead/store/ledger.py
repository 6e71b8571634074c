"""What has been written: entities, intents and changes (sync protocol, section 4)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store.arrays import bigints, booleans, byteas, integers, texts, uuids


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of an entity before it is compared."""

    version: int
    source_version: str | None
    content_hash: bytes
    meta_hash: bytes
    inserted_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRow:
    """A new or changed entity, as T2 writes it; `meta` is JSON text."""

    entity_key: bytes
    scope: str
    type: str
    source_id: str
    source_version: str | None
    content_hash: bytes
    meta_hash: bytes
    pipeline_fingerprint: str
    version: int
    chunk_count: int
    inserted_by: UUID | None
    meta: str


@dataclass(frozen=True, slots=True)
class Change:
    """Whether an entity existed before a job, and whether it does now."""

    before: bool
    after: bool


async def draw_versions(connection: AsyncConnection, count: int) -> list[int]:
    """Draw versions that were never used before, ascending."""
    rows = await connection.execute(
        text("SELECT nextval('version_seq') FROM generate_series(1, :count)"),
        {"count": count},
    )
    return [int(row[0]) for row in rows]


async def write_intents(
    connection: AsyncConnection,
    connection_id: UUID,
    fence: int,
    chunk_counts: Mapping[int, int],
) -> None:
    """Say durably which versions are about to be appended."""
    await connection.execute(
        text(
            "INSERT INTO intent (connection_id, version, chunk_count, fence)"
            " SELECT :connection_id, v, c, :fence FROM"
            " unnest(CAST(:versions AS bigint[]), CAST(:counts AS int[])) AS t(v, c)"
        ),
        {
            "connection_id": connection_id,
            "fence": fence,
            "versions": bigints(chunk_counts),
            "counts": integers(chunk_counts.values()),
        },
    )


async def lock_entities(
    connection: AsyncConnection, connection_id: UUID, keys: Collection[bytes]
) -> dict[bytes, tuple[int, UUID | None]]:
    """Lock existing entities in key order; returns (version, inserted_by) of each."""
    rows = await connection.execute(
        text(
            "SELECT entity_key, version, inserted_by FROM entity"
            " WHERE connection_id = :connection_id"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
            " ORDER BY entity_key FOR UPDATE"
        ),
        {"connection_id": connection_id, "keys": byteas(keys)},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def changes_of(
    connection: AsyncConnection, job_id: UUID, keys: Collection[bytes]
) -> dict[bytes, Change]:
    """Return what this job has already done to these entities."""
    rows = await connection.execute(
        text(
            "SELECT entity_key, before, after FROM job_change"
            " WHERE job_id = :job_id AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"job_id": job_id, "keys": byteas(keys)},
    )
    return {row[0]: Change(row[1], row[2]) for row in rows}


async def write_changes(
    connection: AsyncConnection, job_id: UUID, changes: Mapping[bytes, Change]
) -> None:
    """Keep the first `before` and the last `after` of each entity."""
    await connection.execute(
        text(
            "INSERT INTO job_change (job_id, entity_key, before, after)"
            " SELECT :job_id, k, b, a FROM unnest(CAST(:keys AS bytea[]),"
            " CAST(:before AS boolean[]), CAST(:after AS boolean[])) AS t(k, b, a)"
            " ON CONFLICT (job_id, entity_key) DO UPDATE SET after = excluded.after"
        ),
        {
            "job_id": job_id,
            "keys": byteas(changes),
            "before": booleans(change.before for change in changes.values()),
            "after": booleans(change.after for change in changes.values()),
        },
    )


_WRITE_ENTITIES = text(
    """
    INSERT INTO entity (connection_id, entity_key, scope, type, source_id,
      source_version, content_hash, meta_hash, pipeline_fingerprint, version,
      chunk_count, inserted_by, updated_by, seen_generation, committed_at, meta)
    SELECT :connection_id, k, s, ty, si, sv, ch, mh, pf, v, cc, ib, :job_id,
      :generation, :now, CAST(m AS jsonb)
    FROM unnest(CAST(:keys AS bytea[]), CAST(:scopes AS text[]),
      CAST(:types AS text[]), CAST(:source_ids AS text[]),
      CAST(:source_versions AS text[]), CAST(:content_hashes AS bytea[]),
      CAST(:meta_hashes AS bytea[]), CAST(:fingerprints AS text[]),
      CAST(:versions AS bigint[]), CAST(:chunk_counts AS int[]),
      CAST(:inserted_by AS uuid[]), CAST(:metas AS text[]))
      AS t(k, s, ty, si, sv, ch, mh, pf, v, cc, ib, m)
    ON CONFLICT (connection_id, entity_key) DO UPDATE SET
      scope = excluded.scope, source_version = excluded.source_version,
      content_hash = excluded.content_hash, meta_hash = excluded.meta_hash,
      pipeline_fingerprint = excluded.pipeline_fingerprint,
      version = excluded.version, chunk_count = excluded.chunk_count,
      updated_by = excluded.updated_by, seen_generation = excluded.seen_generation,
      committed_at = excluded.committed_at, is_stale = false, meta = excluded.meta
    """
)


async def write_entities(
    connection: AsyncConnection,
    *,
    connection_id: UUID,
    job_id: UUID,
    generation: int,
    now: datetime,
    rows: Sequence[EntityRow],
) -> None:
    """Insert new entities and move existing ones to their new version."""
    await connection.execute(
        _WRITE_ENTITIES,
        {
            "connection_id": connection_id,
            "job_id": job_id,
            "generation": generation,
            "now": now,
            "keys": byteas(row.entity_key for row in rows),
            "scopes": texts(row.scope for row in rows),
            "types": texts(row.type for row in rows),
            "source_ids": texts(row.source_id for row in rows),
            "source_versions": texts(row.source_version for row in rows),
            "content_hashes": byteas(row.content_hash for row in rows),
            "meta_hashes": byteas(row.meta_hash for row in rows),
            "fingerprints": texts(row.pipeline_fingerprint for row in rows),
            "versions": bigints(row.version for row in rows),
            "chunk_counts": integers(row.chunk_count for row in rows),
            "inserted_by": uuids(row.inserted_by for row in rows),
            "metas": texts(row.meta for row in rows),
        },
    )


async def remove_entities(
    connection: AsyncConnection, connection_id: UUID, keys: Collection[bytes]
) -> None:
    """Delete entity rows; their versions are the caller's to throw away."""
    await connection.execute(
        text(
            "DELETE FROM entity WHERE connection_id = :connection_id"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"connection_id": connection_id, "keys": byteas(keys)},
    )


async def remove_intents(
    connection: AsyncConnection, connection_id: UUID, versions: Iterable[int]
) -> None:
    """The versions are committed: nothing is left to recover."""
    await connection.execute(
        text(
            "DELETE FROM intent WHERE connection_id = :connection_id"
            " AND version = ANY(CAST(:versions AS bigint[]))"
        ),
        {"connection_id": connection_id, "versions": bigints(versions)},
    )


async def mark_seen(
    connection: AsyncConnection,
    connection_id: UUID,
    generation: int,
    scope: str,
    keys: Collection[bytes],
) -> int:
    """Mark entities as listed in this generation; returns how many were not yet."""
    result = await connection.execute(
        text(
            "UPDATE entity SET seen_generation = :generation, scope = :scope"
            " WHERE connection_id = :connection_id"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
            " AND seen_generation < :generation"
        ),
        {
            "connection_id": connection_id,
            "generation": generation,
            "scope": scope,
            "keys": byteas(keys),
        },
    )
    return int(result.rowcount)


async def move_versions(
    connection: AsyncConnection,
    connection_id: UUID,
    versions: Mapping[bytes, str],
) -> None:
    """Replace source versions: the content was compared and is the same."""
    await connection.execute(
        text(
            "UPDATE entity SET source_version = t.v"
            " FROM unnest(CAST(:keys AS bytea[]), CAST(:versions AS text[])) AS t(k, v)"
            " WHERE connection_id = :connection_id AND entity_key = t.k"
            # so the index is used, whatever the planner knows of the table
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
            # a forgotten entity must not look known before it is written anew
            " AND content_hash <> ''"
        ),
        {
            "connection_id": connection_id,
            "keys": byteas(versions),
            "versions": texts(versions.values()),
        },
    )


async def mark_stale(
    connection: AsyncConnection, connection_id: UUID, keys: Collection[bytes]
) -> None:
    """These keep an old version because the new one failed."""
    await connection.execute(
        text(
            "UPDATE entity SET is_stale = true WHERE connection_id = :connection_id"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"connection_id": connection_id, "keys": byteas(keys)},
    )


async def cleanup_counts(
    connection: AsyncConnection, connection_id: UUID, job_id: UUID
) -> dict[str, Any]:
    """Count what a rollback of this job has to remove."""
    row = (
        await connection.execute(
            text(
                "SELECT count(*) AS entities, coalesce(sum(chunk_count), 0) AS chunks"
                " FROM entity WHERE connection_id = :c AND inserted_by = :j"
            ),
            {"c": connection_id, "j": job_id},
        )
    ).one()
    return {"entities": int(row.entities), "chunks": int(row.chunks)}
