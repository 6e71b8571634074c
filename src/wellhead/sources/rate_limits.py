"""The limit that a vendor sets on requests, and what follows from it."""

from dataclasses import dataclass
from enum import StrEnum


class RateLimitLevel(StrEnum):
    """Whose requests are counted together; values as on the wire."""

    ORGANIZATION = "org"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """So many requests in any so many seconds, for an organization or a connection.

    A tenth may go out at once; the rest follows evenly, five in a hundred slower than
    it might. So no window of this length, wherever it begins, ever holds more requests
    than the limit, also where some leave a little late.
    """

    requests: int
    seconds: float
    level: RateLimitLevel = RateLimitLevel.ORGANIZATION

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds <= 0:
            raise ValueError("a rate limit allows at least one request in some time")

    @property
    def burst(self) -> int:
        """How many requests may go out at once after a pause."""
        return max(1, self.requests // 10)

    @property
    def interval(self) -> float:
        """The seconds between two requests, once a burst is over."""
        return (self.seconds + self.slack) / (self.requests - self.burst + 1)

    @property
    def slack(self) -> float:
        """How many seconds late a request may leave without breaking the limit."""
        return self.seconds / 20
