"""The ports: where more than one implementation ships, and time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from wellhead.domain.chunks import EntityChunks, Hit, StoredVersion, Vectors
from wellhead.domain.filters import Filter
from wellhead.domain.language import Prompt, Reply
from wellhead.domain.principals import Principal


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class TokenProvider(Protocol):
    """The access tokens of one connection. Raises CredentialsError, RetryableError."""

    async def current(self) -> str:
        """Return one that has not ended yet, to be asked for before each request."""
        ...

    async def refresh(self, rejected: str) -> str:
        """Return another one than that which the source has just refused.

        The same, or CredentialsError, if there is no other.
        """
        ...


class RateLimiter(Protocol):
    """Hands out turns under one limit that a vendor set, to all who share it."""

    async def turn(self) -> float:
        """Take a turn; returns in how many seconds it comes (0 = now)."""
        ...

    async def hold(self, seconds: float) -> None:
        """The vendor asked for silence: nobody's turn comes before this is over."""
        ...


class Embedder(Protocol):
    """Texts in, unit vectors out. Raises RetryableError, EntityError, EmbedderError.

    RefusedTextsError names the texts that have no vector and brings the others'.
    EmbedderError is for what no text is to blame for: a key that is refused, a server
    that stays away.
    """

    @property
    def name(self) -> str:
        """The model's public name."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def chunk_characters(self) -> int:
        """The longest passage that the model reads whole, in characters."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, in order."""
        ...

    async def embed_query(self, text: str) -> Vectors:
        """Return one row."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query may see before verification: pushed down, so pages fill up."""

    filter: Filter = ()
    hidden_connections: Sequence[UUID] = field(default=())
    hidden_jobs: Sequence[UUID] = field(default=())
    principal: Principal | None = None


class Index(Protocol):
    """Where chunks are stored and searched, in tables: the live one of each collection.

    Which those are the ledger knows (store/index_tables.py).

    The index is a cache of the ledger: it may hold more than is committed, never
    less. Workers only append; deletes and maintain belong to one maintainer at a time.
    """

    async def append(
        self, table_id: UUID, dimension: int, entities: Sequence[EntityChunks]
    ) -> None:
        """Append chunks durably; raises when it is not known that they were."""
        ...

    async def read_vectors(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> Mapping[bytes, Vectors]:
        """Return the vector of each text_hash stored under these versions.

        With `ordinals` of those chunks only, so that memory is bounded.
        """
        ...

    async def read_texts(
        self, table_id: UUID, version: int, ordinals: range
    ) -> Mapping[int, str]:
        """Return the texts of those chunks of a version that are stored, in order."""
        ...

    async def read_entities(
        self,
        table_id: UUID,
        versions: Sequence[int],
        ordinals: range | None = None,
    ) -> list[EntityChunks]:
        """Return what is stored under these versions, ascending.

        With `ordinals` of those chunks only. What is not whole ends at the first gap.
        Without vectors and access lists: those are made anew, these are the ledger's.
        """
        ...

    async def delete_versions(self, table_id: UUID, versions: Sequence[int]) -> int:
        """Remove every chunk of these versions; returns how many there were."""
        ...

    async def delete_connection(self, table_id: UUID, connection_id: UUID) -> int:
        """Remove every chunk of a connection; returns how many there were."""
        ...

    async def reader(self, table_id: UUID) -> "IndexReader":
        """Open the newest state for the legs of one search."""
        ...

    async def maintain(self, table_id: UUID) -> None:
        """Compact, build what indexes the size calls for, drop old table versions."""
        ...

    def versions(self, table_id: UUID) -> AsyncIterator[tuple[int, int]]:
        """Yield (version, chunk count) of everything stored, for scrubbing."""
        ...

    def stored(
        self, table_id: UUID, versions: Sequence[int] | None = None
    ) -> AsyncIterator[StoredVersion]:
        """Describe these versions, or all, ascending; an absent one is left out.

        All are not read as of one moment: what is written meanwhile may be left out.
        """
        ...

    async def tables(self) -> list[UUID]:
        """Return the id of every table that there is."""
        ...

    async def expunge(self, table_id: UUID) -> int | None:
        """Write anew what still holds deleted chunks; None if it must be done again.

        Returns the table's first clean state. Older ones keep them until dropped.
        """
        ...

    async def forget_states(self, table_id: UUID, before: int) -> bool:
        """Drop states that no reader needs; True if none before this one is left."""
        ...

    async def disk_bytes(self, table_id: UUID) -> int:
        """Return how much disk the table takes, 0 without one."""
        ...

    async def drop(self, table_id: UUID) -> None:
        """Remove the table; absent is fine."""
        ...

    async def close(self) -> None: ...


class IndexReader(Protocol):
    """One consistent view of a table's chunks."""

    async def semantic(self, vector: Vectors, k: int, scope: Scope) -> list[Hit]:
        """Return the k nearest chunks by cosine; the score is the similarity."""
        ...

    async def keyword(self, query: str, k: int, scope: Scope) -> list[Hit]:
        """Return the k best chunks by BM25, any query term; odd queries find none."""
        ...


class LanguageModel(Protocol):
    """Answers prompts; keeps nothing of them."""

    @property
    def name(self) -> str:
        """The public name: provider and model."""
        ...

    async def reply(self, prompt: Prompt) -> Reply:
        """Return what the model says; raises UnavailableError when it does not."""
        ...

    async def close(self) -> None: ...


class Reranker(Protocol):
    """Reads a question and passages together, and orders the passages."""

    @property
    def name(self) -> str:
        """The public name: provider and model."""
        ...

    async def rank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        """Return places in `texts` with their scores, best first.

        Places may be missing. Raises UnavailableError.
        """
        ...

    async def close(self) -> None: ...
