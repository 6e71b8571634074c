"""Where and how a worker can be made to fail: gates in its steps, parts that refuse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from tests.model.world import REFUSED

from wellhead.domain.chunks import EntityChunks, Vectors
from wellhead.domain.errors import EntityError, FailureStage
from wellhead.domain.ports import Index, IndexReader
from wellhead.embed.null import NullEmbedder
from wellhead.store import quarantine, rollbacks
from wellhead.sync import commit, recover, sweep
from wellhead.worker import endings, run_job

STEPS = (
    (run_job, "_claim"),
    (recover, "finish_rollbacks"),
    (recover, "discard_intents"),
    (recover, "restart_as_full"),
    (recover, "position"),
    (commit, "declare"),
    (commit, "finish"),
    (commit, "_give_up"),
    (sweep, "sweep"),
    (sweep, "_delete"),
    (sweep, "_hold"),
    (sweep, "_forget_failures"),
    (endings, "complete"),
    (endings, "fail"),
    (endings, "cancel"),
)
INNER_STEPS = (
    (commit, "_write"),
    (commit, "_mark"),
    (commit, "delete"),
    (quarantine, "record"),
    (rollbacks, "discard_page"),
    (endings, "_end"),
)
"""Within a transaction: asleep there a worker would hold its locks."""
OTHER_STEPS = ("append", "item")
INNER = frozenset(name for _, name in INNER_STEPS)
NAMES = tuple(name for _, name in (*STEPS, *INNER_STEPS)) + OTHER_STEPS


class Gate:
    """One place, before or after the n-th time of a step; a worker stands still there.

    `error` is raised when it goes on: the answer to a step that was done is lost.
    """

    def __init__(self, name: str, when: str, count: int) -> None:
        self.name, self.when, self.count = name, when, count
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def stand(self) -> None:
        self.reached.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error

    @property
    def is_inner(self) -> bool:
        return self.name in INNER


class Gates:
    """At most one gate is closed at a time; who stood there before goes on as told."""

    def __init__(self) -> None:
        self._closed: Gate | None = None

    def close(self, gate: Gate | None) -> None:
        self._closed = gate

    async def pass_by(self, name: str, when: str) -> None:
        gate = self._closed
        if gate is None or (gate.name, gate.when) != (name, when):
            return
        if gate.count > 0:
            gate.count -= 1
            return
        self._closed = None
        await gate.stand()

    def around(
        self, name: str, step: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def stepped(*words: Any, **more: Any) -> Any:
            await self.pass_by(name, "before")
            result = await step(*words, **more)
            await self.pass_by(name, "after")
            return result

        return stepped

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module, name in (*STEPS, *INNER_STEPS):
            step = getattr(module, name)
            monkeypatch.setattr(module, name, self.around(name, step))


def lost_answer() -> Exception:
    """What a client gets when the server goes away before it has answered."""
    cause = psycopg.OperationalError("server closed the connection unexpectedly")
    return OperationalError("COMMIT", {}, cause, connection_invalidated=True)


class RefusingEmbedder(NullEmbedder):
    """Cuts small, so that entities have several chunks; refuses marked texts."""

    chunk_characters = 60

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if any(REFUSED in text for text in texts):
            raise EntityError("the model refused", stage=FailureStage.EMBED)
        return await super().embed(texts)


class FaultyIndex:
    """The real index behind a gate; some appends fail, before or after they happen."""

    def __init__(self, index: Index, gates: Gates) -> None:
        self._index, self._gates = index, gates
        self.refused: frozenset[bytes] = frozenset()
        self.faults: list[str] = []
        """What befalls the next appends: refuse, lose, slow or nothing."""
        self.slow_search: Gate | None = None
        """Where the next search stands: it has its snapshot, and reads on later."""

    async def append(
        self, table_id: UUID, dimension: int, entities: Sequence[EntityChunks]
    ) -> None:
        await self._gates.pass_by("append", "before")
        if any(one.entity_key in self.refused for one in entities):
            raise OSError("the index refuses this one")
        fault = self.faults.pop() if self.faults else ""
        if fault == "refuse":
            raise OSError("the index is busy")
        await self._index.append(table_id, dimension, entities)
        if fault == "slow":
            await asyncio.sleep(0.05)
        if fault == "lose":
            raise OSError("the answer was lost")
        await self._gates.pass_by("append", "after")

    async def reader(self, table_id: UUID) -> IndexReader:
        gate, self.slow_search = self.slow_search, None
        if gate is not None and gate.when == "before":
            await gate.stand()
        reader = await self._index.reader(table_id)
        if gate is not None and gate.when == "after":
            await gate.stand()
        return reader

    def versions(self, table_id: UUID) -> AsyncIterator[tuple[int, int]]:
        return self._index.versions(table_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)
