"""Counting entities once per job, however often they changed in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from wellhead.domain.jobs import Counts
from wellhead.store.ledger import Change


@dataclass(frozen=True, slots=True)
class Tally:
    """By how much the counts of a job move."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
        )


def tally(earlier: Mapping[bytes, Change], now: Mapping[bytes, Change]) -> Tally:
    """Return the difference that `now` makes to what `earlier` already counted."""
    total = Tally()
    for key, change in now.items():
        total += _of(change)
        if key in earlier:
            once = _of(earlier[key])
            total += Tally(-once.inserted, -once.updated, -once.deleted)
    return total


def _of(change: Change) -> Tally:
    return Tally(
        inserted=int(change.after and not change.before),
        updated=int(change.after and change.before),
        deleted=int(change.before and not change.after),
    )


def add(counts: Counts, moved: Tally, *, kept: int = 0, failed: int = 0) -> Counts:
    """Return the job's counts after a batch."""
    return Counts(
        inserted=counts.inserted + moved.inserted,
        updated=counts.updated + moved.updated,
        deleted=counts.deleted + moved.deleted,
        failed=counts.failed + failed,
        kept=counts.kept + kept,
    )


def columns(counts: Counts) -> dict[str, object]:
    """Return counts as columns of the job's row."""
    return {
        "inserted": counts.inserted,
        "updated": counts.updated,
        "deleted": counts.deleted,
        "failed": counts.failed,
        "kept": counts.kept,
    }
