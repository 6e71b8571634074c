"""The former search endpoint, for clients that know no other."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import structlog
from fastapi import Query, Request, Response
from fastapi.sse import EventSourceResponse

from wellhead.api.agentic_stream import attended
from wellhead.api.around.requests import request_id_of
from wellhead.api.deps import Services, Tenant
from wellhead.api.ground import ground_of
from wellhead.api.principals import ForWhom, TakesPrincipal
from wellhead.api.routes.search import (
    NOT_CONFIGURED,
    CollectionId,
    tell_fallback,
    tell_silent,
)
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.search import SearchResult
from wellhead.api.schemas.search_legacy import (
    FormerResult,
    FormerSearch,
    FormerSearchRequest,
    FormerSearchResponse,
    OlderSearchResponse,
    ResponseType,
    SearchStatus,
    filter_schema,
    former_result,
)
from wellhead.domain.errors import RequestError
from wellhead.domain.search import Answer, InstantQuery
from wellhead.search import everywhere
from wellhead.services.parts import Parts

router = PrefixRouter(
    prefix="/collections",
    tags=["search"],
    include_in_schema=False,
    deprecated=True,
    dependencies=[TakesPrincipal],
)
log = structlog.get_logger(__name__)


@router.get("/internal/filter-schema")
async def describe_filter(_tenant: Tenant) -> dict[str, Any]:
    """Return the JSON Schema of the former endpoint's filters."""
    return filter_schema()


@router.post("/{readable_id}/search")
async def search_as_before(
    collection_id: CollectionId,
    body: FormerSearchRequest,
    parts: Services,
    request: Request,
    response: Response,
    principal: ForWhom,
) -> OlderSearchResponse | FormerSearchResponse:
    """Answer in the shape that was asked in."""
    query = body.meant(collection_id, parts.clock.now())
    asked = replace(query, principal=principal)
    if body.temporal_relevance:
        _tell_what_is_gone(response)
    found = await _found(parts, asked, request)
    why = _why_plain(parts) if body.wants_model else None
    results = _told(response, asked, found, why)
    if not body.is_older:
        return FormerSearchResponse(results=results)
    return _older(response, results, body)


@router.get("/{readable_id}/search")
async def search_by_address(
    collection_id: CollectionId,
    asked: Annotated[FormerSearch, Query()],
    parts: Services,
    request: Request,
    response: Response,
    principal: ForWhom,
) -> OlderSearchResponse:
    """Answer clients that send no body."""
    meant = asked.meant(collection_id, parts.clock.now())
    query = replace(meant, principal=principal)
    found = await _found(parts, query, request)
    is_completion = asked.response_type is ResponseType.COMPLETION
    why = _why_plain(parts) if is_completion else None
    return _older(response, _told(response, query, found, why), asked)


@router.post("/{readable_id}/search/stream", response_class=EventSourceResponse)
async def stream_as_before(
    collection_id: CollectionId,
    body: FormerSearchRequest,
    parts: Services,
    request: Request,
    principal: ForWhom,
) -> AsyncIterator[dict[str, Any]]:
    """Answer as server-sent events: `connected`, `results`, `done`, or `error`."""
    request_id = request_id_of(request.scope)
    yield {
        "type": "connected",
        "request_id": request_id,
        "ts": parts.clock.now(),
    }
    try:
        meant = body.meant(collection_id, parts.clock.now())
        query = replace(meant, principal=principal)
        found = await everywhere.search(ground_of(parts), query)
        results = _former(found)
    except RequestError as error:
        yield _trouble(error.message, is_transient=error.status >= 500)
        return
    except Exception:  # the answer has begun: an error page cannot follow
        log.exception("streamed search failed", collection_id=str(collection_id))
        yield _trouble("The search failed; please try again", is_transient=True)
        return
    yield {"type": "results", "results": results}
    yield {
        "type": "done",
        "request_id": request_id,
        "completion": None,
        "ts": parts.clock.now(),
    }


async def _found(parts: Parts, asked: InstantQuery, request: Request) -> Answer:
    return await attended(request, everywhere.search(ground_of(parts), asked))


def _told(
    response: Response, asked: InstantQuery, found: Answer, why_plain: str | None
) -> list[FormerResult]:
    tell_silent(response, found)
    tell_fallback(response, asked.strategy, why_plain, found.by_words)
    return _former(found)


def _former(found: Answer) -> list[FormerResult]:
    return [former_result(SearchResult.of(one)) for one in found.results]


def _older(
    response: Response, results: list[FormerResult], asked: FormerSearch
) -> OlderSearchResponse:
    response.headers["X-API-Deprecation"] = "true"
    response.headers["X-API-Deprecation-Message"] = (
        "This form of search is deprecated: use POST /collections/{id}/search/instant"
    )
    return OlderSearchResponse(
        results=results,
        response_type=asked.response_type or ResponseType.RAW,
        status=SearchStatus.SUCCESS if results else SearchStatus.NO_RESULTS,
    )


def _tell_what_is_gone(response: Response) -> None:
    response.headers["X-Feature-Removed"] = "temporal_relevance"
    response.headers["X-Feature-Removed-Message"] = (
        "It changes nothing any more; send recency_bias instead"
    )


def _why_plain(parts: Parts) -> str:
    if parts.language_model is None:
        return NOT_CONFIGURED
    return "this form of search uses no language model"


def _trouble(message: str, *, is_transient: bool) -> dict[str, Any]:
    return {"type": "error", "message": message, "transient": is_transient}
