"""Reading a source into pages, with a bounded lead (sync protocol, section 11)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from wellhead.domain.errors import RetryableError
from wellhead.domain.items import (
    ROOT_SCOPE,
    Checkpoint,
    Delete,
    Failure,
    Item,
    Listed,
    OfEntity,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
    Waiting,
)
from wellhead.sources.surroundings import Waits
from wellhead.store.database import is_gone
from wellhead.store.scopes import COMPLETE, INCOMPLETE, STARTED, ScopeRun
from wellhead.sync import patience
from wellhead.sync.failing import reason
from wellhead.sync.storable import stored_scope

PAGE_ITEMS = 2_048
PAGE_CHARACTERS = 8 * 1024 * 1024
PAGE_SECONDS = 2.0
LEAD_BYTES = 64 * 1024 * 1024
LONGEST_WAIT_SECONDS = 24 * 60 * 60.0
"""A source that wants to wait for longer says so again."""
CLOSE_SECONDS = 10.0
"""How long a source may take to clean up after itself; what lasts longer runs on."""
STOP_SECONDS = 0.5
"""The same for a job that was told to stop."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Page:
    """Consecutive items; of several with one key the last that says what it is."""

    items: dict[bytes, tuple[OfEntity, str]] = field(default_factory=dict)
    scopes: list[ScopeRun] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    waiting_seconds: float | None = None
    size: int = 0
    characters: int = 0

    @property
    def is_full(self) -> bool:
        return self.size >= PAGE_ITEMS or self.characters >= PAGE_CHARACTERS


