"""When single failures are so many that the job itself has failed."""

from collections import deque
from collections.abc import Sequence

from wellhead.domain.errors import JobError

WINDOW = 1_000
TOLERATED = 20
TOLERATED_SHARE = 0.10


class FailureRate:
    """Watches the last thousand entities (sync protocol, section 8)."""

    def __init__(self) -> None:
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._failed = 0

    def add(self, *, well: int, failed: int) -> None:
        """Count entities that went well and that failed, in this order."""
        self._failed += failed
        self._outcomes.extend([True] * min(well, WINDOW))
        self._outcomes.extend([False] * min(failed, WINDOW))

    def judge(self, reasons: Sequence[str]) -> None:
        """Raise JobError when more than 20, and more than 10 % lately, have failed."""
        recent = self._outcomes.count(False)
        if self._failed <= TOLERATED or recent <= TOLERATED_SHARE * len(self._outcomes):
            return
        example = f", the last with: {reasons[-1]}" if reasons else ""
        raise JobError(
            f"{self._failed} entities failed, {recent} of the last"
            f" {len(self._outcomes)}{example}"
        )
