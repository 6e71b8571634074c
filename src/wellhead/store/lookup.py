"""What the ledger knows of a page of listed entities: a question or two for all of it.

The first asks which keys are known in which version. It is one scan of an index and
answers with few, large values. What it does not settle is asked in detail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import args_row
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.errors import FailureClass
from wellhead.store.arrays import byteas
from wellhead.store.database import raw
from wellhead.store.ledger import Change, Known
from wellhead.store.quarantine import DEATH, OpenFailure

_VERSIONS = """
    SELECT e.keys, e.versions,
      ARRAY(SELECT entity_key FROM failure WHERE connection_id = %(connection_id)s
        AND entity_key = ANY(CAST(%(keys)s AS bytea[]))),
      ARRAY(SELECT entity_key FROM tombstone WHERE connection_id = %(connection_id)s
        AND entity_key = ANY(CAST(%(keys)s AS bytea[])))
    FROM (SELECT array_agg(entity_key) AS keys, array_agg(source_version) AS versions
      FROM entity WHERE connection_id = %(connection_id)s
        AND entity_key = ANY(CAST(%(keys)s AS bytea[])) AND source_version IS NOT NULL
    ) AS e
"""
# OFFSET 0 keeps the planner from reading whole tables, of which it may know nothing yet
_LOOK_UP = """
    SELECT t.k,
      e.version, e.source_version, e.content_hash, e.meta_hash, e.inserted_by,
      f.class, f.source_version, f.pipeline_fingerprint, f.is_due, f.job_id, f.is_death,
      c.before, c.after, b.entity_key IS NOT NULL
    FROM unnest(CAST(%(keys)s AS bytea[])) AS t(k)
    LEFT JOIN LATERAL (
      SELECT version, source_version, content_hash, meta_hash, inserted_by FROM entity
      WHERE connection_id = %(connection_id)s AND entity_key = t.k OFFSET 0
    ) AS e ON true
    LEFT JOIN LATERAL (
      SELECT class, source_version, pipeline_fingerprint, job_id,
        coalesce(next_retry_at <= now(), false) AS is_due,
        error = %(death)s AS is_death
      FROM failure
      WHERE connection_id = %(connection_id)s AND entity_key = t.k OFFSET 0
    ) AS f ON true
    LEFT JOIN LATERAL (
      SELECT entity_key FROM tombstone
      WHERE connection_id = %(connection_id)s AND entity_key = t.k OFFSET 0
    ) AS b ON true
    LEFT JOIN LATERAL (
      SELECT before, after FROM job_change
      WHERE e.version IS NULL AND job_id = %(job_id)s AND entity_key = t.k OFFSET 0
    ) AS c ON true
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an entity that is not simply unchanged."""

    known: Known | None
    failure: OpenFailure | None
    change: Change | None
    """What this job has done to it already."""
    is_erased: bool
    """Whatever the source says of it, it is not synced again."""


async def changed(
    connection: AsyncConnection,
    connection_id: UUID,
    job_id: UUID,
    versions: Mapping[bytes, str | None],
) -> dict[bytes, Facts]:
    """Look entities up by key, each with its version if the source gave one.

    Left out is who is unchanged: known in this version, not failed, not erased.
    """
    driver = await raw(connection)
    settled = await _unchanged(driver, connection_id, versions)
    keys = [key for key in versions if key not in settled] if settled else versions
    if not keys:
        return {}
    values = {
        "connection_id": connection_id,
        "job_id": job_id,
        "keys": byteas(keys),
        "death": DEATH,
    }
    async with driver.cursor(binary=True, row_factory=args_row(_facts)) as cursor:
        await cursor.execute(_LOOK_UP, values)
        return dict(await cursor.fetchall())


async def _unchanged(
    driver: RawConnection[Any],
    connection_id: UUID,
    versions: Mapping[bytes, str | None],
) -> set[bytes]:
    """Return the keys that are known in this version, not failed and not erased."""
    listed = sorted(key for key, version in versions.items() if version is not None)
    if not listed:
        return set()
    values = {"connection_id": connection_id, "keys": byteas(listed)}
    async with driver.cursor(binary=True) as cursor:
        await cursor.execute(_VERSIONS, values)
        (found,) = await cursor.fetchall()
    keys, known, failed, erased = found
    same = {
        key
        for key, version in zip(keys or (), known or (), strict=True)
        if versions[key] == version
    }
    return same.difference(failed, erased)


def _facts(key: bytes, *columns: Any) -> tuple[bytes, Facts]:
    known, failure, change = columns[:5], columns[5:11], columns[11:13]
    return key, Facts(
        known=None if known[0] is None else Known(*known),
        failure=None
        if failure[0] is None
        else OpenFailure(FailureClass(failure[0]), *failure[1:]),
        change=None if change[0] is None else Change(*change),
        is_erased=columns[13],
    )
