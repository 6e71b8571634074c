"""A batch: what one transaction T2 commits together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wellhead.domain.entities import Entity
from wellhead.store.ledger import Known
from wellhead.store.quarantine import Failed
from wellhead.store.scopes import ScopeRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An entity whose text was read, hashed and split: ready to embed and write.

    `entity` is its stored form, so its key is not that of the entity.
    """

    entity: Entity
    key: bytes
    scope: str
    known: Known | None
    inserted_by: UUID | None
    content_hash: bytes
    meta: str
    meta_hash: bytes
    texts: Sequence[str]
    text_hashes: Sequence[bytes]
    characters: int
    """Of the texts and the metadata."""


LARGE_CHARACTERS = 16 * 2**20
"""Memory holds one batch of more than this at a time."""
PART_CHUNKS = 5_000
PART_BYTES = 32 * 2**20
"""What one append may hold; a larger entity is appended in parts, under one version."""
_VECTOR_VALUE_BYTES = 4
_FIXED_BYTES = 200


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive chunks of one entity."""

    loaded: Loaded
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def texts(self) -> Sequence[str]:
        whole = self.loaded.texts
        return whole if len(self) == len(whole) else whole[self.start : self.end]

    @property
    def text_hashes(self) -> Sequence[bytes]:
        whole = self.loaded.text_hashes
        return whole if len(self) == len(whole) else whole[self.start : self.end]


def parts_of(writes: Sequence[Loaded], dimension: int) -> list[list[Part]]:
    """Divide entities into what is embedded and appended at once."""
    found: list[list[Part]] = []
    chunks = size = 0
    for loaded in writes:
        each = _chunk_bytes(loaded, dimension)
        most = max(1, min(PART_CHUNKS, PART_BYTES // each))
        for start in range(0, len(loaded.texts), most):
            part = Part(loaded, start, min(start + most, len(loaded.texts)))
            count = len(part)
            chunks, size = chunks + count, size + count * each
            if not found or chunks > PART_CHUNKS or size > PART_BYTES:
                found.append([])
                chunks, size = count, count * each
            found[-1].append(part)
    return found


def _chunk_bytes(loaded: Loaded, dimension: int) -> int:
    """Estimate what a chunk takes in the index: each repeats its entity's columns."""
    entity = loaded.entity
    size = _FIXED_BYTES + dimension * _VECTOR_VALUE_BYTES
    size += loaded.characters // (len(loaded.texts) or 1)
    size += len(entity.source_id) + len(entity.name) + len(entity.type)
    for step in entity.breadcrumbs:
        size += len(step.entity_id) + len(step.name) + len(step.entity_type)
    return size


@dataclass(slots=True)
class Batch:
    """Filled while a page is prepared; closed when it is committed."""

    writes: list[Loaded] = field(default_factory=list)
    chunks: int = 0
    characters: int = 0
    kept: int = 0
    keeps: dict[str, list[bytes]] = field(default_factory=dict)
    """Unchanged entities by the scope in which they were met: they may have moved."""
    versions: dict[bytes, str] = field(default_factory=dict)
    """New source versions of equal content."""
    deletes: list[bytes] = field(default_factory=list)
    skips: dict[bytes, str] = field(default_factory=dict)
    """Standing permanent failures, with their scopes: seen, and nothing else."""
    failed: list[Failed] = field(default_factory=list)
    healed: list[bytes] = field(default_factory=list)
    """Keys with an open failure that this batch settles if it does not fail again."""
    scopes: list[ScopeRun] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    ends_page: bool = False
    """Failures of a page come first, so only its end tells their share."""

    def write(self, loaded: Loaded) -> None:
        self.writes.append(loaded)
        self.chunks += len(loaded.texts)
        self.characters += loaded.characters

    def keep(self, key: bytes, scope: str, version: str | None = None) -> None:
        self.kept += 1
        self.keeps.setdefault(scope, []).append(key)
        if version is not None:
            self.versions[key] = version

    def keep_all(self, met: Iterable[tuple[bytes, str]]) -> None:
        """Keep unchanged entities, each with the scope in which it was met."""
        for key, scope in met:
            self.keep(key, scope)

    @property
    def is_large(self) -> bool:
        return self.characters > LARGE_CHARACTERS

    @property
    def is_empty(self) -> bool:
        return not (
            self.writes
            or self.keeps
            or self.deletes
            or self.skips
            or self.failed
            or self.scopes
            or self.checkpoint is not None
            or self.ends_page
        )

    @property
    def keys(self) -> set[bytes]:
        """Every entity that this batch may change."""
        return {
            *(loaded.key for loaded in self.writes),
            *self.deletes,
            *(failed.entity_key for failed in self.failed),
        }
