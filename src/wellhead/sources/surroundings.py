"""What the program lends a source: turns under a limit, and patience."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from wellhead.domain.ports import RateLimiter


class Waits:
    """Where a source says that it waits, for whoever reads it to tell others."""

    def __init__(self) -> None:
        self._listener: Callable[[float], None] = lambda _: None
        self._under_way = 0
        self._steps = 0

    def steps(self) -> int:
        """Grows as long as a wait is under way: who waits as told is not stuck."""
        self._steps += self._under_way > 0
        return self._steps

    def listen(self, listener: Callable[[float], None]) -> None:
        """Hear of waits from now on: their seconds at the beginning, 0 at the end."""
        self._listener = listener

    @asynccontextmanager
    async def wait(self, seconds: float) -> AsyncIterator[None]:
        """Say that a wait of so many seconds is under way."""
        self._under_way += 1
        self._listener(seconds)
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._listener(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a vendor's server may take, in seconds."""

    connect: float = 10.0
    silence: float = 30.0
    """Without a single byte."""
    answer: float = 120.0
    """From a request to the last byte of its answer, however steadily it drips."""
    file: float = 600.0
    """The same for a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything around a source that is not its own to choose.

    All of it has a default, so a source runs by itself in a test or a script.
    """

    limiter: RateLimiter | None = None
    """Shared with others; without it the source keeps to its limit by itself."""
    waits: Waits = field(default_factory=Waits)
    longest_wait_seconds: float = 3600.0
    """A longer wait is raised instead; with 0 every one is."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    allow_private: bool = False
    """Whether sources of the open web may ask addresses that are not on it."""
    transport: httpx.AsyncBaseTransport | None = None
    """Instead of the network, for tests."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
