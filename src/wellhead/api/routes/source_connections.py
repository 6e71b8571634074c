"""Source connections, and starting their runs."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from wellhead.api.deps import Limit, Reading, Services, Skip, Tenant, reached_by
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.jobs import MOST_DELETES, RunRequest, SourceConnectionJob
from wellhead.api.schemas.source_connections import (
    SourceConnection,
    SourceConnectionCreate,
    SourceConnectionListItem,
    SourceConnectionUpdate,
    SyncId,
    lines_json,
)
from wellhead.domain.errors import NotFoundError
from wellhead.services import connections, runs

router = PrefixRouter(prefix="/source-connections", tags=["source-connections"])


@router.post("")
async def create_connection(
    body: SourceConnectionCreate, parts: Services, tenant: Tenant, request: Request
) -> SourceConnection:
    """Connect a source to a collection, after trying whether it can be reached.

    Where its owner gives consent in a browser, `auth.auth_url` is where to go.
    """
    parts = reached_by(request, parts)
    return SourceConnection.of(
        await connections.create_connection(parts, tenant, body.meant())
    )


@router.get("", response_model=list[SourceConnectionListItem])
async def list_connections(
    reading: Reading,
    collection: str | None = None,
    skip: Skip = 0,
    limit: Limit = 100,
) -> Response:
    """List connections, newest first; of one collection by its readable id."""
    found = await connections.list_connections(
        *reading, skip=skip, limit=limit, readable_collection_id=collection
    )
    return Response(lines_json(found), media_type="application/json")


@router.get("/{source_connection_id}")
async def get_connection(
    source_connection_id: UUID, reading: Reading
) -> SourceConnection:
    """Return a connection with its schedule, its last job and what it holds."""
    return SourceConnection.of(
        await connections.get_connection(*reading, source_connection_id)
    )


@router.patch("/{source_connection_id}")
async def change_connection(
    source_connection_id: UUID,
    body: SourceConnectionUpdate,
    parts: Services,
    tenant: Tenant,
) -> SourceConnection:
    """Change what is given; a config replaces the whole one."""
    return SourceConnection.of(
        await connections.change_connection(
            parts, tenant, source_connection_id, body.meant()
        )
    )


@router.delete("/{source_connection_id}")
async def delete_connection(
    source_connection_id: UUID, parts: Services, tenant: Tenant
) -> SourceConnection:
    """Delete it; it is absent at once, its data soon after."""
    return SourceConnection.of(
        await connections.delete_connection(parts, tenant, source_connection_id)
    )


@router.post("/{source_connection_id}/run")
async def run_connection(
    source_connection_id: UUID,
    parts: Services,
    tenant: Tenant,
    body: RunRequest | None = None,
    force_full_sync: bool = False,
    confirm_deletes: Annotated[int | None, Query(ge=0, le=MOST_DELETES)] = None,
) -> SourceConnectionJob:
    """Start a sync now; `confirm_deletes` lets that many held deletes happen."""
    asked = body or RunRequest()
    confirmed = asked.confirm_deletes if confirm_deletes is None else confirm_deletes
    if confirmed is not None:
        await connections.check_confirmation(
            parts, tenant, source_connection_id, confirmed
        )
    job = await runs.start_run(
        parts,
        tenant,
        source_connection_id,
        force_full=force_full_sync or asked.force_full_sync,
        confirm_deletes=confirmed,
    )
    return SourceConnectionJob.of(job)


@router.get("/{source_connection_id}/sync-id", include_in_schema=False)
async def get_sync_id(
    source_connection_id: UUID, parts: Services, tenant: Tenant
) -> SyncId:
    found = await connections.get_connection(parts, tenant, source_connection_id)
    if not found.has_sync:
        raise NotFoundError("No sync found for this source connection")
    return SyncId(sync_id=found.connection.id)
