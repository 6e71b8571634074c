"""What the modelled source holds, and how it tells of it in one job."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from wellhead.domain.entities import Blob, Entity
from wellhead.domain.errors import (
    CredentialsError,
    CursorInvalidError,
    EntityError,
    FailureClass,
    FailureStage,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
    Waiting,
)

SCOPES = {"": "abc", "left": "def", "left/deep": "ghi", "right": "jkl"}
SCOPE_OF = {key: scope for scope, keys in SCOPES.items() for key in keys}
KEYS = "".join(SCOPES.values())
REFUSED = "indigestible"
"""A text with this word is refused by the embedder, whenever it is tried."""

Step = tuple[str, str]


def _listing_order() -> Iterator[Step]:
    yield "start", ""
    yield from (("key", key) for key in SCOPES[""])
    yield "start", "left"
    yield from (("key", key) for key in SCOPES["left"])
    yield "start", "left/deep"
    yield from (("key", key) for key in SCOPES["left/deep"])
    yield "end", "left/deep"
    yield "end", "left"
    yield "start", "right"
    yield from (("key", key) for key in SCOPES["right"])
    yield "end", "right"
    yield "end", ""


ORDER = tuple(_listing_order())


@dataclass(frozen=True, slots=True)
class State:
    """One entity as the source has it; `bad` says where its content is refused."""

    text: str
    name: str
    version: str | None = None
    bad: FailureStage | None = None
    is_file: bool = False


@dataclass(slots=True)
class Source:
    """The world, its log of changes, and what kind of source shows them."""

    is_incremental: bool
    yields_deletes: bool
    can_fetch: bool
    folder: Path
    world: dict[str, State] = field(default_factory=dict)
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    log: list[tuple[str, State | None]] = field(default_factory=list)
    checkpoints: int = 0
    refused: int = 0
    """Cursors up to this one are refused for ever."""

    @property
    def lists_ids(self) -> bool:
        return self.is_incremental and not self.yields_deletes

    def put(self, key: str, state: State) -> None:
        self.world[key] = state
        self.log.append((key, state))

    def remove(self, key: str) -> None:
        if self.world.pop(key, None) is not None:
            self.log.append((key, None))

    def entity(self, key: str, state: State) -> Entity:
        shared: dict[str, Any] = {
            "type": "Thing",
            "source_id": key,
            "name": state.name,
            "source_version": state.version,
        }
        if state.bad is FailureStage.CONVERT:
            return Entity(blob=Blob(name="x.txt", size=1, open=_refuse), **shared)
        if state.is_file:
            path = self.folder / f"{crc32(state.text.encode())}.txt"
            path.write_text(state.text)
            size = len(state.text)
            return Entity(
                blob=Blob(name="x.txt", size=size, open=lambda: path), **shared
            )
        return Entity(text=state.text, **shared)


def _refuse() -> Path:
    raise EntityError("cannot be converted", stage=FailureStage.CONVERT)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What goes wrong with the source in one job; the same at every attempt."""

    cut: dict[str, int] = field(default_factory=dict)
    """Scopes that end incomplete, and after how many of their keys."""
    cut_by_failure: bool = False
    twice: frozenset[str] = frozenset()
    """Keys listed twice: first as they never were, then as they are."""
    failing: frozenset[str] = frozenset()
    """Keys that the source cannot read in this job."""
    failing_once: set[str] = field(default_factory=set)
    failing_class: FailureClass = FailureClass.TRANSIENT
    unindexable: frozenset[str] = frozenset()
    """Keys that the index refuses in this job."""
    break_at: int | None = None
    credentials_at: int | None = None
    invalid_cursor: bool = False
    confirmed_empty: bool = False
    waits_at: int | None = None
    checkpoint_every: int = 1
    compact_log: bool = True
    force_full: bool = False
    confirm_deletes: int | None = None

    def shows(self, key: str) -> bool:
        """Tell whether a full listing comes as far as this key's place."""
        scope = SCOPE_OF[key]
        return scope not in self.cut or SCOPES[scope].index(key) < self.cut[scope]

    def is_first_hidden(self, key: str) -> bool:
        scope = SCOPE_OF[key]
        return SCOPES[scope].index(key) == self.cut[scope]


