"""Reading entities as they were synced."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from wellhead.domain.entities import EntityName
from wellhead.domain.errors import NotFoundError, UnavailableError
from wellhead.domain.principals import Principal
from wellhead.services.parts import Parts
from wellhead.store import entity_line
from wellhead.store.entity_line import EntityLine

TIMEOUT_SECONDS = 30
"""Less than garbage waits: what was live when it was looked up is still indexed."""
_STEP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityText:
    """An entity, or a part of it, as passages that do not overlap."""

    entity: EntityName
    name: str
    source_name: str
    path: tuple[str, ...]
    """The names of what it is in, from the source's root."""
    web_url: str
    updated_at: datetime | None
    chunk_count: int
    """How many passages it has in all."""
    passages: Mapping[int, str]
    """By chunk index, ascending."""


async def read_entity(
    parts: Parts,
    organization_id: UUID,
    entity: EntityName,
    *,
    chunks: range,
    most_characters: int,
    principal: Principal | None = None,
) -> EntityText:
    """Return the passages of these chunks, as many as fit, but one at least.

    Raises NotFoundError, also for what the principal may not see, and
    UnavailableError when that takes longer than 30 seconds.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            found = await entity_line.find(
                parts.reads, organization_id, entity, principal
            )
            if found is None:
                raise NotFoundError("Entity not found")
            passages = await _passages(parts, found, chunks, most_characters)
    except TimeoutError as error:
        raise UnavailableError(
            f"Reading took longer than {TIMEOUT_SECONDS} seconds"
        ) from error
    return _text(entity, found, passages)


async def _passages(
    parts: Parts, found: EntityLine, chunks: range, most_characters: int
) -> dict[int, str]:
    passages: dict[int, str] = {}
    room = most_characters
    last = min(chunks.stop, found.chunk_count)
    for start in range(chunks.start, last, _STEP):
        step = range(start, min(start + _STEP, last))
        texts = await parts.index.read_texts(found.table_id, found.version, step)
        for ordinal, text in texts.items():
            room -= len(text)
            if room < 0 and passages:
                return passages
            passages[ordinal] = text
    return passages


def _text(
    entity: EntityName, found: EntityLine, passages: Mapping[int, str]
) -> EntityText:
    meta = found.meta
    updated_at = meta.get("updated_at")
    return EntityText(
        entity=entity,
        name=meta["name"],
        source_name=found.source_name,
        path=tuple(step[1] for step in meta.get("breadcrumbs") or ()),
        web_url=meta.get("url") or "",
        updated_at=None if updated_at is None else datetime.fromisoformat(updated_at),
        chunk_count=found.chunk_count,
        passages=passages,
    )
