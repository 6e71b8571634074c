"""Reading a source as a job would: over passing trouble, and with deletes in mind."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from wellhead.domain.entities import Entity
from wellhead.domain.errors import RetryableError
from wellhead.domain.items import (
    ROOT_SCOPE,
    Checkpoint,
    Delete,
    Failure,
    Item,
    Listed,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Shown,
    Upsert,
    Waiting,
    parent_scope,
)
from wellhead.sources.base import Source

TRIES = 3


@dataclass(slots=True)
class Outcome:
    """What a job would know after a read."""

    entities: dict[bytes, Entity] = field(default_factory=dict)
    seen: dict[bytes, str] = field(default_factory=dict)
    """Everything that a listing showed, and in which scope."""
    deleted: dict[bytes, Ref] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)
    """Scopes whose listing is complete."""
    checkpoint: dict[str, Any] | None = None
    error: Exception | None = None
    _open: list[str] = field(default_factory=list)
    _gaps: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Read on after a crash: scopes open anew, what was seen stays."""
        self._open.clear()

    def take(self, item: Item) -> None:
        match item:
            case Upsert() | Listed() | Seen() | Delete():
                self._know(item)
            case Failure():
                self._miss(item)
            case ScopeStart(scope):
                self._open.append(scope)
            case ScopeEnd(scope, complete):
                self._end(scope, is_complete=complete)
            case Checkpoint(token):
                self.checkpoint = json.loads(json.dumps(token))
            case Waiting(seconds):
                self.waits.append(seconds)

    def _miss(self, failure: Failure) -> None:
        self.failures.append(failure)
        if failure.ref is None:
            self._gaps.add(self._scope)
        else:
            self._see(failure.ref.key)

    def _know(self, item: Shown | Seen | Delete) -> None:
        if isinstance(item, Delete):
            self.deleted[item.key] = item.ref
            self.entities.pop(item.key, None)
            return
        self._see(item.key)
        if isinstance(item, Shown):
            self.entities[item.key] = item.entity
            self.deleted.pop(item.key, None)

    @property
    def is_whole(self) -> bool:
        return ROOT_SCOPE in self.whole

    def lost(self, before: "Outcome") -> list[bytes]:
        """Return what a job would delete that was there in a former listing."""
        if self.error is not None:
            return []
        return [
            key
            for key, scope in before.seen.items()
            if key not in self.seen and self._is_swept(scope)
        ]

    @property
    def _scope(self) -> str:
        return self._open[-1] if self._open else ROOT_SCOPE

    def _see(self, key: bytes) -> None:
        self.seen[key] = self._scope

    def _end(self, scope: str, *, is_complete: bool) -> None:
        if scope in self._open:
            self._open.remove(scope)
        if is_complete and scope not in self._gaps:
            self.whole.add(scope)
        else:
            self._gaps.add(scope)
            self.whole.discard(scope)

    def _is_swept(self, scope: str) -> bool:
        """A scope that was not listed at all goes with a whole parent."""
        if scope in self.whole or scope in self._gaps:
            return scope in self.whole
        parent = parent_scope(scope)
        return parent is not None and self._is_swept(parent)


async def read(
    source: Source, cursor: dict[str, Any] | None = None, *, tries: int = TRIES
) -> Outcome:
    """Read to the end, going on from the last checkpoint after passing trouble."""
    outcome = Outcome(checkpoint=cursor)
    for left in reversed(range(tries)):
        outcome.begin()
        outcome.error = await _drain(source.read(outcome.checkpoint), outcome)
        error = outcome.error
        is_passing = isinstance(error, RetryableError) and error.after is None
        if not left or not is_passing:
            break
    return outcome


async def take_all(items: AsyncIterator[Item]) -> Outcome:
    """Take what `ids` or `fetch` yield."""
    outcome = Outcome()
    outcome.error = await _drain(items, outcome)
    return outcome


async def _drain(items: AsyncIterator[Item], outcome: Outcome) -> Exception | None:
    """Take all that comes, and return what ended it."""
    try:
        async for item in items:
            outcome.take(item)
    except Exception as error:  # noqa: BLE001  # told to who asked for the check
        return error
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
    return None
