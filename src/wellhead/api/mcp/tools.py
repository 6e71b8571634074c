"""The tools: what each is for, takes, gives and does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wellhead.api.ground import ground_of
from wellhead.api.mcp import arguments as take
from wellhead.api.mcp import show
from wellhead.api.mcp.addresses import entity_at
from wellhead.api.mcp.answers import (
    Answer,
    Collections,
    Connections,
    Found,
    Job,
    Passages,
    Sources,
)
from wellhead.api.schemas.search import filter_meant
from wellhead.domain.errors import InvalidInputError, NotFoundError
from wellhead.domain.jobs import SyncJob
from wellhead.domain.principals import Principal
from wellhead.domain.search import InstantQuery, Recency
from wellhead.search import everywhere
from wellhead.services import catalogue, collections, connections, entities, runs
from wellhead.services.parts import Parts


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a tool works: the parts act as the holder of the key."""

    parts: Parts
    organization_id: UUID
    principal: Principal | None = None
    """Who may see only a part, as the request's headers say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool, and what to do where something is not there or in the way."""

    name: str
    title: str
    description: str
    takes: type[take.Arguments]
    gives: type[Answer]
    do: Callable[[Asker, Any], Awaitable[Answer]]
    not_found: str = ""
    conflict: str = ""
    is_reading: bool = True
    is_for_principals: bool = False
    """Whether it shows a principal only what it may see."""


async def _search(asker: Asker, asked: take.Search) -> Found:
    parts = asker.parts
    collection_id = await collections.find_collection_id(
        parts, asker.organization_id, asked.collection
    )
    query = InstantQuery(
        collection_id=collection_id,
        query=asked.query,
        strategy=asked.strategy,
        filter=filter_meant(asked.filter),
        limit=asked.limit,
        offset=asked.offset,
        principal=asker.principal,
        is_grouped=asked.group_by_entity,
        recency=Recency.of(asked.recency_bias, parts.clock.now()),
        context=asked.context,
    )
    found = await everywhere.search(ground_of(parts), query)
    return Found(
        results=[show.hit(asked.collection, one) for one in found.results],
        next_offset=show.next_offset(found.results, asked.limit, asked.offset),
        fallback=found.by_words,
        missing_sources=[f"{one.source_name}: {one.why}" for one in found.silent],
    )


async def _read_entity(asker: Asker, asked: take.ReadEntity) -> Passages:
    found = await entities.read_entity(
        asker.parts,
        asker.organization_id,
        entity_at(asked.uri),
        chunks=asked.chunks,
        most_characters=asked.max_characters,
        principal=asker.principal,
    )
    if not found.passages and found.chunk_count:
        raise InvalidInputError(
            f"It has {found.chunk_count} passages, from 0 to {found.chunk_count - 1}",
            field="from_chunk" if asked.around_chunk is None else "around_chunk",
        )
    return show.passages(found)


async def _list_collections(asker: Asker, asked: take.ListCollections) -> Collections:
    found = await collections.list_collections(
        asker.parts,
        asker.organization_id,
        skip=asked.offset,
        limit=asked.limit,
        search=asked.search,
    )
    return Collections(
        collections=[
            show.collection(one, has_sources=asker.principal is None) for one in found
        ],
        next_offset=show.next_offset(found, asked.limit, asked.offset),
    )


async def _list_sources(asker: Asker, asked: take.ListSources) -> Sources:
    if asked.short_name is None:
        found = catalogue.list_sources(asker.parts)
    else:
        found = [catalogue.get_source(asker.parts, asked.short_name)]
    has_fields = asked.short_name is not None
    return Sources(sources=[show.source(one, has_fields=has_fields) for one in found])


async def _list_connections(asker: Asker, asked: take.ListConnections) -> Connections:
    if asked.collection is not None:  # else one that is not there had none
        await collections.find_collection_id(
            asker.parts, asker.organization_id, asked.collection
        )
    found = await connections.list_connections(
        asker.parts,
        asker.organization_id,
        skip=asked.offset,
        limit=asked.limit,
        readable_collection_id=asked.collection,
    )
    return Connections(
        connections=[show.connection(one) for one in found],
        next_offset=show.next_offset(found, asked.limit, asked.offset),
    )


