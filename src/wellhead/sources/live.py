"""Asking federated sources: each within its time, and a few questions at once."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from pydantic import ValidationError

from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    JobError,
    NotFoundError,
    SyncError,
    WellheadError,
)
from wellhead.sources.base import FederatedSource

AT_ONCE = 4
"""Questions to one connection at a time; others wait, within their own time."""
SECONDS = 5.0

Make = Callable[[], FederatedSource]
log = structlog.get_logger(__name__)


class SilentError(WellheadError):
    """A federated source did not answer; the message is public and holds no secret."""


class LiveDesk:
    """Asks for everybody in this process; nobody waits for a source that hangs."""

    def __init__(self, *, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._turns: WeakValueDictionary[UUID, asyncio.Semaphore] = (
            WeakValueDictionary()
        )
        self._tasks: set[asyncio.Task[Sequence[Entity]]] = set()

    async def ask(
        self, connection_id: UUID, make: Make, query: str, limit: int
    ) -> Sequence[Entity]:
        """Return what the connection's source finds; raises SilentError.

        What takes too long, or is not waited for any more, is cancelled; a source
        that goes on regardless keeps its turn, so that it cannot be asked for ever.
        """
        turns = self._turns.get(connection_id)
        if turns is None:
            turns = self._turns[connection_id] = asyncio.Semaphore(self._at_once)
        task = asyncio.create_task(_asked(turns, make, query, limit))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            task.cancel()  # of what is done it changes nothing
        if not task.done():
            raise SilentError(f"it did not answer within {self._seconds:g} seconds")
        try:
            return task.result()
        except Exception as error:
            raise SilentError(_why(connection_id, error)) from error

    def _forget(self, task: asyncio.Task[Sequence[Entity]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it is told already, or nobody waits for it


async def _asked(
    turns: asyncio.Semaphore, make: Make, query: str, limit: int
) -> Sequence[Entity]:
    async with turns:
        source = make()
        try:
            return (await source.search(query, limit))[:limit]
        finally:
            await source.close()


def _why(connection_id: UUID, error: Exception) -> str:
    """Return our own words: those of sources may hold what nobody should read."""
    match error:
        case CredentialsError():
            why = "it refused the credentials"
        case ConfigError() | ValidationError():
            why = "its configuration is not right"
        case NotFoundError():
            why = "its source is not installed here"
        case JobError():
            why = "its OAuth client or the server's key is not right"
        case SyncError():
            why = "it could not be reached, or is busy"
        case _:
            why = "it failed"
    known = isinstance(error, WellheadError)
    log.warning(
        "a federated source did not answer",
        connection_id=str(connection_id),
        why=why,
        error=type(error).__name__,
        exc_info=None if known else error,
    )
    return why
