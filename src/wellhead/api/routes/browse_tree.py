"""Choosing parts of a source from its tree: no source offers one yet."""

from typing import NoReturn
from uuid import UUID

from pydantic import BaseModel

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.domain.errors import BadRequestError
from wellhead.services import connections
from wellhead.services.parts import Parts

router = PrefixRouter(
    prefix="/source-connections/{source_connection_id}/browse-tree",
    tags=["source-connections"],
    include_in_schema=False,
)


class Selection(BaseModel):
    source_node_ids: list[str]


@router.get("")
async def browse(
    source_connection_id: UUID,
    parts: Services,
    tenant: Tenant,
    parent_node_id: str | None = None,  # noqa: ARG001  # there is no node
) -> None:
    await _refuse(parts, tenant, source_connection_id)


@router.get("/selections")
async def list_selections(
    source_connection_id: UUID, parts: Services, tenant: Tenant
) -> list[str]:
    """Nothing was ever selected: all of the source is synced."""
    await connections.get_connection(parts, tenant, source_connection_id)
    return []


@router.post("/select")
async def select(
    source_connection_id: UUID,
    body: Selection,  # noqa: ARG001  # there is no node
    parts: Services,
    tenant: Tenant,
) -> None:
    await _refuse(parts, tenant, source_connection_id)


async def _refuse(parts: Parts, tenant: UUID, connection_id: UUID) -> NoReturn:
    found = await connections.get_connection(parts, tenant, connection_id)
    raise BadRequestError(
        f"Source '{found.connection.short_name}' does not support browsing: "
        "all that its config names is synced"
    )
