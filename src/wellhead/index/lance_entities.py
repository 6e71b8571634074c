"""Rows of a Lance table, turned back into the chunks that they were made of."""

from collections.abc import Sequence
from itertools import count, groupby, takewhile
from typing import Any
from uuid import UUID

import pyarrow as pa  # type: ignore[import-untyped]

from wellhead.domain.chunks import EntityChunks
from wellhead.domain.entities import Breadcrumb
from wellhead.index.lance_rows import table_schema

_ELSEWHERE = ("title", "vector", "readers")
"""Made of other columns, or anew, or kept in the ledger."""
ENTITY_COLUMNS = [one for one in table_schema(1).names if one not in _ELSEWHERE]


def entities_of(found: Sequence[pa.Table]) -> list[EntityChunks]:
    """Return what these rows were made of, ascending by version.

    What was appended twice is there once; vectors and access lists are left out.
    """
    if not found:
        return []
    rows = pa.concat_tables(found).to_pylist()
    chunks = {(one["version"], one["ordinal"]): one for one in rows}
    ordered = (chunks[key] for key in sorted(chunks))
    grouped = groupby(ordered, key=lambda one: one["version"])
    return [_entity([*some]) for _, some in grouped]


def _entity(rows: Sequence[dict[str, Any]]) -> EntityChunks:
    first = rows[0]
    places = count(first["ordinal"])
    rows = [*takewhile(lambda one: one["ordinal"] == next(places), rows)]
    steps = zip(
        *(first[f"breadcrumb_{part}"] for part in ("ids", "names", "types")),
        strict=True,
    )
    inserted_by = first["inserted_by"]
    return EntityChunks(
        version=first["version"],
        connection_id=UUID(first["connection_id"]),
        inserted_by=None if inserted_by is None else UUID(inserted_by),
        job_id=UUID(first["job_id"]),
        entity_key=first["entity_key"],
        entity_type=first["entity_type"],
        source_name=first["source_name"],
        source_id=first["source_id"],
        name=first["name"],
        created_at=first["created_at"],
        updated_at=first["updated_at"],
        breadcrumbs=tuple(Breadcrumb(*step) for step in steps),
        texts=[one["text"] for one in rows],
        text_hashes=[one["text_hash"] for one in rows],
        vectors=memoryview(b""),
        first_ordinal=first["ordinal"],
    )
