"""Resources: collections and entities at addresses that stay the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from wellhead.api.mcp import show
from wellhead.api.mcp.addresses import (
    address_of_collection,
    collection_at,
    entity_at,
)
from wellhead.api.mcp.answers import Connections
from wellhead.api.mcp.arguments import LARGEST_CHUNK, MOST_LISTED
from wellhead.api.mcp.tools import Asker
from wellhead.domain.collections import CollectionLine
from wellhead.services import collections, connections, entities

PAGE = 100
MOST_CHARACTERS = 1_000_000
"""Of one resource: what is longer has to be read in parts, by the tool."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A collection among the resources."""

    address: str
    name: str
    description: str


async def list_resources(asker: Asker, *, skip: int) -> list[Listed]:
    """List a page of collections; entities are found by searching."""
    found = await collections.list_collections(
        asker.parts, asker.organization_id, skip=skip, limit=PAGE, search=None
    )
    return [
        Listed(
            address_of_collection(one.readable_id),
            one.name,
            "A collection." if asker.principal else _about(one),
        )
        for one in found
    ]


async def read_resource(asker: Asker, address: str) -> str:
    """Return the text of an entity, or what a collection consists of."""
    readable_id = collection_at(address)
    if readable_id is not None:
        return await _collection(asker, readable_id)
    found = await entities.read_entity(
        asker.parts,
        asker.organization_id,
        entity_at(address),
        chunks=range(LARGEST_CHUNK),
        most_characters=MOST_CHARACTERS,
        principal=asker.principal,
    )
    shown = show.passages(found)
    if shown.next_chunk is None:
        return shown.content
    more = f"[It goes on: read_entity with from_chunk={shown.next_chunk}.]"
    return f"{shown.content}\n\n{more}"


async def _collection(asker: Asker, readable_id: str) -> str:
    found = await collections.get_collection(
        asker.parts, asker.organization_id, readable_id
    )
    head = f"{found.name} ({found.readable_id}; {found.status})"
    if asker.principal is not None:  # its connections tell how much there is
        return head
    members = await connections.list_connections(
        asker.parts,
        asker.organization_id,
        skip=0,
        limit=MOST_LISTED,
        readable_collection_id=readable_id,
    )
    shown = Connections(connections=[show.connection(one) for one in members])
    return f"{head}\n\n{shown.text()}"


def _about(one: CollectionLine) -> str:
    names: Sequence[str] = [
        member.short_name for member in one.source_connection_summaries
    ]
    return f"A collection of {', '.join(dict.fromkeys(names)) or 'no sources yet'}."
