"""Commits that other writers were in the way of."""

import re
from collections.abc import AsyncIterator

import stamina

_CONFLICT = re.compile(r"commit conflict|too many concurrent writers", re.IGNORECASE)


def retries() -> AsyncIterator[stamina.Attempt]:
    """Try again after a commit conflict: Lance then wrote nothing."""
    return stamina.retry_context(
        on=is_conflict, attempts=10, timeout=60, wait_initial=0.05, wait_max=3
    )


def is_conflict(error: Exception) -> bool:
    return _CONFLICT.search(str(error)) is not None
