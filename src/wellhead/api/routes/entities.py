"""Reading and erasing single entities of a collection.

Ids go in the query: they may hold slashes, dots and whatever else a source uses.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from wellhead.api.deps import Limit, Services, Skip, Tenant
from wellhead.api.principals import ForWhom
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.entities import (
    EntityKey,
    EntityPassages,
    ErasedEntity,
    Erasure,
)
from wellhead.domain.entities import EntityName
from wellhead.domain.errors import InvalidInputError
from wellhead.services import entities, erasure
from wellhead.services.erasure import Which
from wellhead.store.tombstones import Erasable

router = PrefixRouter(
    prefix="/collections/{readable_id}/entities", tags=["collections"]
)

KEY = r"^[0-9a-f]{32}$"
MOST_CHUNKS = 200
LARGEST_CHUNK = 2**31 - 1
MOST_CHARACTERS = 200_000


@router.get("")
async def read_entity(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    entity_id: Annotated[str, Query(min_length=1)],
    entity_type: str,
    source_connection_id: UUID,
    principal: ForWhom,
    from_chunk: Annotated[
        int, Query(ge=0, le=LARGEST_CHUNK, description="The first passage to read.")
    ] = 0,
    chunks: Annotated[
        int, Query(ge=1, le=MOST_CHUNKS, description="How many passages to read.")
    ] = 20,
) -> EntityPassages:
    """Read an entity, or the passages around one that a search found.

    It is named as searches name it: by `original_entity_id`, `entity_type` and
    `sync_id`. So many passages are returned at most, fewer where they are long.
    """
    found = await entities.read_entity(
        parts,
        tenant,
        EntityName(
            readable_id=readable_id,
            connection_id=source_connection_id,
            entity_type=entity_type,
            entity_id=entity_id,
        ),
        chunks=range(from_chunk, from_chunk + chunks),
        most_characters=MOST_CHARACTERS,
        principal=principal,
    )
    return EntityPassages.of(found)


@router.delete("")
async def erase_entity(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    entity_id: Annotated[str | None, Query(min_length=1)] = None,
    source_connection_id: UUID | None = None,
    entity_type: str | None = None,
    entity_key: Annotated[str | None, Query(pattern=KEY)] = None,
    allow_return: bool = False,
) -> Erasure:
    """Erase an entity for good; `entity_id` is the `original_entity_id` of searches.

    It is not synced again, unless `allow_return`. Of several entities with one id name
    the connection or the type as well. With `entity_key`, `entity_type` and
    `source_connection_id` instead, an erasure is repeated after a restore.
    """
    if entity_id is not None and entity_key is None:
        which = Which(
            entity_id=entity_id,
            connection_id=source_connection_id,
            entity_type=entity_type,
        )
        done = await erasure.erase_entity(
            parts, tenant, readable_id, which, may_return=allow_return
        )
        return Erasure.done(done)
    if entity_key is None or source_connection_id is None or entity_type is None:
        raise InvalidInputError(
            "Give entity_id, or entity_key with entity_type and source_connection_id",
            field="query.entity_id",
        )
    one = Erasable(
        connection_id=source_connection_id,
        entity_key=bytes.fromhex(entity_key),
        type=entity_type,
    )
    return Erasure.done(await erasure.erase_again(parts, tenant, readable_id, one))


@router.get("/erased")
async def list_erased(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    skip: Skip = 0,
    limit: Limit = 100,
) -> list[ErasedEntity]:
    """List what was erased and is not synced again, oldest first."""
    found = await erasure.list_erased(
        parts, tenant, readable_id, skip=skip, limit=limit
    )
    return [ErasedEntity.listed(one) for one in found]


@router.delete("/erased")
async def allow_entity(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    entity_id: Annotated[str, Query(min_length=1)],
    source_connection_id: UUID | None = None,
    entity_type: str | None = None,
) -> EntityKey:
    """Let an erased entity be synced again; the connection's next job is a full one."""
    which = Which(
        entity_id=entity_id,
        connection_id=source_connection_id,
        entity_type=entity_type,
    )
    return EntityKey.of(await erasure.allow_entity(parts, tenant, readable_id, which))
