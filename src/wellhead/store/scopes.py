"""Which parts of a source were listed whole, and what may be swept for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STARTED, COMPLETE, INCOMPLETE = "STARTED", "COMPLETE", "INCOMPLETE"


@dataclass(frozen=True, slots=True)
class ScopeRun:
    """How far the listing of one scope came in one job."""

    scope: str
    state: str
    confirmed_empty: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ScopeCount:
    """A scope with rows that a full listing did not show."""

    scope: str
    live: int
    missing: int


async def write(
    connection: AsyncConnection, job_id: UUID, runs: Sequence[ScopeRun]
) -> None:
    """Record scope states; a scope once incomplete stays so unless started again."""
    await connection.execute(
        text(
            "INSERT INTO scope_run AS r"
            " (job_id, scope, state, confirmed_empty, reason)"
            " SELECT :job_id, s, st, ce, re FROM unnest(CAST(:scopes AS text[]),"
            " CAST(:states AS text[]), CAST(:empty AS boolean[]),"
            " CAST(:reasons AS text[])) AS t(s, st, ce, re)"
            " ON CONFLICT (job_id, scope) DO UPDATE SET state = excluded.state,"
            " confirmed_empty = excluded.confirmed_empty,"
            " reason = coalesce(excluded.reason, r.reason)"
        ),
        {
            "job_id": job_id,
            "scopes": [run.scope for run in runs],
            "states": [run.state for run in runs],
            "empty": [run.confirmed_empty for run in runs],
            "reasons": [run.reason for run in runs],
        },
    )


async def read(connection: AsyncConnection, job_id: UUID) -> dict[str, ScopeRun]:
    """Return every scope the job met."""
    rows = await connection.execute(
        text(
            "SELECT scope, state, confirmed_empty, reason FROM scope_run"
            " WHERE job_id = :job_id"
        ),
        {"job_id": job_id},
    )
    return {row[0]: ScopeRun(row[0], row[1], row[2], row[3]) for row in rows}


async def has_gaps(connection: AsyncConnection, job_id: UUID) -> bool:
    """Tell whether a part of what the job read could not be listed."""
    return any(
        one.state != COMPLETE and one.reason is not None
        for one in (await read(connection, job_id)).values()
    )


async def missing(
    connection: AsyncConnection, connection_id: UUID, generation: int
) -> list[ScopeCount]:
    """Count, by scope, live entities and those not seen in this generation."""
    rows = await connection.execute(
        text(
            "SELECT scope, count(*),"
            " count(*) FILTER (WHERE seen_generation < :generation)"
            " FROM entity WHERE connection_id = :connection_id GROUP BY scope"
            " HAVING count(*) FILTER (WHERE seen_generation < :generation) > 0"
            " ORDER BY scope"
        ),
        {"connection_id": connection_id, "generation": generation},
    )
    return [ScopeCount(row[0], int(row[1]), int(row[2])) for row in rows]


async def count_missing_since(
    connection: AsyncConnection, connection_id: UUID, scope: str, generation: int
) -> int:
    """Count entities of a scope that were not seen in this generation or later."""
    return int(
        (
            await connection.execute(
                text(
                    "SELECT count(*) FROM entity WHERE connection_id = :c"
                    " AND scope = :s AND seen_generation < :g"
                ),
                {"c": connection_id, "s": scope, "g": generation},
            )
        ).scalar_one()
    )


async def missing_page(
    connection: AsyncConnection,
    connection_id: UUID,
    scope: str,
    generation: int,
    *,
    after: bytes,
    limit: int,
) -> list[bytes]:
    """Return keys to sweep, in key order after the last page's last key."""
    rows = await connection.execute(
        text(
            "SELECT entity_key FROM entity WHERE connection_id = :c AND scope = :s"
            " AND seen_generation < :g AND entity_key > :after"
            " ORDER BY entity_key LIMIT :limit"
        ),
        {
            "c": connection_id,
            "s": scope,
            "g": generation,
            "after": after,
            "limit": limit,
        },
    )
    return [row[0] for row in rows]


async def hold(
    connection: AsyncConnection,
    connection_id: UUID,
    scope: str,
    generation: int,
    held: int,
) -> None:
    """Remember deletes that wait for a second listing or a person's word."""
    await connection.execute(
        text(
            "INSERT INTO scope_hold (connection_id, scope, generation, held)"
            " VALUES (:c, :s, :g, :held)"
            " ON CONFLICT (connection_id, scope) DO UPDATE SET"
            " generation = excluded.generation, held = excluded.held"
        ),
        {"c": connection_id, "s": scope, "g": generation, "held": held},
    )


async def held(connection: AsyncConnection, connection_id: UUID) -> dict[str, int]:
    """Return the generation at which each scope's deletes were held."""
    rows = await connection.execute(
        text("SELECT scope, generation FROM scope_hold WHERE connection_id = :c"),
        {"c": connection_id},
    )
    return {row[0]: int(row[1]) for row in rows}


async def held_counts(
    connection: AsyncConnection, connection_id: UUID, generation: int
) -> dict[str, int]:
    """Return how many deletes of each scope were held in this generation."""
    rows = await connection.execute(
        text(
            "SELECT scope, held FROM scope_hold"
            " WHERE connection_id = :c AND generation = :g ORDER BY scope"
        ),
        {"c": connection_id, "g": generation},
    )
    return {row[0]: int(row[1]) for row in rows}


async def unhold(connection: AsyncConnection, connection_id: UUID, scope: str) -> None:
    await connection.execute(
        text("DELETE FROM scope_hold WHERE connection_id = :c AND scope = :s"),
        {"c": connection_id, "s": scope},
    )


async def forget(connection: AsyncConnection, job_id: UUID) -> None:
    """Drop what is known of a job's scopes."""
    await connection.execute(
        text("DELETE FROM scope_run WHERE job_id = :j"), {"j": job_id}
    )
