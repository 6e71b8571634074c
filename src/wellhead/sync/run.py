"""What every step of one job's run needs: its tools, its target, its memory."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.chunks import Vectors
from wellhead.domain.embedding import fingerprint_of
from wellhead.domain.errors import EntityError
from wellhead.domain.items import Ref
from wellhead.domain.jobs import SyncJob
from wellhead.domain.ports import Clock, Embedder, Index
from wellhead.sources.base import Source
from wellhead.sync.convert.converter import Converter
from wellhead.sync.patience import EmbedderPatience

CRASHES_UNTIL_CAUTIOUS = 2
"""After so many without a commit a job goes one by one for a while."""
CRASHES_UNTIL_BLAMED = CRASHES_UNTIL_CAUTIOUS + 2
CAUTIOUS_ENTITIES = 250
"""So many that went well one by one: who caused the crashes was not among them."""
MOST_MISSED = 10_000
"""So many entities that a cursor missed are fetched singly; beyond, all is listed."""
VECTOR_MEMORY_BYTES = 64 * 1024 * 1024
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The parts of the program that a run uses."""

    db: AsyncEngine
    index: Index
    embedder: Embedder
    converter: Converter
    clock: Clock
    data_dir: Path | None = None
    min_free_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One claimed job, its source, and where its chunks go.

    `job` is the row as claimed: its fence is ours, its counts are the counts then.
    """

    tools: Tools
    job: SyncJob
    source: Source
    collection_id: UUID
    table_id: UUID
    """Of the index; its vectors are of the tools' embedder for as long as we write."""
    connection_id: UUID
    source_name: str
    caution: "Caution" = field(default_factory=lambda: Caution())
    vectors: "VectorMemory" = field(default_factory=lambda: VectorMemory())
    pace: "Pace" = field(default_factory=lambda: Pace())
    speed: "Speed" = field(default_factory=lambda: Speed())
    patience: EmbedderPatience = field(default_factory=EmbedderPatience)
    missed: dict[Ref, str] = field(default_factory=dict)
    """Entities that an id listing showed and the ledger does not know, with scope."""
    refused: dict[bytes, EntityError] = field(default_factory=dict)
    """Texts for which the embedder has no vector, by hash."""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.tools.embedder)


class Caution:
    """Whether entities go one by one, each recorded before it is touched.

    Workers die of many causes. `poison`, to be quarantined, is the entity at which
    two died in a row while it was the only one; nothing is held against the suspect
    of a single crash that then goes well, and the job hurries again.
    """

    def __init__(self, *, crashes: int = 0, suspect: bytes | None = None) -> None:
        self.crashes = crashes
        self.is_on = crashes >= CRASHES_UNTIL_CAUTIOUS
        is_blamed = crashes >= CRASHES_UNTIL_BLAMED
        self.poison = suspect if is_blamed else None
        self._suspect = None if is_blamed else suspect
        self._left = CAUTIOUS_ENTITIES

    def crashes_at(self, key: bytes) -> int:
        """Return what a worker that dies at this entity is to be added to."""
        return CRASHES_UNTIL_CAUTIOUS + (key == self._suspect)

    def note(self, committed: Collection[bytes], *, is_progress: bool) -> bool:
        """Learn which entities went well, or have failed without a crash.

        Returns whether the job has got further: also by what is in quarantine now.

        What an earlier attempt had committed as well is no progress: crashes go on
        being counted, or a job that always dies behind it would never end.
        """
        self._left -= len(committed)
        if self._left <= 0 or self._suspect in committed:
            self.is_on = False
        is_further = is_progress or self.poison in committed
        if is_further:
            self.crashes = CRASHES_UNTIL_CAUTIOUS if self.is_on else 0
        return is_further


class Pace:
    """How many chunks make a batch that is embedded in about two seconds.

    Small batches at first, so that counts move from the start, larger ones as the
    embedder proves quick.
    """

    SECONDS = 2.0
    FEWEST = 32
    GROWTH = 8
    UNMEASURED = 512
    """So many at most while nothing tells how quick the embedder is."""

    def __init__(self) -> None:
        self.chunks = self.FEWEST * 2

    def note(self, chunks: int, seconds: float) -> None:
        """Learn from a batch that was embedded in this time."""
        if chunks < self.FEWEST // 2:
            return  # too few to tell
        fitting = int(chunks / max(seconds, 1e-6) * self.SECONDS)
        self.chunks = max(self.FEWEST, min(fitting, self.chunks * self.GROWTH))

    def note_reuse(self, chunks: int, embedded: int) -> None:
        """Learn from a batch most vectors of which were there already."""
        if embedded < chunks // self.GROWTH:
            self.chunks = max(self.chunks, min(chunks * self.GROWTH, self.UNMEASURED))


class Speed:
    """How many entities a thread reads at a time: fewer, the longer it waits for each.

    Few at first; one by one where each has to be waited for.
    """

    SECONDS = 0.1
    MOST = 64
    GROWTH = 4

    def __init__(self) -> None:
        self.entities = 8

    def note(self, entities: int, seconds: float) -> None:
        """Learn from a group for which a thread has waited so long."""
        fitting = int(entities / max(seconds, 1e-6) * self.SECONDS)
        most = min(self.MOST, self.entities * self.GROWTH)
        self.entities = max(1, min(fitting, most))


class VectorMemory:
    """Vectors made in this job, by text hash; the oldest go when 64 MB are full."""

    def __init__(self, limit_bytes: int = VECTOR_MEMORY_BYTES) -> None:
        self._limit = limit_bytes
        self._rows: dict[bytes, Matrix] = {}
        self._blocks: deque[tuple[list[bytes], Matrix]] = deque()
        self._bytes = 0

    def get(self, text_hash: bytes) -> Matrix | None:
        return self._rows.get(text_hash)

    def put(self, text_hashes: list[bytes], rows: Matrix) -> None:
        """Keep the rows as they are, without a copy, until they go all at once."""
        self._rows.update(zip(text_hashes, rows, strict=True))
        self._blocks.append((text_hashes, rows))
        self._bytes += rows.nbytes
        while self._bytes > self._limit:
            oldest, gone = self._blocks.popleft()
            self._bytes -= gone.nbytes
            for text_hash in oldest:
                self._rows.pop(text_hash, None)


def matrix(vectors: Vectors, dimension: int) -> Matrix:
    """See an embedder's answer as rows, without a copy."""
    return np.frombuffer(vectors.cast("B"), dtype=np.float32).reshape(-1, dimension)
