"""One vendor's limit, kept to by all workers together."""

import asyncio
from collections import deque
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.sources.rate_limits import RateLimit
from wellhead.store import rate_limits

QUICK_SECONDS = 0.5
"""Whoever uses up what was reserved in less time reserves more the next time."""
MOST_RESERVED = 64


class SharedLimiter:
    """Reserves turns in the ledger: several at once for who needs them quickly.

    What is not used within a twentieth of the limit's time is forfeited, so nobody
    saves turns up and then exceeds the limit together with the others.
    """

    def __init__(
        self, db: AsyncEngine, limit: RateLimit, *, short_name: str, owner: UUID
    ) -> None:
        self._db = db
        self._limit = limit
        self._short_name = short_name
        self._owner = owner
        self._turns: deque[float] = deque()
        """When each of the reserved turns comes, by this loop's clock."""
        self._reserved_at = float("-inf")
        self._count = 1
        self._lock = asyncio.Lock()

    async def turn(self) -> float:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            while self._turns and self._turns[0] < now - self._limit.slack:
                self._turns.popleft()
            if not self._turns:
                await self._reserve()
                now = asyncio.get_running_loop().time()
            return max(0.0, self._turns.popleft() - now)

    async def hold(self, seconds: float) -> None:
        async with self._lock:
            self._turns.clear()
            # the bucket is then so empty that its next turn comes after the silence
            emptied = seconds + (self._limit.burst - 1) * self._limit.interval
            async with self._db.begin() as connection:
                await rate_limits.hold(
                    connection, self._short_name, self._owner, seconds=emptied
                )

    async def _reserve(self) -> None:
        time = asyncio.get_running_loop().time
        is_quick = time() - self._reserved_at < QUICK_SECONDS
        most = min(MOST_RESERVED, max(1, self._limit.burst // 4))
        self._count = min(most, self._count * 2) if is_quick else 1
        interval = self._limit.interval
        async with self._db.begin() as connection:
            begins = await rate_limits.reserve(
                connection,
                self._short_name,
                self._owner,
                seconds=self._count * interval,
            )
        self._reserved_at = time()
        ahead = (self._limit.burst - 1) * interval
        self._turns.extend(
            self._reserved_at + max(0.0, begins + place * interval - ahead)
            for place in range(self._count)
        )
