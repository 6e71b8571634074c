"""When a connection runs by itself: cron expressions and the moments they mean.

All moments are UTC. A connection starts a little after the moment its cron names, by a
span of its own, so that those who chose the same minute do not all start at once.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from croniter import CroniterBadDateError, CroniterError, croniter

from wellhead.domain.connections import SourceConnection
from wellhead.domain.errors import BadRequestError, InvalidInputError
from wellhead.sources.base import Source

CONTINUOUS_DEFAULT = "*/5 * * * *"
JITTER_EVERY_FEW_MINUTES = timedelta(seconds=10)
JITTER = timedelta(minutes=5)
JITTER_FULL = timedelta(minutes=30)
FULL_RUN_AFTER = timedelta(hours=12)
"""How far the daily full run is from the time of day of the connection's creation."""

_FIELD_COUNT = 5
_EVERY_FEW_MINUTES = re.compile(r"\*(/0*[1-5]?\d)? \* \* \* \*")
_HOURLY = re.compile(r"\d+ \* \* \* \*")
_NOT_THE_SAME_EACH_TIME = re.compile(r"(?i)(?<![a-z])[hr](?![a-z])")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A wish for a schedule; without a cron, for none."""

    cron: str | None = None


def wished_cron(
    source: type[Source], wish: Schedule | None, *, at: datetime, hint: str = ""
) -> str | None:
    """Return the cron that is meant: the source's default where nothing was said.

    Raises InvalidInputError, and BadRequestError with the hint when it is too often.
    """
    if source.is_federated:
        _refuse_cron(source, wish)
        return None
    is_continuous = source.info.supports_continuous
    if wish is None:
        return default_cron(at=at, is_continuous=is_continuous)
    if wish.cron is None:
        return None
    cron = valid_cron(wish.cron, after=at)
    if not is_continuous and _EVERY_FEW_MINUTES.fullmatch(cron) is not None:
        raise BadRequestError(
            f"Source '{source.info.short_name}' does not support continuous syncs. "
            + (hint or "Minimum interval is 1 hour.")
        )
    return cron


def _refuse_cron(source: type[Source], wish: Schedule | None) -> None:
    if wish is not None and wish.cron is not None:
        raise BadRequestError(
            f"Source '{source.info.short_name}' is searched live and never synced, "
            "so it has no schedule: leave it out"
        )


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
    is_cron = (
        plain.count(" ") == _FIELD_COUNT - 1
        and _NOT_THE_SAME_EACH_TIME.search(plain) is None
        and croniter.is_valid(plain)
    )
    try:
        if is_cron:
            next_run(plain, after=after)
            return plain
    except CroniterBadDateError:
        pass  # well formed, like the 31st of February
    raise InvalidInputError(
        f"Invalid CRON expression: {cron}", field="body.schedule.cron"
    )


def next_run(cron: str, *, after: datetime) -> datetime:
    """Return the first moment that the cron names after this one."""
    moment: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return moment


def shown_next_run(cron: str | None, *, after: datetime) -> datetime | None:
    """Return what the cron names next; None if it cannot be read any more."""
    try:
        return None if cron is None else next_run(cron, after=after)
    except CroniterError:
        return None  # told when it is due


def next_runs(cron: str | None, *, after: datetime, most: int = 5) -> list[datetime]:
    """Return the moments that the cron names next, in order; none if it names none."""
    found: list[datetime] = []
    while len(found) < most:
        moment = shown_next_run(cron, after=found[-1] if found else after)
        if moment is None:
            break
        found.append(moment)
    return found


def first_moments(
    source: type[Source],
    cron: str | None,
    *,
    connection_id: UUID,
    created_at: datetime,
    at: datetime,
) -> dict[str, Any]:
    """Return the columns of a connection that has this schedule from now on.

    A source that mostly reads what changed is read whole once a day where its schedule
    is hourly or quicker.
    """
    columns: dict[str, Any] = dict.fromkeys(
        ("next_run_at", "next_full_at", "full_waits_until")
    )
    if cron is not None:
        columns["next_run_at"] = next_run(cron, after=at) + _jitter(cron, connection_id)
        is_quick = _EVERY_FEW_MINUTES.fullmatch(cron) or _HOURLY.fullmatch(cron)
        if is_quick and source.info.is_incremental:
            daily = _full_cron(created_at)
            late = _full_jitter(connection_id)
            columns["next_full_at"] = next_run(daily, after=at) + late
    return columns | {"schedule_cron": cron}


def run_after(one: SourceConnection, *, now: datetime) -> datetime | None:
    """Return when to start it next, its last moment having been dealt with."""
    if one.schedule_cron is None:
        return None
    late = _jitter(one.schedule_cron, one.id)
    return next_run(one.schedule_cron, after=now - late) + late


def full_run_after(one: SourceConnection, *, now: datetime) -> datetime:
    """Return when its next daily full run is, today's having been dealt with."""
    late = _full_jitter(one.id)
    return next_run(_full_cron(one.created_at), after=now - late) + late


def _full_cron(created_at: datetime) -> str:
    moment = created_at.astimezone(UTC) + FULL_RUN_AFTER
    return f"{moment.minute} {moment.hour} * * *"


def _jitter(cron: str, connection_id: UUID) -> timedelta:
    is_quick = _EVERY_FEW_MINUTES.fullmatch(cron) is not None
    return _share(connection_id, b"run") * (
        JITTER_EVERY_FEW_MINUTES if is_quick else JITTER
    )


def _full_jitter(connection_id: UUID) -> timedelta:
    return _share(connection_id, b"full") * JITTER_FULL


def _share(connection_id: UUID, purpose: bytes) -> float:
    """Return a number from 0 to below 1 that stays with the connection."""
    digest = hashlib.blake2b(connection_id.bytes, digest_size=4, person=purpose)
    return int.from_bytes(digest.digest()) / 2**32
