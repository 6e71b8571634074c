"""Whose vectors a table of the index holds, and who can make such vectors."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from wellhead.domain.ports import Embedder


@dataclass(frozen=True, slots=True)
class IndexTable:
    """Where the index keeps chunks of a collection, and which embedder's vectors."""

    id: UUID
    model: str
    dimension: int

    def is_of(self, embedder: Embedder) -> bool:
        return (self.model, self.dimension) == (embedder.name, embedder.dimension)


PIPELINE = "2"
"""Grows when texts are read, cut or titled otherwise."""


def fingerprint_of(embedder: Embedder) -> str:
    """Return what text and vectors depend on besides the content."""
    name, dimension = embedder.name, embedder.dimension
    return f"{PIPELINE}/{name}/{dimension}/{embedder.chunk_characters}"


def same_passages(embedder: Embedder) -> str:
    """Return the SQL pattern of fingerprints with the same passages as this one's.

    Whose vectors they are is the index table's matter, and changes with it.
    """
    return f"{PIPELINE}/%/{embedder.chunk_characters}"


def nobody(_model: str, _dimension: int) -> Embedder | None:
    """Find no embedder but the current one."""
    return None


Former = Callable[[str, int], Embedder | None]
"""Finds an embedder that was used before, by its name and dimension, if it can."""


@dataclass(frozen=True, slots=True)
class Embedders:
    """The embedder of this installation, and those that made older tables."""

    current: Embedder
    former: Former = nobody

    def of(self, table: IndexTable) -> Embedder | None:
        """Return whose vectors the table holds; None where that one is out of reach."""
        if table.is_of(self.current):
            return self.current
        return self.former(table.model, table.dimension)
