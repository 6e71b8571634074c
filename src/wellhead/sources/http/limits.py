"""Keeping to a vendor's limit within one process."""

import asyncio
from collections.abc import Callable

from wellhead.sources.rate_limits import RateLimit


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


class LocalLimiter:
    """A bucket of one process, for sources that run by themselves."""

    def __init__(
        self, limit: RateLimit, *, time: Callable[[], float] = _monotonic
    ) -> None:
        self._limit = limit
        self._time = time
        self._full_at = float("-inf")
        """When the bucket is full again if nobody takes a turn."""
        self._silent_until = float("-inf")

    async def turn(self) -> float:
        now = self._time()
        begins = max(self._full_at, now)
        self._full_at = begins + self._limit.interval
        at = begins - (self._limit.burst - 1) * self._limit.interval
        return max(at, self._silent_until, now) - now

    async def hold(self, seconds: float) -> None:
        self._silent_until = max(self._silent_until, self._time() + seconds)
