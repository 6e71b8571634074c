from datetime import UTC, datetime, timedelta

import pytest

from wellhead.domain.search import HALF_LIFE, Recency

NOW = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
TODAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bias", "changed_at", "share"),
    [
        (1, NOW, 1),
        (1, NOW + timedelta(days=9), 1),
        (1, TODAY - HALF_LIFE, 0.5),
        (1, TODAY - 2 * HALF_LIFE, 0.25),
        (0.5, TODAY - HALF_LIFE, 0.75),
        (0.3, None, 0.7),
        (1, datetime(1, 1, 1, tzinfo=UTC), 0),
    ],
)
def test_what_is_older_keeps_less(
    bias: float, changed_at: datetime | None, share: float
) -> None:
    assert Recency(bias, NOW).share_kept(changed_at) == pytest.approx(share)


def test_answers_of_one_day_agree() -> None:
    changed_at = datetime(2025, 1, 1, tzinfo=UTC)
    shares = {
        Recency(0.7, TODAY + timedelta(hours=hour)).share_kept(changed_at)
        for hour in range(24)
    }

    assert len(shares) == 1
