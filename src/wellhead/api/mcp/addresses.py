"""The addresses of collections and entities, as agents pass them around."""

import re
from urllib.parse import quote, unquote
from uuid import UUID

from wellhead.domain.entities import EntityName
from wellhead.domain.errors import InvalidInputError

SCHEME = "wellhead"
ENTITY = (
    f"{SCHEME}://{{collection}}/{{source_connection_id}}/{{entity_type}}/{{entity_id}}"
)
"""The template of an entity's address; an id may need percent-encoding."""
_COLLECTION = re.compile(rf"{SCHEME}://([^/?#]+)/?")
_ENTITY = re.compile(rf"{SCHEME}://([^/?#]+)/([^/?#]+)/([^/?#]+)/([^/?#]*)")


def address_of(entity: EntityName) -> str:
    steps = (
        entity.readable_id,
        str(entity.connection_id),
        entity.entity_type,
        entity.entity_id,
    )
    return f"{SCHEME}://{'/'.join(quote(step, safe='') for step in steps)}"


def address_of_collection(readable_id: str) -> str:
    return f"{SCHEME}://{quote(readable_id, safe='')}"


def collection_at(address: str) -> str | None:
    """Return the readable id, None where this is no collection's address."""
    found = _COLLECTION.fullmatch(address)
    return None if found is None else unquote(found[1])


def entity_at(address: str) -> EntityName:
    """Return what is at an address. Raises InvalidInputError."""
    found = _ENTITY.fullmatch(address)
    connection_id = None if found is None else _id(found[2])
    if found is None or connection_id is None:
        raise InvalidInputError(
            f"This is no entity's address, which looks like {ENTITY}", field="uri"
        )
    return EntityName(
        readable_id=unquote(found[1]),
        connection_id=connection_id,
        entity_type=unquote(found[3]),
        entity_id=unquote(found[4]),
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
