"""Passages of entities on their way into the index, and hits on their way out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from wellhead.domain.entities import Access, Breadcrumb

Vectors = memoryview
"""Contiguous float32, row-major, one row of the embedder's dimension for each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityChunks:
    """All chunks of one version of one entity, ready to append.

    `texts[i]`, `text_hashes[i]` and row i of `vectors` are the chunk with ordinal
    `first_ordinal + i`: a large entity is appended in parts. The other fields are the
    same for every chunk and can be filtered on.
    """

    version: int
    connection_id: UUID
    inserted_by: UUID | None
    job_id: UUID
    entity_key: bytes
    entity_type: str
    source_name: str
    source_id: str
    name: str
    created_at: datetime | None
    updated_at: datetime | None
    breadcrumbs: tuple[Breadcrumb, ...]
    texts: Sequence[str]
    text_hashes: Sequence[bytes]
    vectors: Vectors
    first_ordinal: int = 0
    access: Access = field(default_factory=Access)
    """Who may see it; sources that do not say are passed over for a principal."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk found by one leg, best first; `score` is the leg's own."""

    version: int
    ordinal: int
    connection_id: UUID
    entity_key: bytes
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """What an index holds of one version, for comparing it with the ledger.

    `chunks` rows have `ordinals` different ordinals, the highest being `highest`.
    Owner, key and job are those of one row; `is_uniform` if all rows say the same.
    """

    version: int
    connection_id: UUID
    entity_key: bytes
    inserted_by: UUID | None
    chunks: int
    ordinals: int
    highest: int
    is_uniform: bool


def text_hash(text: str) -> bytes:
    """Return the 16-byte blake2b of a chunk's text, the key of vector reuse."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
