"""Collections."""

from fastapi import Response

from wellhead.api.deps import Limit, Reading, Services, Skip, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.collections import (
    Collection,
    CollectionCreate,
    CollectionUpdate,
)
from wellhead.api.schemas.collections import lines_json as collections_json
from wellhead.api.schemas.jobs import SourceConnectionJob
from wellhead.api.schemas.source_connections import SourceConnectionListItem
from wellhead.api.schemas.source_connections import lines_json as connections_json
from wellhead.services import collections, connections, runs

router = PrefixRouter(prefix="/collections", tags=["collections"])


@router.get("", response_model=list[Collection])
async def list_collections(
    reading: Reading,
    skip: Skip = 0,
    limit: Limit = 100,
    search: str | None = None,
) -> Response:
    """List collections, newest first."""
    found = await collections.list_collections(
        *reading, skip=skip, limit=limit, search=search
    )
    return Response(collections_json(found), media_type="application/json")


@router.get("/count", include_in_schema=False)
async def count_collections(
    parts: Services, tenant: Tenant, search: str | None = None
) -> int:
    return await collections.count_collections(parts, tenant, search=search)


@router.post("")
async def create_collection(
    body: CollectionCreate, parts: Services, tenant: Tenant
) -> Collection:
    """Make an empty collection; sources are connected to it next."""
    config = body.sync_config
    created = await collections.create_collection(
        parts,
        tenant,
        name=body.name,
        readable_id=body.readable_id,
        sync_config=None if config is None else config.model_dump(mode="json"),
    )
    return Collection.of(created)


@router.get("/{readable_id}")
async def get_collection(
    readable_id: str, parts: Services, tenant: Tenant
) -> Collection:
    """Return one collection."""
    return Collection.of(await collections.get_collection(parts, tenant, readable_id))


@router.patch("/{readable_id}")
async def change_collection(
    readable_id: str, body: CollectionUpdate, parts: Services, tenant: Tenant
) -> Collection:
    """Change the name or the sync config; the readable id stays."""
    changed = await collections.change_collection(
        parts, tenant, readable_id, body.values()
    )
    return Collection.of(changed)


@router.delete("/{readable_id}")
async def delete_collection(
    readable_id: str, parts: Services, tenant: Tenant
) -> Collection:
    """Delete it with its connections; it is absent at once, its data soon after."""
    return Collection.of(
        await collections.delete_collection(parts, tenant, readable_id)
    )


@router.post("/{readable_id}/refresh_all", include_in_schema=False)
async def start_runs(
    readable_id: str, parts: Services, tenant: Tenant
) -> list[SourceConnectionJob]:
    """Sync every connection now; the TypeScript client of npm asks for it."""
    started = await runs.start_runs(parts, tenant, readable_id)
    return [SourceConnectionJob.of(job) for job in started]


@router.get(
    "/{readable_id}/source-connections",
    response_model=list[SourceConnectionListItem],
    include_in_schema=False,
)
async def list_connections(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    skip: Skip = 0,
    limit: Limit = 100,
) -> Response:
    """The same as `GET /source-connections?collection=`, which some clients expect."""
    found = await connections.list_connections(
        parts, tenant, skip=skip, limit=limit, readable_collection_id=readable_id
    )
    return Response(connections_json(found), media_type="application/json")
