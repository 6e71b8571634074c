"""Searching a collection."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from wellhead.api.deps import Limit, Services, Skip, Tenant
from wellhead.api.routing import SlashRouter
from wellhead.api.schemas.search import (
    FormerSearchRequest,
    InstantSearchRequest,
    SearchResult,
    SearchV2Response,
)
from wellhead.search.instant import search
from wellhead.services.collections import find_collection_id
from wellhead.services.parts import Parts

router = SlashRouter(prefix="/collections/{readable_id}/search", tags=["collections"])


@router.post("/instant")
async def search_instantly(
    readable_id: str, body: InstantSearchRequest, parts: Services, tenant: Tenant
) -> SearchV2Response:
    """Search by meaning and by words at once, without a language model."""
    return await _answer(parts, tenant, readable_id, body)


@router.post("", include_in_schema=False)
async def search_as_before(
    readable_id: str, body: FormerSearchRequest, parts: Services, tenant: Tenant
) -> SearchV2Response:
    """Answer clients of the former search endpoint."""
    return await _answer(parts, tenant, readable_id, body)


@router.get("", include_in_schema=False)
async def search_by_address(
    readable_id: str,
    parts: Services,
    tenant: Tenant,
    query: Annotated[str, Query(pattern=r"\S")],
    limit: Limit = 100,
    offset: Skip = 0,
) -> SearchV2Response:
    """Answer clients of the former search endpoint that send no body."""
    asked = InstantSearchRequest(query=query, limit=limit, offset=offset)
    return await _answer(parts, tenant, readable_id, asked)


async def _answer(
    parts: Parts, tenant: UUID, readable_id: str, asked: InstantSearchRequest
) -> SearchV2Response:
    collection_id = await find_collection_id(parts, tenant, readable_id)
    found = await search(
        parts.db, parts.index, parts.embedder, asked.meant(collection_id)
    )
    return SearchV2Response(results=[SearchResult.of(one) for one in found])
