"""A vendor on a real server, sources connected to it, and trouble in between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import stamina

from wellhead.sources.base import Source
from wellhead.sources.surroundings import Surroundings, Timeouts, Waits
from wellhead.sources.testing.faults import Effect, Reply, Trouble
from wellhead.sources.testing.reading import TRIES, Outcome, read
from wellhead.sources.testing.server import VendorServer
from wellhead.sources.testing.vendor import Vendor

RETRIES = 2
"""So often the client of a source under test repeats a request, at once."""
PLACES = 6
"""Into so many requests of a read a kind of trouble is put, one at a time."""


@dataclass(slots=True)
class Stage:
    """One account, its server, and everything that its sources were lent."""

    vendor: Vendor
    transport: httpx.AsyncBaseTransport | None = None
    trouble: Trouble = field(default_factory=Trouble)
    timeouts: Timeouts = field(default_factory=Timeouts)
    longest_wait_seconds: float = 3600.0
    slept: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)

    def connect(self) -> Source:
        """Make the source anew."""
        waits = Waits()
        waits.listen(self.told.append)
        return self.vendor.connect(
            Surroundings(
                transport=self.transport,
                timeouts=self.timeouts,
                sleep=self._sleep,
                waits=waits,
                longest_wait_seconds=self.longest_wait_seconds,
            )
        )

    async def read(
        self,
        effect: Effect | None = None,
        *,
        at: int = 0,
        times: int | None = 1,
        cursor: dict[str, Any] | None = None,
        tries: int = TRIES,
    ) -> Outcome:
        """Read once through, with this trouble from the request `at` on."""
        self.trouble = Trouble(effect, at, times)
        source = self.connect()
        try:
            return await read(source, cursor, tries=tries)
        finally:
            await source.close()

    async def first_read(self) -> Outcome:
        """Read without trouble, and know how many requests that takes."""
        outcome = await self.read()
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def places(self) -> list[int]:
        """Return requests of the last read that are far from each other."""
        count = len(self.trouble.requests)
        step = max(1, (count - 1) / (PLACES - 1))
        chosen = {min(round(step * place), count - 1) for place in range(PLACES)}
        return sorted(chosen)

    def respond(self, request: httpx.Request) -> Reply:
        return self.trouble(request, self.vendor.answer(request))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@asynccontextmanager
async def stage(kind: type[Vendor], *, records: int) -> AsyncIterator[Stage]:
    """Open an account with so many records, and serve it."""
    vendor = kind()
    if records:
        vendor.add(records)
    found = Stage(vendor)
    with _without_backoff():
        async with VendorServer(found.respond) as server:
            found.transport = server.transport
            yield found


@contextmanager
def _without_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=RETRIES):
        yield
