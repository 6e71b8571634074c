"""A batch: what one transaction T2 commits together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wellhead.domain.entities import Entity
from wellhead.store.ledger import Known
from wellhead.store.quarantine import Failed
from wellhead.store.scopes import ScopeRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An entity whose text was read, hashed and split: ready to embed and write."""

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


@dataclass(slots=True)
class Batch:
    """Filled while a page is prepared; closed when it is committed."""

    writes: list[Loaded] = field(default_factory=list)
    keeps: dict[bytes, str | None] = field(default_factory=dict)
    """Unchanged entities; a value is the new source version of equal content."""
    seen_in: dict[bytes, str] = field(default_factory=dict)
    """The scope in which each kept or skipped entity was met: it may have moved."""
    deletes: list[bytes] = field(default_factory=list)
    skips: list[bytes] = field(default_factory=list)
    """Standing permanent failures: seen, and nothing else."""
    failed: list[Failed] = field(default_factory=list)
    healed: list[bytes] = field(default_factory=list)
    """Keys with an open failure that this batch settles if it does not fail again."""
    scopes: list[ScopeRun] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    ends_page: bool = False
    """Failures of a page come first, so only its end tells their share."""

    @property
    def chunks(self) -> int:
        return sum(len(loaded.texts) for loaded in self.writes)

    @property
    def characters(self) -> int:
        return sum(loaded.characters for loaded in self.writes)

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
