"""How far a reading came: what a checkpoint remembers, and goes on from."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from wellhead.domain.errors import CursorInvalidError
from wellhead.domain.items import Checkpoint


@dataclass(frozen=True, slots=True)
class Step:
    """Where the listing of one stream is; the next step is within its record."""

    page: str | None = None
    record: str | None = None
    """The last one that was read on this page."""
    inside: str | None = None
    """Which stream is being read for that record; None if all of them were."""


@dataclass(slots=True)
class Progress:
    """The state of one reading."""

    digest: str
    """Of definition and config: a cursor of others says nothing."""
    since: dict[str, str] = field(default_factory=dict)
    """By stream, until when former readings know everything."""
    marks: dict[str, str] = field(default_factory=dict)
    """By stream, when this reading began with it."""
    done: list[str] = field(default_factory=list)
    trail: list[Step] = field(default_factory=list)
    is_listing: bool = True

    @classmethod
    def at(cls, cursor: dict[str, Any] | None, digest: str) -> "Progress":
        """Begin, or go on; raises CursorInvalidError."""
        if cursor is None:
            return cls(digest)
        if cursor.get("definition") != digest:
            raise CursorInvalidError("the source's definition or config is another now")
        return cls(
            digest,
            since=dict(cursor["since"]),
            marks=dict(cursor["marks"]),
            done=list(cursor["done"]),
            trail=[Step(*one) for one in cursor["trail"]],
            is_listing=bool(cursor["is_listing"]),
        )

    def step(self, depth: int) -> Step:
        return self.trail[depth] if depth < len(self.trail) else Step()

    def move(self, depth: int, **to: str | None) -> None:
        """Say where the listing at a depth is; what was deeper is over."""
        step = replace(self.step(depth), **to)
        self.trail[depth:] = [step]

    def turn(self, depth: int, page: str) -> None:
        self.trail[depth:] = [Step(page)]

    def leave(self, depth: int) -> None:
        del self.trail[depth:]

    def mark(self, stream: str, at: datetime | None) -> None:
        """Remember when the reading of a stream began, by the vendor's own clock."""
        if at is not None:
            self.marks.setdefault(stream, at.isoformat())

    def finish(self, stream: str) -> None:
        self.done.append(stream)
        self.trail.clear()

    def checkpoint(self) -> Checkpoint:
        trail = [[one.page, one.record, one.inside] for one in self.trail]
        return self._checkpoint(self.since, self.marks, self.done, trail)

    def end(self) -> Checkpoint:
        """Return the cursor of the next reading."""
        self.is_listing = False
        return self._checkpoint({**self.since, **self.marks}, {}, [], [])

    def _checkpoint(
        self,
        since: dict[str, str],
        marks: dict[str, str],
        done: list[str],
        trail: list[list[str | None]],
    ) -> Checkpoint:
        return Checkpoint(
            {
                "definition": self.digest,
                "is_listing": self.is_listing,
                "since": dict(since),
                "marks": dict(marks),
                "done": list(done),
                "trail": trail,
            }
        )
