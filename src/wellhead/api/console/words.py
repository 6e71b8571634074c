"""Numbers, moments and states in the words of people."""

from datetime import UTC, datetime

from wellhead.domain.glances import ConnectionState
from wellhead.domain.jobs import JobStatus

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""
MINUS = "\N{MINUS SIGN}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SPANS = (
    (365 * _DAY, "year"),
    (30 * _DAY, "month"),
    (_DAY, "day"),
    (_HOUR, "hour"),
    (_MINUTE, "minute"),
)
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_THOUSAND = 1000
_SOON = 45

STATES: dict[str, tuple[str, str]] = {
    ConnectionState.SYNCING: ("Syncing", "info"),
    ConnectionState.CANCELLING: ("Cancelling", "warn"),
    ConnectionState.QUEUED: ("Queued", "info"),
    ConnectionState.STUCK: ("Stuck", "bad"),
    ConnectionState.NEEDS_CREDENTIALS: ("Needs credentials", "bad"),
    ConnectionState.PAUSED: ("Paused: configuration", "bad"),
    ConnectionState.FAILED: ("Failed", "bad"),
    ConnectionState.CANCELLED: ("Cancelled", "quiet"),
    ConnectionState.SYNCED: ("Synced", "good"),
    ConnectionState.NEVER_RAN: ("Never ran", "quiet"),
}
"""What a connection's state is called, and its tone."""
STATUSES: dict[str, tuple[str, str]] = {
    JobStatus.PENDING: ("Queued", "info"),
    JobStatus.RUNNING: ("Running", "info"),
    JobStatus.COMPLETED: ("Completed", "good"),
    JobStatus.FAILED: ("Failed", "bad"),
    JobStatus.CANCELLING: ("Cancelling", "warn"),
    JobStatus.CANCELLED: ("Cancelled", "quiet"),
}
PHASES = {
    "syncing": "Reading the source",
    "retrying": "Trying again what failed before",
    "reconciling": "Comparing all ids with the source",
    "sweeping": "Removing what is gone from the source",
}
TRIGGERS = {
    "manual": "Started by hand",
    "schedule": "Started by its schedule",
    "retry": "Started to try failures again",
    "scrub": "Started to mend the index",
}
TIMELINE = {
    "sync.pending": "Queued",
    "sync.running": "A worker took it up",
    "sync.cancelling": "Asked to stop",
    "sync.completed": "Completed",
    "sync.failed": "Failed",
    "sync.cancelled": "Cancelled",
    "sync_job.cancelled": "Cancel requested",
}


def count(number: float | None) -> str:
    """Write a whole number with thin groups, such as 1,234,567."""
    return NOTHING if number is None else f"{number:,.0f}"


def short_count(number: float) -> str:
    """Write a number in a few characters, such as 1.2M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:,.0f}"


def changes(inserted: int, updated: int, deleted: int) -> str:
    """Say what a job changed in a few characters, with a sign for each kind."""
    given = (("+", inserted), ("~", updated), (MINUS, deleted))
    said = [f"{sign}{short_count(number)}" for sign, number in given if number]
    return " ".join(said) or "no changes"


def plural(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """Write a span with its two largest units at most."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{max(0, seconds) * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def about(seconds: float) -> str:
    """Write a span as people guess it."""
    if seconds < _SOON:
        return "less than a minute"
    if seconds < 90 * _MINUTE:
        return "about " + plural(max(1, round(seconds / _MINUTE)), "minute")
    if seconds < 2 * _DAY:
        return "about " + plural(round(seconds / _HOUR), "hour")
    return "about " + plural(round(seconds / _DAY), "day")


def relative(moment: datetime, now: datetime) -> str:
    """Say how long ago, or in how long; the script says it again as time goes on."""
    seconds = (now - moment).total_seconds()
    span = abs(seconds)
    if span < _SOON:
        return "just now" if seconds >= 0 else "in a moment"
    for size, one in _SPANS:
        if span >= size * 0.95:
            said = plural(max(1, round(span / size)), one)
            return f"{said} ago" if seconds > 0 else f"in {said}"
    return "a minute ago" if seconds > 0 else "in a minute"


def moment(at: datetime | None) -> str:
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def size(number: float | None) -> str:
    """Write bytes, such as 1.4 GB."""
    if number is None:
        return NOTHING
    place = 0
    while number >= _THOUSAND and place < len(_UNITS) - 1:
        number, place = number / _THOUSAND, place + 1
    return (
        f"{number:.0f} {_UNITS[place]}"
        if place == 0
        else f"{number:.3g} {_UNITS[place]}"
    )


def rate(per_second: float | None) -> str:
    """Write how quick something is, per second or per minute."""
    if per_second is None:
        return NOTHING
    if 0 < per_second < 1:
        return f"{per_second * _MINUTE:.1f} / min"
    exact = f"{per_second:.1f}" if per_second < 10 else short_count(per_second)
    return f"{exact} / s"


def named(name: str) -> str:
    """Write a name of a program as people would: `entity_type` as `Entity type`."""
    plain = name.replace("_", " ").replace(".", ": ").strip()
    return plain[:1].upper() + plain[1:]
