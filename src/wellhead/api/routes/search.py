"""Searching a collection."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.sse import EventSourceResponse

from wellhead.api.around.requests import request_id_of
from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import SlashRouter
from wellhead.api.schemas.search import (
    AgenticSearchRequest,
    ClassicSearchRequest,
    InstantSearchRequest,
    SearchResult,
    SearchV2Response,
)
from wellhead.api.schemas.search_stream import (
    AgenticSearchErrorEvent,
    AgenticSearchStartedEvent,
)
from wellhead.domain.errors import NotConfiguredError
from wellhead.domain.search import InstantQuery, Strategy
from wellhead.search.instant import search
from wellhead.search.tiers import require_language_model
from wellhead.services.collections import find_collection_id
from wellhead.services.parts import Parts

FALLBACK_HEADER = "X-Search-Fallback"
FALLS_BACK: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            FALLBACK_HEADER: {
                "description": "How it was searched without a language model, and why.",
                "schema": {"type": "string"},
            }
        }
    }
}

router = SlashRouter(prefix="/collections/{readable_id}/search", tags=["search"])


async def _collection_id(readable_id: str, parts: Services, tenant: Tenant) -> UUID:
    return await find_collection_id(parts, tenant, readable_id)


CollectionId = Annotated[UUID, Depends(_collection_id)]
"""The collection of the path; 404 before anything else is done, also for streams."""


@router.post("/instant")
async def search_instantly(
    collection_id: CollectionId, body: InstantSearchRequest, parts: Services
) -> SearchV2Response:
    """Search by meaning and by words at once, without a language model."""
    return await _answer(parts, body.meant(collection_id))


@router.post("/classic", responses=FALLS_BACK)
async def search_classically(
    collection_id: CollectionId,
    body: ClassicSearchRequest,
    parts: Services,
    response: Response,
) -> SearchV2Response:
    """Search as a language model plans it.

    Without one it is searched by meaning and by words, as the header
    `X-Search-Fallback` then says.
    """
    try:
        require_language_model()
    except NotConfiguredError:
        tell_fallback(response, Strategy.HYBRID)
    return await _answer(parts, body.meant(collection_id))


@router.post("/agentic")
async def search_agentically(
    collection_id: CollectionId,  # noqa: ARG001  # it must be there
    body: AgenticSearchRequest,  # noqa: ARG001  # it must make sense
) -> SearchV2Response:
    """Let a language model search until it has found enough; 503 without one."""
    require_language_model()


@router.post("/agentic/stream", response_class=EventSourceResponse)
async def stream_agentic_search(
    readable_id: str,
    collection_id: CollectionId,  # noqa: ARG001  # it must be there
    body: AgenticSearchRequest,
    request: Request,
) -> AsyncIterator[AgenticSearchStartedEvent | AgenticSearchErrorEvent]:
    """Let a language model search and follow what it does, as server-sent events.

    The last event is `done` or `error`.
    """
    request_id = request_id_of(request.scope)
    yield AgenticSearchStartedEvent.of(body, readable_id, request_id)
    try:
        require_language_model()
    except NotConfiguredError as error:
        yield AgenticSearchErrorEvent(message=error.message)


def tell_fallback(response: Response, strategy: Strategy) -> None:
    """Say in a header how it was searched, and why not with a language model."""
    response.headers[FALLBACK_HEADER] = f"{strategy}; no language model is configured"


async def _answer(parts: Parts, query: InstantQuery) -> SearchV2Response:
    found = await search(parts.db, parts.index, parts.embedder, query)
    return SearchV2Response(results=[SearchResult.of(one) for one in found])
