"""Following jobs while they run: one reader of the ledger for all who look on."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from wellhead.services.parts import Parts
from wellhead.store import progress as store
from wellhead.store.progress import EntityTypes, JobState

POLL_SECONDS = 0.5
COUNTING_SHARE = 10
"""Counting by type rests so many times as long as it took: ledgers may be large."""
AWAY_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How a job stands at one moment, whole: nothing before it has to be known."""

    job: JobState
    types: EntityTypes


@dataclass(slots=True, eq=False)
class Follower:
    """Who looks on at one job; it keeps only the newest, however slow it reads."""

    job_id: UUID
    newest: Progress | None = None
    is_current: bool = True
    """Whether the ledger could be read when it was last tried."""
    is_closed: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is something new, or after so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()


@dataclass(slots=True)
class ProgressFeed:
    """Reads the jobs that somebody follows, all in one query, and nothing else."""

    parts: Parts
    poll_seconds: float = POLL_SECONDS
    _followers: dict[UUID, set[Follower]] = field(default_factory=dict)
    _types: dict[UUID, EntityTypes] = field(default_factory=dict)
    _reader: asyncio.Task[None] | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _count_at: float = 0.0
    _is_closed: bool = False

    @contextmanager
    def follow(self, job_id: UUID) -> Iterator[Follower]:
        """Follow a job that is known to be there."""
        follower = Follower(job_id, is_closed=self._is_closed)
        self._followers.setdefault(job_id, set()).add(follower)
        self._wake.set()
        if self._reader is None or self._reader.done():
            # it outlives the request that began it, whose name is not to be in its logs
            self._reader = asyncio.create_task(
                self._read(), name="progress", context=Context()
            )
        try:
            yield follower
        finally:
            self._leave(follower)

    @property
    def following(self) -> int:
        """How many look on."""
        return sum(map(len, self._followers.values()))

    @property
    def is_closed(self) -> bool:
        """Tell whether the server is about to end: streams are to end by themselves."""
        return self._is_closed

    def close(self) -> None:
        """Let every follower go, also those who come later."""
        self._is_closed = True
        for follower in self._all():
            follower.is_closed = True
            follower.tell()

    def _all(self) -> list[Follower]:
        return [one for group in self._followers.values() for one in group]

    def _leave(self, follower: Follower) -> None:
        group = self._followers[follower.job_id]
        group.discard(follower)
        if not group:
            del self._followers[follower.job_id]
            self._types.pop(follower.job_id, None)
        if not self._followers and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read(self) -> None:
        """Read as long as anybody follows; the last who leaves cancels it."""
        while True:
            self._wake.clear()
            seconds = self.poll_seconds
            try:
                await self._read_once()
            except Exception as error:  # noqa: BLE001  # those who follow all depend on it
                log.warning("progress cannot be read", error=type(error).__name__)
                self._say_away()
                seconds = AWAY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)

    async def _read_once(self) -> None:
        ids = list(self._followers)
        async with self.parts.db.connect() as connection:
            states = await store.states(connection, ids)
            began = time.monotonic()
            due = self._due(states, is_time=began >= self._count_at)
            if due:
                self._types |= await store.types(connection, due)
                took = time.monotonic() - began
                self._count_at = began + max(1.0, took * COUNTING_SHARE)
        for job_id in ids:
            self._publish(job_id, states.get(job_id))

    def _due(self, states: dict[UUID, JobState], *, is_time: bool) -> list[UUID]:
        """Return the jobs to count by type: new ones, those just over, and in turn."""
        due = []
        for job_id, state in states.items():
            newest = [one.newest for one in self._followers.get(job_id, ())]
            was_over = any(one is not None and one.job.is_over for one in newest)
            has_moved = any(one is None or one.job != state for one in newest)
            is_new = job_id not in self._types
            just_over = state.is_over and not was_over
            if is_new or just_over or (is_time and has_moved and not state.is_over):
                due.append(job_id)
        return due

    def _publish(self, job_id: UUID, state: JobState | None) -> None:
        types = self._types.get(job_id, EntityTypes())
        for follower in self._followers.get(job_id, ()):
            was = follower.newest, follower.is_current, follower.is_closed
            follower.is_current = True
            if state is None:  # its connection was deleted and is gone for good
                follower.is_closed = True
            else:
                follower.newest = Progress(state, types)
            if was != (follower.newest, follower.is_current, follower.is_closed):
                follower.tell()

    def _say_away(self) -> None:
        for follower in self._all():
            if follower.is_current:
                follower.is_current = False
                follower.tell()
