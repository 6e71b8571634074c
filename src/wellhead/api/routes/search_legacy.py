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
from wellhead.domain.search import Answer, InstantQuery, Strategy
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
    asked = replace(body.meant(collection_id), principal=principal)
    _tell_what_is_gone(response, body)
    if body.wants_model:
        tell_fallback(response, asked.strategy, _why_plain(parts))
    results = await _results(parts, asked, request, response)
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
    _tell_what_is_gone(response, asked)
    if asked.response_type is ResponseType.COMPLETION:
        tell_fallback(response, Strategy.HYBRID, _why_plain(parts))
    query = replace(asked.meant(collection_id), principal=principal)
    results = await _results(parts, query, request, response)
    return _older(response, results, asked)


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
        query = replace(body.meant(collection_id), principal=principal)
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


async def _results(
    parts: Parts, asked: InstantQuery, request: Request, response: Response
) -> list[FormerResult]:
    work = everywhere.search(ground_of(parts), asked)
    found = await attended(request, work)
    tell_silent(response, found)
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


def _tell_what_is_gone(response: Response, asked: FormerSearch) -> None:
    if asked.wants_recent:
        response.headers["X-Feature-Removed"] = "temporal_relevance"
        response.headers["X-Feature-Removed-Message"] = (
            "Newer results are not put first any more; filter by updated_at instead"
        )


def _why_plain(parts: Parts) -> str:
    if parts.language_model is None:
        return NOT_CONFIGURED
    return "this form of search uses no language model"


def _trouble(message: str, *, is_transient: bool) -> dict[str, Any]:
    return {"type": "error", "message": message, "transient": is_transient}
