"""Taking back what a cancelled job had inserted (sync protocol, section 9)."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.store import garbage, scopes


async def pending_of(
    connection: AsyncConnection, connection_id: UUID
) -> Sequence[UUID]:
    """Return this connection's cancelled jobs that still have entities to remove."""
    rows = await connection.execute(
        text(
            "SELECT id FROM sync_job"
            " WHERE connection_id = :c AND rollback = 'pending' ORDER BY sequence"
        ),
        {"c": connection_id},
    )
    return [row[0] for row in rows]


async def discard_page(connection: AsyncConnection, job_id: UUID, *, limit: int) -> int:
    """Turn up to `limit` of the job's entities into garbage; returns how many."""
    rows = (
        await connection.execute(
            text(
                "SELECT e.connection_id, e.entity_key, e.version, c.collection_id"
                " FROM sync_job j"
                " JOIN source_connection c ON c.id = j.connection_id"
                " JOIN entity e ON e.connection_id = j.connection_id"
                "   AND e.inserted_by = j.id"
                " WHERE j.id = :j AND j.rollback = 'pending'"
                " ORDER BY e.entity_key LIMIT :limit FOR UPDATE OF e"
            ),
            {"j": job_id, "limit": limit},
        )
    ).all()
    if not rows:
        return 0
    await connection.execute(
        text(
            "DELETE FROM entity WHERE connection_id = :c"
            " AND entity_key = ANY(CAST(:keys AS bytea[]))"
        ),
        {"c": rows[0].connection_id, "keys": [row.entity_key for row in rows]},
    )
    await garbage.discard(
        connection,
        rows[0].collection_id,
        rows[0].connection_id,
        [row.version for row in rows],
    )
    return len(rows)


async def finish(connection: AsyncConnection, job_id: UUID) -> None:
    """Nothing of the job is left: say so in its details and drop its change list."""
    await connection.execute(
        text(
            "UPDATE sync_job SET rollback = 'done', error_details = jsonb_set("
            " coalesce(error_details, '{}'), '{cleanup,state}', '\"done\"', false)"
            " WHERE id = :j AND rollback = 'pending'"
        ),
        {"j": job_id},
    )
    await forget_changes(connection, job_id)


async def forget_changes(connection: AsyncConnection, job_id: UUID) -> None:
    """The counts are final: what each entity was before is no longer needed."""
    await connection.execute(
        text("DELETE FROM job_change WHERE job_id = :j"), {"j": job_id}
    )
    await scopes.forget(connection, job_id)
