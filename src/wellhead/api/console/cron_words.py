"""A cron expression read aloud, where it is of a kind that people write."""

import re

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SHORT = {day[:3].upper(): number for number, day in enumerate(_DAYS)}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_STEP = re.compile(r"\*/(\d+)")
_WEEKDAYS = ("1-5", "MON-FRI")


def read_aloud(cron: str) -> str:
    """Return a sentence such as “Every day at 04:30 UTC.”; the fields if it is odd."""
    fields = cron.split()
    if len(fields) != 5:
        return "Five fields: minute, hour, day of month, month, day of week."
    minute, hour, day, month, weekday = fields
    when = _time(minute, hour)
    days = _days(day, month, weekday)
    if when is None or days is None:
        return _field_by_field(fields)
    if when.startswith("at ") and days:
        return f"{days} {when} UTC."
    if when.startswith("at "):
        return f"Every day {when} UTC."
    return f"{when}{', ' + days[0].lower() + days[1:] if days else ''}."


def _time(minute: str, hour: str) -> str | None:
    if minute == "*" and hour == "*":
        return "Every minute"
    step = _STEP.fullmatch(minute)
    if step and hour == "*":
        number = int(step[1])
        return "Every minute" if number == 1 else f"Every {number} minutes"
    if not minute.isdigit():
        return None
    if hour == "*":
        return (
            "Every hour, on the hour"
            if int(minute) == 0
            else (f"Every hour, at {int(minute)} minutes past")
        )
    step = _STEP.fullmatch(hour)
    if step:
        return f"Every {int(step[1])} hours, at {int(minute)} minutes past"
    hours = hour.split(",")
    if all(one.isdigit() for one in hours):
        return "at " + _listed([f"{int(one):02}:{int(minute):02}" for one in hours])
    return None


def _days(day: str, month: str, weekday: str) -> str | None:
    """Return which days are meant; an empty text for each, None for odd ones."""
    if month != "*" and not (month.isdigit() and 1 <= int(month) <= len(_MONTHS)):
        return None
    year = "" if month == "*" else f" of {_MONTHS[int(month) - 1]}"
    if day == "*" and weekday == "*":
        return f"Every day{year}" if year else ""
    if day == "*":
        named = _weekdays(weekday)
        return None if named is None or year else named
    if weekday != "*" or not all(one.isdigit() for one in day.split(",")):
        return None
    said = _listed([_ordinal(int(one)) for one in day.split(",")])
    return f"On the {said}{year or ' of each month'}"


def _weekdays(weekday: str) -> str | None:
    if weekday.upper() in _WEEKDAYS:
        return "Every weekday, Monday to Friday,"
    numbers = [_SHORT.get(one.upper(), one) for one in weekday.split(",")]
    if not all(str(one).isdigit() and int(one) <= 7 for one in numbers):
        return None
    return "Every " + _listed([_DAYS[int(one) % 7] for one in numbers])


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _ordinal(number: int) -> str:
    teen = 10 <= number % 100 <= 20
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _field_by_field(fields: list[str]) -> str:
    names = ("minute", "hour", "day of month", "month", "day of week")
    said = [
        f"{name} {field}"
        for name, field in zip(names, fields, strict=True)
        if field != "*"
    ]
    return f"Whenever {_listed(said)} match, in UTC." if said else "Every minute."