async def _job_status(asker: Asker, asked: take.JobStatus) -> Job:
    parts, tenant = asker.parts, asker.organization_id
    job_id = asked.job_id
    if asked.source_connection_id is not None:
        newest = await runs.list_runs(
            parts, tenant, asked.source_connection_id, limit=1
        )
        if not newest:
            raise NotFoundError("This connection never ran: start it with trigger_sync")
        job_id = newest[0].id
    if job_id is None:
        raise TypeError(job_id)
    return await _job(asker, await runs.get_run(parts, tenant, job_id))


async def _trigger_sync(asker: Asker, asked: take.TriggerSync) -> Job:
    started = await runs.start_run(
        asker.parts,
        asker.organization_id,
        asked.source_connection_id,
        force_full=asked.force_full,
    )
    return await _job(asker, started)


async def _job(asker: Asker, job: SyncJob) -> Job:
    owner = await connections.get_connection(
        asker.parts, asker.organization_id, job.connection_id
    )
    return show.job(job, deletes_held=sum(owner.deletes_held.values()))


_NO_COLLECTION = "Call list_collections for those there are."
_NO_CONNECTION = "Call list_source_connections for those there are."

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="search",
            title="Search a collection",
            description="Find the passages of a collection's documents that answer a "
            "question best. Each result has the passage, its entity's uri and its "
            "chunk: read_entity shows what is around it. If nothing fits, try other "
            "words or another strategy before you conclude that it is not there.",
            takes=take.Search,
            gives=Found,
            do=_search,
            is_for_principals=True,
            not_found=_NO_COLLECTION,
        ),
        Tool(
            name="read_entity",
            title="Read an entity",
            description="Read a document (an entity) as it was synced: the whole text, "
            "or with around_chunk only what is around a search result. Long texts come "
            "in parts: go on with from_chunk.",
            takes=take.ReadEntity,
            gives=Passages,
            do=_read_entity,
            is_for_principals=True,
            not_found="It may have been removed by a sync: search again, and pass a "
            "uri exactly as search returned it. Of a result with live=true there is no "
            "more.",
        ),
        Tool(
            name="list_collections",
            title="List collections",
            description="List the collections that can be searched, newest first, with "
            "the sources of each. Begin here if you do not know the readable_id of a "
            "collection.",
            takes=take.ListCollections,
            gives=Collections,
            do=_list_collections,
            is_for_principals=True,
        ),
        Tool(
            name="list_sources",
            title="List sources",
            description="List the kinds of sources that can be connected here (the "
            "catalogue); with short_name only one, and the fields that it asks for. "
            "What is connected already: list_source_connections.",
            takes=take.ListSources,
            gives=Sources,
            do=_list_sources,
            is_for_principals=True,
            not_found="Call list_sources without short_name for all.",
        ),
        Tool(
            name="list_source_connections",
            title="List source connections",
            description="List what is connected: each connection's id, source, "
            "collection, status and number of entities. The id is for job_status and "
            "trigger_sync.",
            takes=take.ListConnections,
            gives=Connections,
            do=_list_connections,
            not_found=_NO_COLLECTION,
        ),
        Tool(
            name="job_status",
            title="Status of a sync job",
            description="Tell how a sync job goes or went: by job_id, or the newest "
            "job of a connection. Tells whether what search finds is up to date.",
            takes=take.JobStatus,
            gives=Job,
            do=_job_status,
            not_found=_NO_CONNECTION,
        ),
        Tool(
            name="trigger_sync",
            title="Start a sync",
            description="Start a sync job of a connection now, so that search finds "
            "what has changed in its source. It returns at once: follow the job with "
            "job_status. Connections with a schedule sync by themselves, so call it "
            "only if something new is missing or the user asks for it.",
            takes=take.TriggerSync,
            gives=Job,
            do=_trigger_sync,
            not_found=_NO_CONNECTION,
            conflict="Call job_status with this source_connection_id.",
            is_reading=False,
        ),
    )
}


def tools_for(asker: Asker) -> dict[str, Tool]:
    """Return what may be used: counts and jobs tell of what a principal cannot see."""
    if asker.principal is None:
        return TOOLS
    return {name: tool for name, tool in TOOLS.items() if tool.is_for_principals}
