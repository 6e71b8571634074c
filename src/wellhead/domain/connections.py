"""A source connection: one customer's configured source, and its status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.consents import ConsentLink
from wellhead.domain.errors import CREDENTIALS
from wellhead.domain.jobs import JobLine, JobStatus


class ConnectionStatus(StrEnum):
    """Computed from the last job; values as on the wire."""

    ACTIVE = "active"
    PENDING_AUTH = "pending_auth"
    SYNCING = "syncing"
    ERROR = "error"
    NEEDS_REAUTH = "needs_reauth"
    INACTIVE = "inactive"
    PENDING_SYNC = "pending_sync"


class AuthMethod(StrEnum):
    """How a connection proves who it is; values as on the wire."""

    DIRECT = "direct"
    OAUTH_BROWSER = "oauth_browser"
    OAUTH_TOKEN = "oauth_token"  # noqa: S105  # a method's name, not a secret
    OAUTH_BYOC = "oauth_byoc"
    AUTH_PROVIDER = "auth_provider"

    @property
    def is_oauth(self) -> bool:
        return self.is_in_browser or self is AuthMethod.OAUTH_TOKEN

    @property
    def is_in_browser(self) -> bool:
        """Tell whether it ends in a browser, not in the request."""
        return self in (AuthMethod.OAUTH_BROWSER, AuthMethod.OAUTH_BYOC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConnection:
    """The row of a connection; what it holds of credentials is elsewhere."""

    id: UUID
    organization_id: UUID
    collection_id: UUID
    readable_collection_id: str
    short_name: str
    name: str
    created_at: datetime
    modified_at: datetime
    description: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    auth_method: AuthMethod = AuthMethod.DIRECT
    is_authenticated: bool = True
    is_federated: bool = False
    """Its source is asked at every search, and never synced."""
    is_deleting: bool = False
    paused_reason: str | None = None
    cursor: dict[str, Any] | None = None
    needs_full: bool = False
    reconciled_at: datetime | None = None
    schedule_cron: str | None = None
    next_run_at: datetime | None = None
    """When the scheduler starts it: the moment of the cron, and a little later."""
    next_full_at: datetime | None = None
    """When it is read whole, for schedules that mostly read what changed."""
    full_waits_until: datetime | None = None
    """So long the full run that is due waits for the job that is open."""


@dataclass(slots=True)  # a frozen one takes ten times as long to make, by the hundred
class ConnectionLine:
    """A connection as lists show it; its names and values are those of the answer."""

    id: UUID
    name: str
    short_name: str
    readable_collection_id: str
    created_at: datetime
    modified_at: datetime
    is_authenticated: bool
    entity_count: int
    federated_search: bool
    auth_method: str
    status: str
    """A ConnectionStatus; one declared so takes twice as long to write."""


@dataclass(frozen=True, slots=True)
class RunTotals:
    """How many jobs a connection ever had, and how they ended."""

    total: int
    successful: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDetails:
    """A connection with everything that is shown of it."""

    connection: SourceConnection
    last_job: JobLine | None
    totals: RunTotals
    entity_types: Mapping[str, tuple[int, datetime]]
    """By type: how many can be searched, and when the last one was committed."""
    deletes_held: Mapping[str, int]
    """By scope: deletes that wait for a second listing or a person's word."""
    next_run: datetime | None = None
    """What its cron names next; it starts a little later."""
    consent: ConsentLink | None = None
    """Where its owner has to go, as long as that is what it waits for."""

    @property
    def status(self) -> ConnectionStatus:
        last = self.last_job
        return connection_status(
            is_authenticated=self.connection.is_authenticated,
            last_status=None if last is None else last.status,
            error_category=None if last is None else last.error_category,
        )

    @property
    def needs_its_owner(self) -> bool:
        """Tell whether the last job failed for a reason that its owner can mend."""
        return self.last_job is not None and self.last_job.error_category is not None

    @property
    def has_sync(self) -> bool:
        """Tell whether it ever ran or is to run by itself."""
        return self.last_job is not None or self.connection.schedule_cron is not None


@dataclass(slots=True)  # made by the hundred, as ConnectionLine is
class Member:
    """What a collection shows of a connection, and what its own status follows from."""

    short_name: str
    name: str
    status: ConnectionStatus
    ever_ran: bool
    """Whether a job completed or is being worked on, or none is needed."""


def connection_status(
    *, is_authenticated: bool, last_status: str | None, error_category: str | None
) -> ConnectionStatus:
    """Derive the status from the last job, in the order the public contract fixes."""
    if not is_authenticated:
        return ConnectionStatus.PENDING_AUTH
    if last_status in (JobStatus.RUNNING, JobStatus.CANCELLING):
        return ConnectionStatus.SYNCING
    if last_status == JobStatus.FAILED:
        needs_reauth = error_category in CREDENTIALS
        return ConnectionStatus.NEEDS_REAUTH if needs_reauth else ConnectionStatus.ERROR
    return ConnectionStatus.ACTIVE
