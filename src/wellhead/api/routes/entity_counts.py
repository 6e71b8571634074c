"""Entities by type: how many there are, and which types a source has."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from wellhead.api.deps import PublicServices, Services, Tenant
from wellhead.api.schemas.entity_counts import EntityCount, EntityDefinition
from wellhead.services import catalogue, connections

router = APIRouter()


@router.get("/entity-counts/syncs/{sync_id}/counts", tags=["source-connections"])
async def count_entities(
    sync_id: UUID, parts: Services, tenant: Tenant
) -> list[EntityCount]:
    """Count the entities of a connection by type."""
    found = await connections.get_connection(parts, tenant, sync_id)
    return [
        EntityCount(
            count=count,
            entity_definition_id=name,
            entity_definition_name=name,
            entity_definition_short_name=name,
            modified_at=modified_at,
        )
        for name, (count, modified_at) in found.entity_types.items()
    ]


@router.get("/entity-counts/syncs/{sync_id}/total-count", tags=["source-connections"])
async def count_all_entities(sync_id: UUID, parts: Services, tenant: Tenant) -> int:
    """Count the entities of a connection."""
    found = await connections.get_connection(parts, tenant, sync_id)
    return sum(count for count, _ in found.entity_types.values())


@router.get("/entities/definitions/by-source", tags=["sources"])
async def list_entity_types(
    parts: PublicServices,
    source_short_name: Annotated[
        str, Query(description="The source, as in the catalogue.", examples=["stub"])
    ],
) -> list[EntityDefinition]:
    """List the types of entities that a source yields; no key is asked for."""
    source = catalogue.get_source(parts, source_short_name)
    return [
        EntityDefinition(
            id=name, short_name=name, name=name, source_short_name=source.short_name
        )
        for name in source.entity_types
    ]
