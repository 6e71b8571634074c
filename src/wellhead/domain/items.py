"""What a source yields while it is read (sync protocol, section 6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from wellhead.domain.entities import NOT_TOLD, Access, Entity, entity_key
from wellhead.domain.errors import FailureClass, FailureStage

ROOT_SCOPE = ""


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one entity of a source without its content."""

    type: str
    source_id: str

    @property
    def key(self) -> bytes:
        return entity_key(self.type, self.source_id)


@dataclass(frozen=True, slots=True)
class Upsert:
    """The entity exists and looks like this; it belongs to the innermost open scope."""

    entity: Entity

    @property
    def key(self) -> bytes:
        return self.entity.key

    @property
    def version(self) -> str | None:
        return self.entity.source_version

    @property
    def access(self) -> Access:
        return self.entity.access


class Listed(NamedTuple):
    """An Upsert that is described only if it is new or changed: listing costs little.

    `describe` returns the entity of this type, id, version and access as it was when it
    was listed. It neither waits nor raises. `weight` tells how many characters it holds
    in memory for that. (A tuple: there are many, and it is made in half the time.)
    """

    type: str
    source_id: str
    version: str | None
    describe: Callable[[], Entity]
    access: Access = NOT_TOLD
    weight: int = 0

    @property
    def key(self) -> bytes:
        return entity_key(self.type, self.source_id)

    @property
    def entity(self) -> Entity:
        return self.describe()


@dataclass(frozen=True, slots=True)
class Delete:
    """The source itself said that the entity is gone."""

    ref: Ref

    @property
    def key(self) -> bytes:
        return self.ref.key


@dataclass(frozen=True, slots=True)
class Seen:
    """The entity still exists; nothing else is known (ids-only listing)."""

    ref: Ref

    @property
    def key(self) -> bytes:
        return self.ref.key


@dataclass(frozen=True, slots=True)
class Failure:
    """The source could not read one thing; without a ref the scope is incomplete."""

    ref: Ref | None
    reason: str
    failure_class: FailureClass = FailureClass.TRANSIENT
    stage: FailureStage = FailureStage.READ
    source_version: str | None = None


@dataclass(frozen=True, slots=True)
class ScopeStart:
    """A part of the source whose listing can be complete by itself.

    Scopes are paths ("db/public.users"); the parent of "a/b" is "a", of "a" the
    root "". An entity belongs to the scope that was started last and has not ended.
    """

    scope: str = ROOT_SCOPE


@dataclass(frozen=True, slots=True)
class ScopeEnd:
    """Every live entity of the scope was yielded, if `complete`."""

    scope: str = ROOT_SCOPE
    complete: bool = True
    confirmed_empty: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything yielded before may be committed together with this JSON token."""

    token: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The source waits for a rate limit for this many seconds (0 = goes on)."""

    seconds: float


Shown = Upsert | Listed
"""What says how an entity looks."""
OfEntity = Shown | Delete | Seen | Failure
Item = OfEntity | ScopeStart | ScopeEnd | Checkpoint | Waiting


def parent_scope(scope: str) -> str | None:
    """Return the scope one level up, None for the root."""
    if scope == ROOT_SCOPE:
        return None
    return scope.rpartition("/")[0]
