"""The columns of a collection's Lance table, and chunks turned into them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from wellhead.domain.chunks import EntityChunks, Vectors
from wellhead.domain.entities import Access

_INSTANT = pa.timestamp("us", "UTC")
_TEXTS = pa.list_(pa.string())
_READERS = pa.list_(pa.int64())
ANYBODY = 0
"""Among the readers of what is public."""


def table_schema(dimension: int) -> pa.Schema:
    """Return the schema; `title` is the name, on an entity's first chunk only.

    Were the name searchable on every chunk, one large entity would fill a whole page
    of keyword hits with equal scores.
    """
    return pa.schema(
        [
            ("version", pa.int64()),
            ("ordinal", pa.int32()),
            ("connection_id", pa.string()),
            ("inserted_by", pa.string()),
            ("job_id", pa.string()),
            ("entity_key", pa.binary(16)),
            ("entity_type", pa.string()),
            ("source_name", pa.string()),
            ("source_id", pa.string()),
            ("name", pa.string()),
            ("created_at", _INSTANT),
            ("updated_at", _INSTANT),
            ("breadcrumb_ids", _TEXTS),
            ("breadcrumb_names", _TEXTS),
            ("breadcrumb_types", _TEXTS),
            ("readers", _READERS),
            ("title", pa.string()),
            ("text", pa.string()),
            ("text_hash", pa.binary(16)),
            ("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


def chunk_rows(dimension: int, entities: Sequence[EntityChunks]) -> pa.Table:
    """Return one row for each chunk, column by column."""
    filled = [entity for entity in entities if entity.texts]
    counts = np.array([len(entity.texts) for entity in filled], dtype=np.int64)
    owner = np.repeat(np.arange(len(filled)), counts)
    first = np.array([entity.first_ordinal for entity in filled], dtype=np.int64)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    ordinal = pa.array((position + first[owner]).astype(np.int32))
    repeated = _entity_rows(filled).take(pa.array(owner))
    names = repeated["name"]
    is_first = pc.equal(ordinal, 0)
    columns = {name: repeated[name] for name in repeated.schema.names}
    columns["ordinal"] = ordinal
    columns["title"] = pc.if_else(is_first, names, pa.scalar(None, pa.string()))
    columns["text"] = _strings(chain.from_iterable(one.texts for one in filled))
    columns["text_hash"] = pa.array(
        chain.from_iterable(one.text_hashes for one in filled), pa.binary(16)
    )
    columns["vector"] = _vectors(dimension, filled)
    schema = table_schema(dimension)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def readers_of(access: Access) -> list[int] | None:
    """Return who may see it as numbers, None where the source does not say.

    Two names may share a number: what an index finds is looked up in the ledger.
    """
    if access.viewers is None and access.is_public is None:
        return None
    anybody = [ANYBODY] if access.is_public else []
    return anybody + [number_of(one) for one in access.viewers or ()]


@lru_cache(maxsize=10_000)
def number_of(viewer: str) -> int:
    digest = blake2b(viewer.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def floats(vectors: Vectors) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """View vectors of any shape as one flat array, without a copy."""
    return np.frombuffer(vectors.cast("B"), dtype=np.float32)


def plain_text(text: str) -> str:
    """Return text that UTF-8 can carry; lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _entity_rows(entities: Sequence[EntityChunks]) -> pa.Table:
    steps = [entity.breadcrumbs for entity in entities]
    return pa.table(
        {
            "version": pa.array([e.version for e in entities], pa.int64()),
            "connection_id": _strings(str(e.connection_id) for e in entities),
            "inserted_by": pa.array(
                [
                    None if e.inserted_by is None else str(e.inserted_by)
                    for e in entities
                ],
                pa.string(),
            ),
            "job_id": _strings(str(e.job_id) for e in entities),
            "entity_key": pa.array([e.entity_key for e in entities], pa.binary(16)),
            "entity_type": _strings(e.entity_type for e in entities),
            "source_name": _strings(e.source_name for e in entities),
            "source_id": _strings(e.source_id for e in entities),
            "name": _strings(e.name for e in entities),
            "created_at": pa.array([e.created_at for e in entities], _INSTANT),
            "updated_at": pa.array([e.updated_at for e in entities], _INSTANT),
            "breadcrumb_ids": _lists([[s.entity_id for s in way] for way in steps]),
            "breadcrumb_names": _lists([[s.name for s in way] for way in steps]),
            "breadcrumb_types": _lists([[s.entity_type for s in way] for way in steps]),
            "readers": pa.array([readers_of(e.access) for e in entities], _READERS),
        }
    )


def _strings(texts: Iterable[str]) -> pa.Array:
    values = list(texts)
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([plain_text(text) for text in values], pa.string())


def _lists(values: list[list[str]]) -> pa.Array:
    try:
        return pa.array(values, _TEXTS)
    except UnicodeEncodeError:
        clean = [[plain_text(text) for text in texts] for texts in values]
        return pa.array(clean, _TEXTS)


def _vectors(dimension: int, entities: Sequence[EntityChunks]) -> pa.Array:
    parts = [floats(entity.vectors) for entity in entities]
    for part, entity in zip(parts, entities, strict=True):
        if part.size != dimension * len(entity.texts):
            raise ValueError(
                f"{part.size} floats for {len(entity.texts)} texts of {dimension}"
            )
    if len(parts) == 1:
        values = parts[0]
    else:
        values = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), dimension)
