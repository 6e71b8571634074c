"""A limit holds in every window, however requests are spread."""

import pytest

from wellhead.sources.http.limits import LocalLimiter
from wellhead.sources.rate_limits import RateLimit

LIMITS = [(1, 1.0), (5, 1.0), (10, 1.0), (100, 60.0), (5_000, 3_600.0), (7, 0.5)]


class Timer:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(("requests", "seconds"), LIMITS)
async def test_no_window_holds_more_than_the_limit(
    requests: int, seconds: float
) -> None:
    time = Timer()
    limit = RateLimit(requests=requests, seconds=seconds)
    limiter = LocalLimiter(limit, time=time)
    sent = []
    for _ in range(3 * requests + 5):
        time.at += await limiter.turn()
        sent.append(time.at)

    most = max(
        sum(begin <= other < begin + seconds - 1e-6 for other in sent)
        for begin in sent[:: max(1, len(sent) // 200)]
    )
    assert most <= requests
    # and what is allowed is used
    assert sent[requests - 1] - sent[0] <= seconds * 1.1


async def test_a_tenth_may_go_out_at_once_after_a_pause() -> None:
    time = Timer()
    limiter = LocalLimiter(RateLimit(requests=100, seconds=10), time=time)

    turns = [await limiter.turn() for _ in range(11)]

    assert turns[:10] == pytest.approx([0.0] * 10)
    assert turns[10] > 0.1


async def test_nobody_asks_while_the_vendor_wants_silence() -> None:
    time = Timer()
    limiter = LocalLimiter(RateLimit(requests=100, seconds=10), time=time)

    await limiter.hold(30)

    assert await limiter.turn() == pytest.approx(30)


@pytest.mark.parametrize(("requests", "seconds"), [(0, 1.0), (1, 0.0)])
def test_a_limit_allows_something(requests: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one request"):
        RateLimit(requests=requests, seconds=seconds)