class Intake:
    """Pulls items in a task of its own, so a slow source does not hold a page back.

    Errors of the source are raised from `pages`, after everything before them.
    """

    def __init__(
        self,
        items: AsyncIterator[Item],
        *,
        scopes: dict[str, str] | None = None,
        incomplete: dict[str, str] | None = None,
        waits: Waits | None = None,
    ) -> None:
        """`scopes` maps keys (hex) to scopes for items outside a listing.

        `waits` is where the source's client tells of waits in between items.
        """
        self._items = items
        self._lead: deque[Item | Exception | None] = deque()
        """What was read and is in no page yet; an error or None ends it."""
        self._bytes = 0
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._next_error: Exception | None = None
        self._wait_seconds = 0.0
        self._open: list[str] = []
        self._scope = ROOT_SCOPE
        """The innermost that is open."""
        self._broken: dict[str, str] = {}
        self._scopes = scopes or {}
        self._incomplete = incomplete or {}
        if waits is not None:
            waits.listen(self._hear)

    async def pages(self) -> AsyncGenerator[Page, None]:
        """Yield pages of up to 2,048 items, or of what came within two seconds.

        Raises RetryableError when nothing comes for too long.
        """
        reader = asyncio.create_task(self._pull())
        try:
            while True:
                page, ended = await self._fill()
                yield page
                if ended:
                    break
        finally:
            await _end(reader)

    async def _pull(self) -> None:
        try:
            async for item in self._items:
                self._bytes += _weight(item)
                self._lead.append(item)
                self._came.set()
                if len(self._lead) >= PAGE_ITEMS or self._bytes > LEAD_BYTES:
                    self._room.clear()
                    await self._room.wait()
            self._lead.append(None)
        except Exception as error:  # noqa: BLE001  # raised again by pages()
            self._lead.append(_as_trouble_of_the_source(error))
        finally:
            self._came.set()
            if isinstance(self._items, AsyncGenerator):
                await self._items.aclose()

    def _hear(self, seconds: float) -> None:
        """Put a wait where it happens: behind what was read before it."""
        self._lead.append(Waiting(seconds))
        self._came.set()

    async def _fill(self) -> tuple[Page, bool]:
        page = Page()
        deadline = asyncio.get_running_loop().time() + PAGE_SECONDS
        item = self._next_error or await self._first()
        while not isinstance(item, Exception) and item is not None:
            self._take(page, item)
            if page.is_full or page.waiting_seconds is not None:
                self._make_room()
                return page, False
            try:
                item = (
                    self._lead.popleft() if self._lead else await self._next(deadline)
                )
            except TimeoutError:
                return page, False
        if item is None:
            return page, True
        if page.size and self._next_error is None:
            self._next_error = item  # what came before it is committed first
            return page, False
        raise item

    async def _first(self) -> Item | Exception | None:
        """Wait for the source; what it has announced as a wait does not count."""
        seconds = patience.STUCK_SECONDS
        now = asyncio.get_running_loop().time()
        try:
            return await self._next(now + seconds + self._wait_seconds)
        except TimeoutError as error:
            raise RetryableError(
                f"nothing came from it for {patience.spoken(seconds)}"
            ) from error

    async def _next(self, deadline: float) -> Item | Exception | None:
        while not self._lead:
            self._make_room()
            self._came.clear()
            async with asyncio.timeout_at(deadline):
                await self._came.wait()
        return self._lead.popleft()

    def _make_room(self) -> None:
        if len(self._lead) < PAGE_ITEMS and self._bytes <= LEAD_BYTES:
            self._room.set()

    def _take(self, page: Page, item: Item) -> None:
        weight = _weight(item)
        page.size += 1
        page.characters += weight
        self._bytes -= weight
        self._wait_seconds = 0.0
        match item:
            case Upsert() | Listed():
                key = item.key
                page.items[key] = (item, self._scope_of(key))
            case Delete() | Seen():
                key = item.key
                page.items[key] = (_richer(page, key, item), self._scope_of(key))
            case Failure(ref=Ref() as ref):
                page.items[ref.key] = (item, self._scope_of(ref.key))
            case Waiting(seconds):
                self._wait_seconds = shortened(seconds)
                page.waiting_seconds = self._wait_seconds
            case _ if self._scopes:
                pass  # entities fetched one by one are no listing
            case Checkpoint(token):
                page.checkpoint = token
            case Failure() | ScopeStart() | ScopeEnd():
                page.scopes.append(self._scope_run(item))

    def _scope_run(self, item: Failure | ScopeStart | ScopeEnd) -> ScopeRun:
        match item:
            case Failure():
                scope, said = self._scope_of(b""), reason(item.reason)
                self._broken[scope] = said
                return ScopeRun(scope, INCOMPLETE, reason=said)
            case ScopeStart():
                scope = stored_scope(item.scope)
                self._open.append(scope)
                self._scope = scope
                self._broken.pop(scope, None)
                if gap := self._incomplete.get(scope):
                    # resumed, not begun anew; one who resumes again must know it, too
                    return ScopeRun(scope, INCOMPLETE, reason=gap)
                return ScopeRun(scope, STARTED)
            case ScopeEnd():
                return self._ended(item)

    def _scope_of(self, key: bytes) -> str:
        scope = self._scope
        return self._scopes.get(key.hex(), scope) if self._scopes else scope

    def _ended(self, end: ScopeEnd) -> ScopeRun:
        scope = stored_scope(end.scope)
        if scope in self._open:
            self._open.remove(scope)
            self._scope = self._open[-1] if self._open else ROOT_SCOPE
        broken = self._broken.pop(scope, self._incomplete.get(scope))
        is_whole = end.complete and broken is None
        return ScopeRun(
            scope,
            COMPLETE if is_whole else INCOMPLETE,
            end.confirmed_empty,
            broken,
        )


def shortened(seconds: float) -> float:
    """Return a wait that a source asked for as one that can be announced."""
    return min(seconds, LONGEST_WAIT_SECONDS) if seconds > 0 else 0.0


def _as_trouble_of_the_source(error: Exception) -> Exception:
    """A database that a connector lost is not ours, and may come back."""
    return RetryableError(str(error)) if is_gone(error) else error


async def _end(reader: asyncio.Task[None]) -> None:
    """Stop reading; a source that does not let go is left behind."""
    reader.cancel()
    asking = asyncio.current_task()
    is_hurried = asking is not None and asking.cancelling() > 0
    seconds = STOP_SECONDS if is_hurried else CLOSE_SECONDS
    await asyncio.wait({reader}, timeout=seconds)
    if not reader.done():
        _log.warning("a source does not stop", waited_seconds=seconds)
    elif not reader.cancelled() and reader.exception() is not None:
        _log.warning("a source broke while it stopped", error=str(reader.exception()))


def _richer(page: Page, key: bytes, item: Delete | Seen) -> OfEntity:
    """Return what is known of the entity: having seen it does not make it unread."""
    if isinstance(item, Seen) and key in page.items:
        before, _ = page.items[key]
        return item if isinstance(before, Delete) else before
    return item


def _weight(item: Item) -> int:
    if isinstance(item, Listed):
        return item.weight
    if isinstance(item, Upsert) and item.entity.text is not None:
        return len(item.entity.text)
    return 0
