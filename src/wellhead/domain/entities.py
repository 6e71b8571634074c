"""An entity: one thing in a source, as the source describes it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Breadcrumb:
    """One step of the way from the source's root to an entity."""

    entity_id: str
    name: str
    entity_type: str


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see an entity; None for `viewers` means the source does not say."""

    viewers: tuple[str, ...] | None = None
    is_public: bool | None = None


NOT_TOLD = Access()
"""The source says nothing of who may see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file fetched only when its version changed.

    `open` returns a local path that stays valid until the entity was prepared, and
    raises EntityError or RetryableError. `size` is in bytes, as listed; a guess if
    the file is only put together when it is opened.
    """

    name: str
    size: int
    open: Callable[[], Path]
    media_type: str | None = None
    is_size_guessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What a source yields for one thing: identity, metadata, and text or a file.

    `source_version` (etag, revision, mtime and size) equal to the ledger's means the
    content is not looked at; None means compare content. `name` and `url` are shown
    to people; `raw` is returned as `raw_source_fields` and must be JSON.
    """

    type: str
    source_id: str
    name: str
    text: str | None = None
    blob: Blob | None = None
    source_version: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    url: str = ""
    access: Access = field(default_factory=Access)
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> bytes:
        """The 16-byte identity of this entity within its connection."""
        return entity_key(self.type, self.source_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityName:
    """What tells an entity from all others of an organization, as searches show it."""

    readable_id: str
    connection_id: UUID
    entity_type: str
    entity_id: str
    """The id that the source gave it."""


def entity_key(entity_type: str, source_id: str) -> bytes:
    """Return blake2b-128 over type and id, code point by code point.

    Ids that only look the same are two: to a source they can name two things.
    """
    ident = source_id.encode("utf-8", "surrogatepass")
    return blake2b(_prefix(entity_type) + ident, digest_size=16).digest()


@lru_cache(maxsize=1_000)
def _prefix(entity_type: str) -> bytes:
    """Return the type and its length, which tells where it ends, whatever it holds."""
    kind = entity_type.encode("utf-8", "surrogatepass")
    return len(kind).to_bytes(8) + kind
