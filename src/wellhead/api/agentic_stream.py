"""A long search on behalf of a client that may go away at any moment."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import structlog
from fastapi import Request

from wellhead.api.schemas.search_stream import (
    AgenticSearchErrorEvent,
    AgenticSearchEvent,
    event_of,
)
from wellhead.domain.errors import BadRequestError, RequestError
from wellhead.search.agentic import explore
from wellhead.search.events import AgenticQuery, Done, Event
from wellhead.search.means import Means

MOST_WAITING = 100
"""Events that a slow reader has yet to take; then the search waits for it."""

Made = TypeVar("Made")
log = structlog.get_logger(__name__)


class Errand:
    """A task that ends with the request that wanted it, however that ends."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None

    def begin(self, work: Coroutine[Any, Any, Made]) -> asyncio.Task[Made]:
        task = asyncio.create_task(work)
        self._task = task
        return task

    async def wait(self, seconds: float) -> None:
        """Return when the task is over, or after so long."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def new_errand() -> AsyncIterator[Errand]:
    """Make an errand for one request: a dependency."""
    errand = Errand()
    try:
        yield errand
    finally:
        await errand.end()


async def finish(
    errand: Errand, request: Request, work: Coroutine[Any, Any, Made]
) -> Made:
    """Return what the work returns; it is given up when the client goes away."""
    task = errand.begin(work)
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    if task.done():
        return task.result()
    log.info("search given up: the client went away")
    raise BadRequestError("The client went away")  # for the log: nobody reads it


async def attended(request: Request, work: Coroutine[Any, Any, Made]) -> Made:
    """Return what the work returns, as `finish` does, of which nothing is left over."""
    errand = Errand()
    try:
        return await finish(errand, request, work)
    finally:
        await errand.end()


async def follow(
    errand: Errand, means: Means, asked: AgenticQuery
) -> AsyncIterator[AgenticSearchEvent]:
    """Search, and yield what happens; the last event is `done` or `error`."""
    started = time.monotonic()
    waiting: asyncio.Queue[Event | AgenticSearchErrorEvent] = asyncio.Queue(
        MOST_WAITING
    )
    errand.begin(_search(means, asked, waiting, started))
    while True:
        event = await waiting.get()
        if isinstance(event, AgenticSearchErrorEvent):
            yield event
            return
        yield event_of(event)
        if isinstance(event, Done):
            return


def failure(message: str, started: float) -> AgenticSearchErrorEvent:
    took = round((time.monotonic() - started) * 1000)
    return AgenticSearchErrorEvent(message=message, duration_ms=took)


async def _search(
    means: Means,
    asked: AgenticQuery,
    waiting: asyncio.Queue[Event | AgenticSearchErrorEvent],
    started: float,
) -> None:
    try:
        await explore(means, asked, waiting.put)
    except RequestError as error:
        await waiting.put(failure(error.message, started))
    except Exception:  # the answer has begun: an error page cannot follow
        log.exception("streamed search failed", collection_id=str(asked.collection_id))
        await waiting.put(failure("The search failed; please try again", started))


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
