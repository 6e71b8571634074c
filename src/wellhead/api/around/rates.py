"""How much one organization may ask in a minute, counted by each API process."""

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from uuid import UUID

from fastapi import Request

from wellhead.api.auth import Caller
from wellhead.domain.errors import RequestError

RATE = "rate"
"""Where the state of a request holds its organization's rate."""
WINDOW_SECONDS = 60
_UNLIMITED = ((b"ratelimit-limit", b"9999"), (b"ratelimit-remaining", b"9999"))


class RateLimitedError(RequestError):
    """The organization asked too much; `after` seconds it may ask again."""

    status = 429

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message)
        self.after = after


@dataclass(frozen=True, slots=True)
class Rate:
    """What an organization may still ask, and when it may ask again if nothing."""

    most: int
    remaining: int
    reset: float
    """Seconds since 1970."""
    is_exceeded: bool


class RateLimits:
    """Counts requests of the last minute, by organization; none that was refused."""

    def __init__(self, most: int, *, window_seconds: float = WINDOW_SECONDS) -> None:
        self._most, self._seconds = most, window_seconds
        self._asked: defaultdict[UUID, deque[float]] = defaultdict(deque)

    def count(self, organization_id: UUID) -> Rate:
        """Count one request, unless there were too many already."""
        asked, now = self._asked[organization_id], time.monotonic()
        while asked and asked[0] <= now - self._seconds:
            asked.popleft()
        is_exceeded = len(asked) >= self._most
        if not is_exceeded:
            asked.append(now)
        wait = asked[0] + self._seconds - now if is_exceeded else 0.0
        return Rate(
            most=self._most,
            remaining=self._most - len(asked),
            reset=time.time() + wait,
            is_exceeded=is_exceeded,
        )


def count_request(request: Request, caller: Caller) -> None:
    """Count what was asked with a key; RateLimitedError if it is too much."""
    limits: RateLimits | None = request.app.state.rate_limits
    if limits is None or caller.key is None:
        return
    rate = limits.count(caller.organization_id)
    request.state[RATE] = rate
    if rate.is_exceeded:
        seconds = max(0.0, rate.reset - time.time())
        raise RateLimitedError(
            f"Rate limit exceeded. Please retry after {seconds:.2f} seconds. "
            f"Limit: {rate.most} requests per minute.",
            after=seconds,
        )


def headers_of(rate: Rate | None) -> list[tuple[bytes, bytes]]:
    """Tell a caller the rate; without a limit it may ask thousands of times."""
    if rate is None:
        return [*_UNLIMITED, (b"ratelimit-reset", b"%d" % time.time())]
    return [
        (b"ratelimit-limit", b"%d" % rate.most),
        (b"ratelimit-remaining", b"%d" % rate.remaining),
        (b"ratelimit-reset", b"%d" % rate.reset),
    ]
