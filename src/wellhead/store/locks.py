"""How a row is held while a transaction decides about it."""

from enum import Enum, auto
from typing import Any

from sqlalchemy import Select, Table

INDEX_GATE = 0x57454C4C_47415445
"""Advisory lock: maintainers share it; a backup has it alone while it pins the index,
so nothing is deleted from the index meanwhile."""


class Lock(Enum):
    """Taken in this order everywhere: collection, connection, job."""

    SHARE = auto()
    """It stays as it is, and others may say the same."""
    CHANGE = auto()
    """It is about to change; others wait."""


def locked(query: Select[Any], lock: Lock | None, table: Table) -> Select[Any]:
    """Lock the rows of this table that the query returns."""
    match lock:
        case None:
            return query
        case Lock.SHARE:
            return query.with_for_update(read=True, of=table)
        case Lock.CHANGE:
            return query.with_for_update(key_share=True, of=table)
