"""Lists as PostgreSQL's own binary arrays, which the driver would write item by item.

For a list of keys that is a hundred times cheaper. The type stands in the query:
`CAST(:keys AS bytea[])`.
"""

from collections.abc import Iterable
from struct import Struct
from uuid import UUID

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiIii")  # dimensions, has nulls, type, length, first index
_LENGTH = Struct(">i").pack
_NULL = _LENGTH(-1)
_BOOLEAN, _BYTEA, _BIGINT, _INTEGER, _TEXT, _UUID = 16, 17, 20, 23, 25, 2950


class Array(bytes):
    """An array as it goes over the wire."""


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        return obj


psycopg.adapters.register_dumper(Array, _ArrayDumper)


def byteas(values: Iterable[bytes]) -> Array:
    return _array(_BYTEA, [_LENGTH(len(value)) + value for value in values])


def texts(values: Iterable[str | None]) -> Array:
    encoded = [None if value is None else value.encode() for value in values]
    elements = [
        _NULL if value is None else _LENGTH(len(value)) + value for value in encoded
    ]
    return _array(_TEXT, elements)


def bigints(values: Iterable[int]) -> Array:
    pack = Struct(">iq").pack
    return _array(_BIGINT, [pack(8, value) for value in values])


def integers(values: Iterable[int]) -> Array:
    pack = Struct(">ii").pack
    return _array(_INTEGER, [pack(4, value) for value in values])


def booleans(values: Iterable[bool]) -> Array:
    pack = Struct(">i?").pack
    return _array(_BOOLEAN, [pack(1, value) for value in values])


def uuids(values: Iterable[UUID | None]) -> Array:
    elements = [
        _NULL if value is None else _LENGTH(16) + value.bytes for value in values
    ]
    return _array(_UUID, elements)


def _array(kind: int, elements: list[bytes]) -> Array:
    if not elements:
        return Array(_HEADER.pack(0, 0, kind, 0, 0)[:12])
    return Array(_HEADER.pack(1, 1, kind, len(elements), 1) + b"".join(elements))