@dataclass(slots=True)
class Teller:
    """Yields the source's items by a plan, and remembers what it has yielded."""

    source: Source
    plan: Plan
    at_item: Callable[[], Awaitable[None]]
    tokens: dict[int, dict[str, State | None]] = field(default_factory=dict)
    """For each checkpoint: what had been yielded before it, by key."""
    told: dict[str, list[State | None]] = field(default_factory=dict)
    """Everything yielded in this job, by key, in order."""
    deleted: set[str] = field(default_factory=set)
    _said: dict[str, State | None] = field(default_factory=dict)

    # --- the doors of a source --------------------------------------------------------

    async def items(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        if cursor is not None and self.plan.invalid_cursor:
            self.plan.invalid_cursor = False
            self.source.refused = self.source.checkpoints
        if cursor is not None and cursor["n"] <= self.source.refused:
            raise CursorInvalidError("this cursor is too old")
        self._said = {} if cursor is None else dict(self.tokens.get(cursor["n"], {}))
        told = (
            self._changes(cursor["log"])
            if cursor is not None and "at" not in cursor
            else self._listing(cursor)
        )
        count = 0
        async for item in told:
            self._trouble(count)
            if self.plan.waits_at == count:
                yield Waiting(0.001)
            yield item
            await self.at_item()
            count += 1

    async def fetched(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        for ref in refs:
            for item in self._item(ref.source_id, self.source.world.get(ref.source_id)):
                yield item
            await self.at_item()

    async def ids(self) -> AsyncIterator[Item]:
        for kind, name in ORDER:
            if kind == "key":
                if self.plan.shows(name):
                    if name in self.source.world:
                        yield Seen(Ref("Thing", name))
                elif self._breaks_off(name):
                    yield Failure(None, "a page of the listing is missing")
            elif name in self.source.scopes:
                yield self._border(kind, name)
            await self.at_item()

    # --- what they say ----------------------------------------------------------------

    def _trouble(self, count: int) -> None:
        if self.plan.credentials_at == count:
            raise CredentialsError("the key was revoked")
        if self.plan.break_at == count:
            self.plan.break_at = None
            raise RetryableError("the connection broke", after=0.0)

    async def _listing(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        done = -1 if cursor is None else int(cursor["at"])
        high = len(self.source.log) if cursor is None else int(cursor["log"])
        for at, (kind, name) in enumerate(ORDER):
            if kind == "key":
                items = self._at_key(name, at, high) if at > done else ()
            else:
                items = self._at_border(kind, name, at, done)
            for item in items:
                yield item
        yield self._checkpoint({"log": high})

    def _at_key(self, key: str, at: int, high: int) -> Iterator[Item]:
        if not self.plan.shows(key):
            if self._breaks_off(key):
                yield Failure(None, "a page of the listing is missing")
                yield self._checkpoint({"at": at, "log": high})
            return
        if key in self.source.world:
            yield from self._item(key, self.source.world[key])
        if at % self.plan.checkpoint_every == 0:
            yield self._checkpoint({"at": at, "log": high})

    def _at_border(self, kind: str, scope: str, at: int, done: int) -> Iterator[Item]:
        """After a checkpoint, scopes that were open then are started again."""
        is_open = kind == "start" and ORDER.index(("end", scope)) > done
        if scope in self.source.scopes and (at > done or is_open):
            yield self._border(kind, scope)

    def _breaks_off(self, key: str) -> bool:
        """Tell whether the listing says at this place that it is not whole."""
        is_first = self.plan.is_first_hidden(key)
        is_listed = SCOPE_OF[key] in self.source.scopes
        return self.plan.cut_by_failure and is_first and is_listed

    def _border(self, kind: str, scope: str) -> Item:
        if kind == "start":
            return ScopeStart(scope)
        return ScopeEnd(
            scope,
            complete=scope not in self.plan.cut or self.plan.cut_by_failure,
            confirmed_empty=self.plan.confirmed_empty,
        )

    async def _changes(self, since: int) -> AsyncIterator[Item]:
        log = self.source.log
        for at in range(since, len(log)):
            key, state = log[at]
            is_last = all(name != key for name, _ in log[at + 1 :])
            if self.source.yields_deletes:
                is_told = is_last or not self.plan.compact_log
            else:
                is_told = is_last and state is not None
            if is_told:
                yield ScopeStart(SCOPE_OF[key])
                for item in self._item(key, state):
                    yield item
                yield ScopeEnd(SCOPE_OF[key], complete=False)
            yield self._checkpoint({"log": at + 1})

    def _item(self, key: str, state: State | None) -> Iterator[Item]:
        ref = Ref("Thing", key)
        if state is None:
            self.deleted.add(key)
            self._note(key, None)
            yield Delete(ref)
            return
        if key in self.plan.failing or key in self.plan.failing_once:
            self.plan.failing_once.discard(key)
            self._said.pop(key, None)
            yield Failure(ref, "busy", self.plan.failing_class)
            return
        if key in self.plan.twice:
            stale = State(f"content {key} never was", "Nothing")
            self._note(key, stale)
            yield Upsert(self.source.entity(key, stale))
        self._note(key, state)
        yield Upsert(self.source.entity(key, state))

    def _note(self, key: str, state: State | None) -> None:
        self.told.setdefault(key, []).append(state)
        self._said[key] = state

    def _checkpoint(self, token: dict[str, Any]) -> Item:
        self.source.checkpoints += 1
        number = self.source.checkpoints
        self.tokens[number] = dict(self._said)
        return Checkpoint({**token, "n": number})
