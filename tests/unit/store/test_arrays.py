"""Lists arrive in PostgreSQL as they were, whatever is in them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from wellhead.store.arrays import (
    Array,
    bigints,
    booleans,
    byteas,
    integers,
    texts,
    uuids,
)

LISTS: list[tuple[str, Callable[[Any], Array], list[Any]]] = [
    ("bytea[]", byteas, [b"", b"\x00\xff", b"{,}\\" * 100]),
    ("text[]", texts, ["", None, 'NULL {"a,b"} \\ 🦉', "x" * 70_000]),
    ("bigint[]", bigints, [0, -1, 2**63 - 1, -(2**63)]),
    ("int[]", integers, [0, -1, 2**31 - 1, -(2**31)]),
    ("boolean[]", booleans, [True, False]),
    ("uuid[]", uuids, [UUID(int=0), None, UUID(int=2**128 - 1)]),
]


@pytest.mark.parametrize(("kind", "array", "values"), LISTS)
async def test_a_list_comes_back_as_it_was_sent(
    db, kind: str, array: Callable[[Any], Array], values: list[Any]
) -> None:
    query = text(f"SELECT CAST(:values AS {kind}), cardinality(CAST(:none AS {kind}))")
    async with db.connect() as connection:
        row = (
            await connection.execute(
                query, {"values": array(values), "none": array([])}
            )
        ).one()

    assert (row[0], row[1]) == (values, 0)
