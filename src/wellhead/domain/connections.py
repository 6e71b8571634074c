"""A source connection: one customer's configured source, and its status."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.errors import CREDENTIALS
from wellhead.domain.jobs import JobLine, JobStatus, SyncJob


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


def connection_status(
    connection: SourceConnection, last_job: SyncJob | JobLine | None
) -> ConnectionStatus:
    """Derive the status in the order the public contract fixes."""
    if not connection.is_authenticated:
        return ConnectionStatus.PENDING_AUTH
    if last_job is None:
        return ConnectionStatus.ACTIVE
    if last_job.status in (JobStatus.RUNNING, JobStatus.CANCELLING):
        return ConnectionStatus.SYNCING
    if last_job.status is JobStatus.FAILED:
        needs_reauth = last_job.error_category in CREDENTIALS
        return ConnectionStatus.NEEDS_REAUTH if needs_reauth else ConnectionStatus.ERROR
    return ConnectionStatus.ACTIVE
