"""When a connection runs by itself: cron expressions, checked and explained."""

import re
from datetime import datetime

from croniter import CroniterBadDateError, croniter

from wellhead.domain.errors import BadRequestError, InvalidInputError

CONTINUOUS_DEFAULT = "*/5 * * * *"
_FIELD_COUNT = 5
_SUB_HOURLY = re.compile(r"\*(/\d+)? \* \* \* \*")


def default_cron(*, at: datetime, is_continuous: bool) -> str:
    """Return the schedule of a connection whose owner did not ask for one."""
    if is_continuous:
        return CONTINUOUS_DEFAULT
    return f"{at.minute} {at.hour} * * *"


def valid_cron(cron: str, *, after: datetime) -> str:
    """Return the five fields with single spaces, if such a moment ever comes.

    Raises InvalidInputError.
    """
    plain = " ".join(cron.split())
    is_cron = plain.count(" ") == _FIELD_COUNT - 1 and croniter.is_valid(plain)
    try:
        if is_cron:
            next_run(plain, after=after)
            return plain
    except CroniterBadDateError:
        pass  # well formed, like the 31st of February
    raise InvalidInputError(
        f"Invalid CRON expression: {cron}", field="body.schedule.cron"
    )


def require_interval(cron: str, *, is_continuous: bool, refusal: str) -> None:
    """Refuse runs every few minutes for a source that always lists everything."""
    if not is_continuous and _SUB_HOURLY.fullmatch(cron) is not None:
        raise BadRequestError(refusal)


def next_run(cron: str, *, after: datetime) -> datetime:
    """Return the first moment of the schedule after this one, in UTC."""
    moment: datetime = croniter(cron, after).get_next(type(after))
    return moment
