"""What an answer means: nothing, or the error that says what to do next."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from wellhead.domain.errors import (
    CredentialsError,
    EntityError,
    RetryableError,
    SyncError,
)
from wellhead.sources.http.api import Answer, Api
from wellhead.sources.http.errors import DeniedError, GoneError, RefusedError

BUSY = frozenset({403, 429, 503, 529})
PASSING = frozenset({408, 425, 500, 502, 503, 504})
DEFAULT_WAIT_SECONDS = 60.0
"""When the vendor says that it is busy, but not for how long."""
LONGEST_REASON = 300
_REMAINING = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")
_RESET = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_AN_EPOCH = 10**9
"""More seconds than this are a date, not a wait."""
_REASONS = ("message", "error_description", "detail", "error", "title", "reason")


def trouble(api: Api, answer: Answer) -> SyncError | None:
    """Return what a caller has to know of this answer, None if all is well."""
    status = answer.status
    if status < 400:
        return None
    said = f"{api.name} answered {status} to {answer.request}{reason_of(answer)}"
    after = _wait(api, answer)
    if after is not None:
        return RetryableError(said, after=after)
    if status in PASSING or status >= 500:
        return RetryableError(said)
    if status == 401:
        return CredentialsError(said)
    return _refusal(status, said)


def _refusal(status: int, said: str) -> EntityError:
    if status == 403:
        return DeniedError(said)
    if status in (404, 410):
        return GoneError(said, for_good=status == 410)
    return RefusedError(said, status=status)


def _wait(api: Api, answer: Answer) -> float | None:
    """Return for how long the vendor wants no more requests, None if it did not say."""
    if answer.status == 400:
        return api.seconds_if_busy(answer)  # its headers say nothing of that
    if answer.status not in BUSY:
        return None
    asked = retry_after(answer.headers)
    if asked is not None:
        return asked
    is_used_up = any(answer.headers.get(name, "").strip() == "0" for name in _REMAINING)
    if answer.status == 429 or (is_used_up and answer.status != 503):
        reset = _reset(answer.headers)
        return DEFAULT_WAIT_SECONDS if reset is None else reset
    return api.seconds_if_busy(answer) if answer.status == 403 else None


def retry_after(headers: httpx.Headers) -> float | None:
    """Read Retry-After, which is a number of seconds or a date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    seconds = _number(value)
    if seconds is not None:
        return max(0.0, seconds)
    until = _date(value)
    # by the vendor's own clock: ours may be wrong
    now = _date(headers.get("date", ""))
    if until is None or now is None:
        return DEFAULT_WAIT_SECONDS
    return max(0.0, (until - now).total_seconds())


def moment_of(headers: httpx.Headers) -> datetime | None:
    """Return the time of an answer by the vendor's own clock."""
    return _date(headers.get("date", ""))


def _reset(headers: httpx.Headers) -> float | None:
    for name in _RESET:
        seconds = _number(headers.get(name, ""))
        if seconds is None:
            continue
        if seconds < _AN_EPOCH:
            return max(0.0, seconds)
        now = _date(headers.get("date", ""))
        if now is not None:
            return max(0.0, seconds - now.timestamp())
    return None


def _number(value: str) -> float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def reason_of(answer: Answer) -> str:
    """Return the vendor's own words, if it has a few."""
    try:
        said = next(_reasons(answer.json), "")
    except (ValueError, RecursionError):
        is_text = answer.headers.get("content-type", "").startswith("text/plain")
        said = answer.body.decode(errors="replace") if is_text else ""
    said = " ".join(said.split())
    return f": {said[:LONGEST_REASON]}" if said else ""


def _reasons(body: Any) -> Iterator[str]:
    if isinstance(body, list):
        body = body[0] if body else None
    if isinstance(body, str):
        yield body
    if not isinstance(body, dict):
        return
    for name in _REASONS:
        found = body.get(name)
        if isinstance(found, str) and found:
            yield found
        elif isinstance(found, dict | list):
            yield from _reasons(found)
    yield from _reasons(body.get("errors"))


def as_json(api: Api, answer: Answer) -> Any:
    """Return the body as JSON; raises RetryableError, for it may have been cut off."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise RetryableError(
            f"{api.name} answered {answer.request} with what is not JSON"
            f" ({len(answer.body)} bytes)"
        ) from error
