"""Collections as lists show them, by the driver alone."""

from typing import Any
from uuid import UUID

from wellhead.domain.collections import (
    CollectionLine,
    MemberLine,
    collection_status,
)
from wellhead.domain.connections import Member
from wellhead.store import connection_lines
from wellhead.store.reading import Reads

_MATCHING = """
FROM collection WHERE organization_id = %(organization)s AND NOT is_deleting
  AND (%(pattern)s::text IS NULL
    OR name ILIKE %(pattern)s OR readable_id ILIKE %(pattern)s)
"""
# S608: these queries are made of constants
_PAGE = f"""
SELECT name, readable_id, id, sync_config, created_at, modified_at, organization_id,
  vector_size, embedding_model_name, NULL, NULL
{_MATCHING} ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(skip)s
"""
_COUNT = f"SELECT count(*) {_MATCHING}"
_FIND = """
SELECT id FROM collection WHERE readable_id = %(readable_id)s
  AND organization_id = %(organization)s AND NOT is_deleting
"""
_ID = 2


async def page(
    reads: Reads, organization_id: UUID, *, skip: int, limit: int, search: str | None
) -> list[CollectionLine]:
    """List collections, newest first, with two queries for all."""
    values = {
        "organization": organization_id,
        "pattern": _containing(search),
        "limit": limit,
        "skip": skip,
    }
    rows = await reads.fetch(_PAGE, values, _row)
    members = await connection_lines.members(reads, [row[_ID] for row in rows])
    return [_line(row, members[row[_ID]]) for row in rows]


async def count(reads: Reads, organization_id: UUID, *, search: str | None) -> int:
    values = {"organization": organization_id, "pattern": _containing(search)}
    [found] = await reads.fetch(_COUNT, values, int)
    return found


async def find_id(reads: Reads, organization_id: UUID, readable_id: str) -> UUID | None:
    """Find a collection as its organization names it."""
    values = {"organization": organization_id, "readable_id": readable_id}
    found = await reads.fetch(_FIND, values, _same)
    return found[0] if found else None


def _same(id_: UUID) -> UUID:
    return id_


def _containing(search: str | None) -> str | None:
    """Return the pattern of what contains this text, in which nothing is special."""
    if not search:
        return None
    plain = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{plain}%"


def _row(*row: Any) -> tuple[Any, ...]:
    return row


def _line(row: tuple[Any, ...], members: list[Member]) -> CollectionLine:
    shown = [MemberLine(member.short_name, member.name) for member in members]
    return CollectionLine(*[*row, collection_status(members), shown])
