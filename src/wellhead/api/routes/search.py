"""Searching a collection."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.sse import EventSourceResponse

from wellhead.api.agentic_stream import (
    Errand,
    attended,
    failure,
    finish,
    follow,
    new_errand,
)
from wellhead.api.around.requests import request_id_of
from wellhead.api.deps import Services, Tenant
from wellhead.api.ground import federation_of, ground_of
from wellhead.api.principals import ForWhom, TakesPrincipal
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.search import (
    AgenticSearchRequest,
    ClassicSearchRequest,
    InstantSearchRequest,
    SearchV2Response,
)
from wellhead.api.schemas.search_stream import (
    AgenticSearchEvent,
    AgenticSearchStartedEvent,
)
from wellhead.domain.errors import NotConfiguredError
from wellhead.domain.search import Answer, Strategy
from wellhead.search import classic, everywhere
from wellhead.search.agentic import explore
from wellhead.search.events import Event
from wellhead.search.means import Means
from wellhead.search.tiers import require_language_model
from wellhead.services.collections import find_collection_id
from wellhead.services.parts import Parts

FALLBACK_HEADER = "X-Search-Fallback"
INCOMPLETE_HEADER = "X-Search-Incomplete"
NOT_CONFIGURED = "no language model is configured"
_INCOMPLETE = {
    INCOMPLETE_HEADER: {
        "description": "Which sources that are searched live did not answer, and why.",
        "schema": {"type": "string"},
    }
}
_FALLS_BACK = {
    FALLBACK_HEADER: {
        "description": "How it was searched instead, and why.",
        "schema": {"type": "string"},
    }
}
MAY_FALL_BACK: dict[int | str, dict[str, Any]] = {
    200: {"headers": _FALLS_BACK | _INCOMPLETE}
}

router = PrefixRouter(
    prefix="/collections/{readable_id}/search",
    tags=["search"],
    dependencies=[TakesPrincipal],
)


async def _collection_id(readable_id: str, parts: Services, tenant: Tenant) -> UUID:
    return await find_collection_id(parts, tenant, readable_id)


CollectionId = Annotated[UUID, Depends(_collection_id)]
"""The collection of the path; 404 before anything else is done, also for streams."""
OneErrand = Annotated[Errand, Depends(new_errand)]


@router.post("/instant", responses=MAY_FALL_BACK)
async def search_instantly(
    collection_id: CollectionId,
    body: InstantSearchRequest,
    parts: Services,
    principal: ForWhom,
    request: Request,
    response: Response,
) -> SearchV2Response:
    """Search by meaning and by words at once, without a language model."""
    query = body.meant(collection_id, parts.clock.now())
    asked = replace(query, principal=principal)
    answer = await attended(request, everywhere.search(ground_of(parts), asked))
    return shown(response, answer)


@router.post("/classic", responses=MAY_FALL_BACK)
async def search_classically(
    collection_id: CollectionId,
    body: ClassicSearchRequest,
    parts: Services,
    request: Request,
    response: Response,
    principal: ForWhom,
) -> SearchV2Response:
    """Search as a language model plans it.

    Without one, or without a plan that makes sense, it is searched by meaning and by
    words, as the header `X-Search-Fallback` then says.
    """
    asked = body.meant(collection_id, parts.clock.now())
    query = replace(asked, principal=principal)
    try:
        means = means_of(parts)
    except NotConfiguredError:
        answer = await attended(request, everywhere.search(ground_of(parts), query))
        return shown(response, answer, why_plain=NOT_CONFIGURED)
    found = await attended(request, classic.search(means, query))
    return shown(response, found.answer, why_plain=found.why_plain)


@router.post("/agentic", responses=MAY_FALL_BACK)
async def search_agentically(
    collection_id: CollectionId,
    body: AgenticSearchRequest,
    parts: Services,
    request: Request,
    errand: OneErrand,
    response: Response,
    principal: ForWhom,
) -> SearchV2Response:
    """Let a language model search until it has found enough; 503 without one."""
    query = body.meant(collection_id, parts.clock.now())
    asked = replace(query, principal=principal)
    work = explore(means_of(parts), asked, _tell_nobody)
    done = await finish(errand, request, work)
    return shown(response, Answer(done.results, done.silent, done.by_words))


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
    query = body.meant(collection_id, parts.clock.now())
    asked = replace(query, principal=principal)
    async for event in follow(errand, means, asked):
        yield event


def means_of(parts: Parts) -> Means:
    """Return what a search that thinks is made with; NotConfiguredError without it."""
    return Means(
        reads=parts.reads,
        index=parts.index,
        embedders=parts.embedders,
        federation=federation_of(parts),
        model=require_language_model(parts.language_model),
        clock=parts.clock,
        reranker=parts.reranker,
        most_seconds=parts.limits.agentic_seconds,
    )


def tell_fallback(
    response: Response, strategy: Strategy, why_plain: str | None, by_words: str | None
) -> None:
    """Say in a header how it was searched, and why not as it was asked for."""
    whys = [one for one in (why_plain, by_words) if one is not None]
    if whys:
        done = strategy if by_words is None else Strategy.KEYWORD
        said = "; ".join([done, *whys]).encode("ascii", "replace").decode()
        response.headers[FALLBACK_HEADER] = said


async def _tell_nobody(_event: Event) -> None:
    pass


def shown(
    response: Response, answer: Answer, *, why_plain: str | None = None
) -> SearchV2Response:
    tell_silent(response, answer)
    tell_fallback(response, Strategy.HYBRID, why_plain, answer.by_words)
    return SearchV2Response.of(answer.results, answer.silent)


def tell_silent(response: Response, answer: Answer) -> None:
    """Say in a header which sources did not answer, and why."""
    if answer.silent:
        response.headers[INCOMPLETE_HEADER] = ", ".join(
            f"{one.source_name} ({one.connection_id}): {one.why}"
            for one in answer.silent
        )
