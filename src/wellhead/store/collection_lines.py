"""Collections as lists show them, by the driver alone."""

from typing import Any
from uuid import UUID

from wellhead.domain.collections import (
    CollectionLine,
    MemberLine,
    collection_status,
)
from wellhead.domain.connections import Member
from wellhead.store.connection_lines import LAST_JOB, MEMBER_COLUMNS, member
from wellhead.store.reading import Reads

_MATCHING = """
FROM collection WHERE organization_id = %(organization)s AND NOT is_deleting
  AND (%(pattern)s::text IS NULL
    OR name ILIKE %(pattern)s OR readable_id ILIKE %(pattern)s)
"""
# S608: these queries are made of constants
_PAGE = f"""
WITH k AS (
  SELECT * {_MATCHING} ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(skip)s)
SELECT k.name, k.readable_id, k.id, k.sync_config, k.created_at, k.modified_at,
  k.organization_id, k.vector_size, k.embedding_model_name,
  c.id IS NOT NULL, {MEMBER_COLUMNS}
FROM k LEFT JOIN source_connection c ON c.collection_id = k.id AND NOT c.is_deleting
{LAST_JOB} ORDER BY k.created_at DESC, k.id, c.created_at, c.id
"""  # noqa: S608
_COUNT = f"SELECT count(*) {_MATCHING}"
_FIND = """
SELECT id FROM collection WHERE readable_id = %(readable_id)s
  AND organization_id = %(organization)s AND NOT is_deleting
"""
_READABLE_ID = 1
_FIELDS = 9
"""Where a row tells whether there is a connection, which is described behind it."""


async def page(
    reads: Reads, organization_id: UUID, *, skip: int, limit: int, search: str | None
) -> list[CollectionLine]:
    """List collections, newest first."""
    values = {
        "organization": organization_id,
        "pattern": _containing(search),
        "limit": limit,
        "skip": skip,
    }
    rows = await reads.fetch(_PAGE, values, _row)
    described: list[tuple[Any, ...]] = []
    members: dict[str, list[Member]] = {}
    for row in rows:
        of = members.get(row[_READABLE_ID])
        if of is None:
            of = members[row[_READABLE_ID]] = []
            described.append(row[:_FIELDS])
        if row[_FIELDS]:
            of.append(member(*row[_FIELDS + 1 :]))
    return [_line(one, members[one[_READABLE_ID]]) for one in described]


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


def _line(described: tuple[Any, ...], members: list[Member]) -> CollectionLine:
    shown = [MemberLine(one.short_name, one.name) for one in members]
    status = collection_status(members)
    return CollectionLine(*[*described, None, None, status, shown])
