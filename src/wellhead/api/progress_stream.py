"""Progress of a job as server-sent events, while it runs and its reader may read."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message, Send

from wellhead.api.schemas.progress import Connected, Heartbeat
from wellhead.domain.errors import ForbiddenError, UnauthorizedError
from wellhead.services.progress import Follower, Progress, ProgressFeed

HEARTBEAT_SECONDS = 30.0
CHECK_SECONDS = 20.0
"""Whoever follows is asked this often whether it still may."""
SLOW_SECONDS = 60.0
"""Whoever takes nothing for so long is dropped; nothing piles up meanwhile."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

MayGoOn = Callable[[], Awaitable[object]]
"""Raises UnauthorizedError or ForbiddenError when the reader may not go on."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What a stream says of a job's progress."""

    now: Callable[[Progress], BaseModel]
    end: Callable[[Progress], BaseModel]
    """The last message of a job that is over."""
    is_told_before_the_end: bool
    """Whether a job that is over has its state told as well, before the end."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is done."""

    heartbeat_seconds: float = HEARTBEAT_SECONDS
    check_seconds: float = CHECK_SECONDS
    slow_seconds: float = SLOW_SECONDS


class ProgressResponse(StreamingResponse):
    """Ends with its reader, and without one that takes nothing any more.

    Not FastAPI's own, which can neither answer 204 nor drop a reader.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], *, slow_seconds: float) -> None:
        super().__init__(events, headers=HEADERS)
        self._slow_seconds = slow_seconds

    async def stream_response(self, send: Send) -> None:
        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(self._slow_seconds):
                await send(message)

        events: Any = self.body_iterator
        async with aclosing(events):
            # left unfinished, so that the server cuts the reader off
            with suppress(TimeoutError):
                await super().stream_response(send_soon)


def answer_progress(  # what, to whom, how
    feed: ProgressFeed,
    job_id: UUID,
    telling: Telling,
    *,
    may_go_on: MayGoOn,
    last_event_id: str | None,
    pace: Pace,
) -> Response:
    """Stream a job that is known to be there and to be the asking one's.

    A browser reconnects whenever a stream ends; to one that has read the last message
    204 says that there is no more.
    """
    if last_event_id == _last_id(job_id):
        return Response(status_code=204)
    events = _events(feed, job_id, telling, may_go_on, pace)
    return ProgressResponse(events, slow_seconds=pace.slow_seconds)


async def _events(
    feed: ProgressFeed,
    job_id: UUID,
    telling: Telling,
    may_go_on: MayGoOn,
    pace: Pace,
) -> AsyncIterator[bytes]:
    yield _event(Connected(job_id=job_id))
    told: Progress | None = None
    said_at = checked_at = time.monotonic()
    was_current = True
    with feed.follow(job_id) as follower:
        while True:
            newest, is_current = follower.newest, follower.is_current
            is_beat = time.monotonic() - said_at >= pace.heartbeat_seconds
            if newest is not None and newest != told:
                for message in _messages(newest, telling):
                    yield message
                told, said_at = newest, time.monotonic()
            elif is_beat or is_current != was_current:
                yield _event(Heartbeat(database="up" if is_current else "away"))
                said_at = time.monotonic()
            was_current = is_current
            if follower.is_closed or (told is not None and told.job.is_over):
                return
            if time.monotonic() - checked_at >= pace.check_seconds:
                checked_at = time.monotonic()
                if not await _still_may(may_go_on):
                    return
            await _wait(follower, said_at, checked_at, pace)


def _messages(newest: Progress, telling: Telling) -> Iterator[bytes]:
    if not newest.job.is_over or telling.is_told_before_the_end:
        yield _event(telling.now(newest))
    if newest.job.is_over:
        yield _event(telling.end(newest), _last_id(newest.job.id))


async def _wait(
    follower: Follower, said_at: float, checked_at: float, pace: Pace
) -> None:
    until = min(said_at + pace.heartbeat_seconds, checked_at + pace.check_seconds)
    await follower.wait(max(0.0, until - time.monotonic()))


async def _still_may(may_go_on: MayGoOn) -> bool:
    try:
        await may_go_on()
    except (UnauthorizedError, ForbiddenError):
        return False
    except (SQLAlchemyError, OSError):
        return True  # the database is away: it will say at the next turn
    return True


def _event(message: BaseModel, event_id: str | None = None) -> bytes:
    return format_sse_event(data_str=message.model_dump_json(), id=event_id)


def _last_id(job_id: UUID) -> str:
    return f"{job_id}:end"
