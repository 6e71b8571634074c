"""Searching a collection."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.sse import EventSourceResponse

from wellhead.api.agentic_stream import Errand, failure, finish, follow, new_errand
from wellhead.api.around.requests import request_id_of
from wellhead.api.deps import Services, Tenant
from wellhead.api.principals import ForWhom, TakesPrincipal
from wellhead.api.routing import SlashRouter
from wellhead.api.schemas.search import (
    AgenticSearchRequest,
    ClassicSearchRequest,
    InstantSearchRequest,
    SearchResult,
    SearchV2Response,
)
from wellhead.api.schemas.search_stream import (
    AgenticSearchEvent,
    AgenticSearchStartedEvent,
)
from wellhead.domain import search as search_results
from wellhead.domain.errors import NotConfiguredError
from wellhead.domain.search import InstantQuery, Strategy
from wellhead.search import classic
from wellhead.search.agentic import explore
from wellhead.search.events import Event
from wellhead.search.instant import search
from wellhead.search.means import Means
from wellhead.search.tiers import require_language_model
from wellhead.services.collections import find_collection_id
from wellhead.services.parts import Parts

FALLBACK_HEADER = "X-Search-Fallback"
NOT_CONFIGURED = "no language model is configured"
FALLS_BACK: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            FALLBACK_HEADER: {
                "description": "How it was searched instead, and why.",
                "schema": {"type": "string"},
            }
        }
    }
}

router = SlashRouter(
    prefix="/collections/{readable_id}/search",
    tags=["search"],
    dependencies=[TakesPrincipal],
)


async def _collection_id(readable_id: str, parts: Services, tenant: Tenant) -> UUID:
    return await find_collection_id(parts, tenant, readable_id)


CollectionId = Annotated[UUID, Depends(_collection_id)]
"""The collection of the path; 404 before anything else is done, also for streams."""
OneErrand = Annotated[Errand, Depends(new_errand)]


@router.post("/instant", responses=FALLS_BACK)
async def search_instantly(
    collection_id: CollectionId,
    body: InstantSearchRequest,
    parts: Services,
    principal: ForWhom,
    response: Response,
) -> SearchV2Response:
    """Search by meaning and by words at once, without a language model."""
    query = replace(body.meant(collection_id), principal=principal)
    return await _answer(parts, query, response)


@router.post("/classic", responses=FALLS_BACK)
async def search_classically(
    collection_id: CollectionId,
    body: ClassicSearchRequest,
    parts: Services,
    response: Response,
    principal: ForWhom,
) -> SearchV2Response:
    """Search as a language model plans it.

    Without one, or without a plan that makes sense, it is searched by meaning and by
    words, as the header `X-Search-Fallback` then says.
    """
    query = replace(body.meant(collection_id), principal=principal)
    try:
        means = means_of(parts)
    except NotConfiguredError:
        tell_fallback(response, Strategy.HYBRID)
        return await _answer(parts, query, response)
    found = await classic.search(means, query)
    if found.why_plain is not None:
        tell_fallback(response, Strategy.HYBRID, found.why_plain)
    return _response(found.results)


@router.post("/agentic")
async def search_agentically(
    collection_id: CollectionId,
    body: AgenticSearchRequest,
    parts: Services,
    request: Request,
    errand: OneErrand,
    principal: ForWhom,
) -> SearchV2Response:
    """Let a language model search until it has found enough; 503 without one."""
    asked = replace(body.meant(collection_id), principal=principal)
    work = explore(means_of(parts), asked, _tell_nobody)
    done = await finish(errand, request, work)
    return _response(done.results)


@router.post("/agentic/stream", response_class=EventSourceResponse)
async def stream_agentic_search(
    readable_id: str,
    collection_id: CollectionId,
    body: AgenticSearchRequest,
    parts: Services,
    request: Request,
    errand: OneErrand,
    principal: ForWhom,
) -> AsyncIterator[AgenticSearchEvent]:
    """Let a language model search and follow what it does, as server-sent events.

    The last event is `done` or `error`.
    """
    started = time.monotonic()
    request_id = request_id_of(request.scope)
    yield AgenticSearchStartedEvent.of(body, readable_id, request_id)
    try:
        means = means_of(parts)
    except NotConfiguredError as error:
        yield failure(error.message, started)
        return
    asked = replace(body.meant(collection_id), principal=principal)
    async for event in follow(errand, means, asked):
        yield event


def means_of(parts: Parts) -> Means:
    """Return what a search that thinks is made with; NotConfiguredError without it."""
    return Means(
        reads=parts.reads,
        index=parts.index,
        embedders=parts.embedders,
        model=require_language_model(parts.language_model),
        clock=parts.clock,
        reranker=parts.reranker,
        most_seconds=parts.limits.agentic_seconds,
    )


def tell_fallback(
    response: Response, strategy: Strategy, why: str = NOT_CONFIGURED
) -> None:
    """Say in a header how it was searched, and why not as it was asked for."""
    said = f"{strategy}; {why}".encode("ascii", "replace").decode()
    response.headers[FALLBACK_HEADER] = said


async def _tell_nobody(_event: Event) -> None:
    pass


async def _answer(
    parts: Parts, query: InstantQuery, response: Response
) -> SearchV2Response:
    found = await search(
        parts.reads,
        parts.index,
        parts.embedders,
        query,
        fell_back=partial(tell_fallback, response, Strategy.KEYWORD),
    )
    return _response(found)


def _response(found: list[search_results.SearchResult]) -> SearchV2Response:
    return SearchV2Response(results=[SearchResult.of(one) for one in found])
