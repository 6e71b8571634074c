"""How connections and jobs look to the people who run an installation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wellhead.domain.jobs import Counts, JobMode, JobStatus


class ConnectionState(StrEnum):
    """What a connection is doing, or what keeps it from doing it."""

    SYNCING = "syncing"
    CANCELLING = "cancelling"
    QUEUED = "queued"
    STUCK = "stuck"
    """A job is open, and nothing has happened to it for too long."""
    NEEDS_CREDENTIALS = "needs_credentials"
    PAUSED = "paused"
    """No job starts by itself until somebody mends the configuration."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    SYNCED = "synced"
    NEVER_RAN = "never_ran"


TROUBLE = (
    ConnectionState.STUCK,
    ConnectionState.NEEDS_CREDENTIALS,
    ConnectionState.PAUSED,
    ConnectionState.FAILED,
)
"""States in which somebody should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionGlance:
    """A connection, what it did last, and what of it waits for somebody."""

    id: UUID
    name: str
    short_name: str
    readable_collection_id: str
    collection_name: str
    state: ConnectionState
    entity_count: int
    failed_entities: int
    """In quarantine now."""
    deletes_held: bool
    schedule_cron: str | None
    next_run_at: datetime | None
    created_at: datetime
    job_id: UUID | None
    job_started_at: datetime | None
    job_completed_at: datetime | None
    error: str | None

    @property
    def needs_attention(self) -> bool:
        return bool(self.state in TROUBLE or self.failed_entities or self.deletes_held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which connections are meant; None leaves nothing out."""

    readable_collection_id: str | None = None
    containing: str | None = None
    """A part of the name, or of the source's."""
    state: ConnectionState | None = None
    needs_attention: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """All of an organization's connections in a few numbers."""

    states: Mapping[ConnectionState, int]
    collections: int
    needs_attention: int
    """How many should be looked at, for whatever reason."""

    @property
    def connections(self) -> int:
        return sum(self.states.values())

    def of(self, *states: ConnectionState) -> int:
        return sum(self.states.get(one, 0) for one in states)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGlance:
    """A job that is open, as a line that moves."""

    id: UUID
    connection_id: UUID
    connection_name: str
    short_name: str
    status: JobStatus
    mode: JobMode
    phase: str | None
    counts: Counts
    created_at: datetime
    started_at: datetime | None
    progress_at: datetime | None
    waiting_until: datetime | None
    lease_until: datetime | None
    attempt: int
    expected: int | None
    """How many entities the last full listing showed, if there was one."""

    @property
    def done(self) -> int:
        one = self.counts
        return one.inserted + one.updated + one.kept + one.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job that is over, from the record of what was told."""

    id: UUID
    connection_id: UUID
    connection_name: str | None
    """None once the connection is gone."""
    short_name: str | None
    status: JobStatus
    ended_at: datetime
    inserted: int
    updated: int
    deleted: int
    failed: int
    error: str | None
    sequence: int
    """Its place in the record: pages begin before it."""


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """Something that happened to a job; `counts` as they were then."""

    what: str
    at: datetime
    who: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Growth:
    """How many of the entities that are there now had come by the end of a day."""

    day: datetime
    entity_type: str
    arrived: int
