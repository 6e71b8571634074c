"""Parts of pages that renew themselves: each is sent whole whenever it has changed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from wellhead.api.console.visits import Visit, still_member
from wellhead.api.progress_stream import SLOW_SECONDS, ProgressResponse
from wellhead.domain.errors import RequestError

EVERY_SECONDS = 1.0
BEAT_SECONDS = 15.0
CHECK_SECONDS = 20.0
AWAY = "The database cannot be read just now"
_REST = 5
"""So many times as long as looking took there is a rest."""
_AWAY = (psycopg.Error, SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class Shown:
    """Parts by the ids of their places in the page; after the last ones, no more."""

    parts: Mapping[str, str]
    is_over: bool = False


Show = Callable[[], Awaitable[Shown]]


def stream(visit: Visit, show: Show, *, every: float = EVERY_SECONDS) -> Response:
    """Send parts as they change, until it is over or the session has ended."""
    return ProgressResponse(_events(visit, show, every), slow_seconds=SLOW_SECONDS)


async def _events(visit: Visit, show: Show, every: float) -> AsyncIterator[bytes]:
    telling = _Telling(visit, show)
    yield event("hello", visit.console.assets.mark)
    while not visit.console.feed.is_closed:
        began = time.monotonic()
        for one in await telling.news():
            yield one
        if telling.is_over:
            return
        took = time.monotonic() - began
        # what is costly to look at is looked at less often
        await asyncio.sleep(max(every, took * _REST))


@dataclass(slots=True)
class _Telling:
    """What a browser was told last, and when."""

    visit: Visit
    show: Show
    is_over: bool = False
    _parts: dict[str, str] = field(default_factory=dict)
    _is_away: bool = False
    _said_at: float = field(default_factory=time.monotonic)
    _checked_at: float = field(default_factory=time.monotonic)

    async def news(self) -> list[bytes]:
        """Return what to say now, which may be nothing."""
        try:
            await self._check()
            shown = await self.show()
        except RequestError as error:
            self.is_over = True
            return [event("end", error.message)]
        except _AWAY:
            was_away, self._is_away = self._is_away, True
            return [] if was_away else [event("away", AWAY)]
        return self._changes(shown)

    async def _check(self) -> None:
        if time.monotonic() - self._checked_at >= CHECK_SECONDS:
            self._checked_at = time.monotonic()
            await still_member(self.visit)

    def _changes(self, shown: Shown) -> list[bytes]:
        changed = {
            name: html
            for name, html in shown.parts.items()
            if self._parts.get(name) != html
        }
        self._parts |= changed
        said = [event("parts", changed)] if changed or self._is_away else []
        if not said and time.monotonic() - self._said_at >= BEAT_SECONDS:
            said = [b": still here\n\n"]
        self._is_away = False
        if said:
            self._said_at = time.monotonic()
        if shown.is_over:
            self.is_over = True
            said.append(event("end", ""))
        return said


def event(kind: str, data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
