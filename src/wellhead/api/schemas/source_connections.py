"""Source connections as the public contract shows them."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, model_validator

from wellhead.api.schemas.authentication import Authentication, DirectAuthentication
from wellhead.api.schemas.jobs import Category, SyncJobDetails
from wellhead.api.schemas.times import Instant
from wellhead.domain.connections import (
    AuthMethod,
    ConnectionDetails,
    ConnectionLine,
    ConnectionStatus,
)
from wellhead.domain.errors import ErrorCategory
from wellhead.domain.jobs import JobLine, JobStatus
from wellhead.services.connections import (
    ConnectionChange,
    NewConnection,
)
from wellhead.services.schedules import Schedule

_WHAT_TO_DO = {
    ErrorCategory.OAUTH_CREDENTIALS_EXPIRED: "The access to the source has expired or "
    "was revoked. Authenticate this connection again.",
    ErrorCategory.API_KEY_INVALID: "The source refused the credentials. "
    "Update the credentials of this connection.",
    ErrorCategory.AUTH_PROVIDER_ACCOUNT_GONE: "The account at the authentication "
    "provider is gone. Connect it again.",
    ErrorCategory.AUTH_PROVIDER_CREDENTIALS_INVALID: "The authentication provider "
    "refused its credentials. Update them.",
}


ConnectionName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=4, max_length=42)
]


class ScheduleConfig(BaseModel):
    cron: str | None = None
    continuous: bool = False
    cursor_field: str | None = None


class ScheduleDetails(BaseModel):
    cron: str | None = None
    next_run: Instant | None = None
    continuous: bool = False
    cursor_field: str | None = None
    cursor_value: Any | None = None


class AuthenticationDetails(BaseModel):
    method: AuthMethod
    authenticated: bool
    authenticated_at: Instant | None = None
    expires_at: Instant | None = None
    auth_url: str | None = None
    auth_url_expires: Instant | None = None
    redirect_url: str | None = None
    claim_token: str | None = None
    provider_readable_id: str | None = None
    provider_id: str | None = None


class SyncDetails(BaseModel):
    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    last_job: SyncJobDetails | None = None


class EntityTypeStats(BaseModel):
    count: int
    last_updated: Instant | None = None


class EntitySummary(BaseModel):
    total_entities: int = 0
    by_type: dict[str, EntityTypeStats] = {}


class DeletesHeld(BaseModel):
    """Deletes that a person may confirm; the next complete listing may do it, too."""

    count: int
    scopes: dict[str, int]
    confirm_with: str

    @classmethod
    def of(cls, details: ConnectionDetails) -> "DeletesHeld | None":
        count = sum(details.deletes_held.values())
        if not count:
            return None
        path = f"/source-connections/{details.connection.id}/run"
        return cls(
            count=count,
            scopes=dict(details.deletes_held),
            confirm_with=f"POST {path}?confirm_deletes={count}",
        )


class SourceConnection(BaseModel):
    id: UUID
    organization_id: UUID
    name: str
    description: str | None = None
    short_name: str
    readable_collection_id: str
    status: ConnectionStatus
    created_at: Instant
    modified_at: Instant
    auth: AuthenticationDetails
    config: dict[str, Any] | None = None
    schedule: ScheduleDetails | None = None
    sync: SyncDetails | None = None
    sync_id: UUID | None = None
    entities: EntitySummary | None = None
    federated_search: bool = False
    error_category: Category | None = None
    error_message: str | None = None
    provider_settings_url: str | None = None
    provider_short_name: str | None = None
    deletes_held: DeletesHeld | None = None

    @classmethod
    def of(cls, details: ConnectionDetails) -> "SourceConnection":
        one = details.connection
        category, message = _trouble(details.last_job)
        return cls(
            id=one.id,
            organization_id=one.organization_id,
            name=one.name,
            description=one.description,
            short_name=one.short_name,
            readable_collection_id=one.readable_collection_id,
            status=details.status,
            created_at=one.created_at,
            modified_at=one.modified_at,
            auth=_auth(details),
            config=one.config,
            schedule=_schedule(details),
            sync=_sync(details),
            sync_id=one.id if details.has_sync else None,
            entities=_entities(details),
            federated_search=one.is_federated,
            error_category=category,
            error_message=message,
            deletes_held=DeletesHeld.of(details),
        )


def _auth(details: ConnectionDetails) -> AuthenticationDetails:
    one, link = details.connection, details.consent
    told = AuthenticationDetails(
        method=one.auth_method,
        authenticated=one.is_authenticated,
        authenticated_at=one.created_at if one.is_authenticated else None,
    )
    if link is not None:
        told.auth_url, told.auth_url_expires = link.auth_url, link.expires_at
        told.redirect_url, told.claim_token = link.redirect_url, link.claim_token
    return told


def _trouble(job: JobLine | None) -> tuple[str | None, str | None]:
    if job is None or job.status is not JobStatus.FAILED:
        return None, None
    return job.error_category, _WHAT_TO_DO.get(job.error_category, job.error)  # type: ignore[call-overload]


def _schedule(details: ConnectionDetails) -> ScheduleDetails | None:
    if not details.has_sync:
        return None
    return ScheduleDetails(
        cron=details.connection.schedule_cron, next_run=details.next_run
    )


def _sync(details: ConnectionDetails) -> SyncDetails | None:
    if details.last_job is None:
        return None
    return SyncDetails(
        total_runs=details.totals.total,
        successful_runs=details.totals.successful,
        failed_runs=details.totals.failed,
        last_job=SyncJobDetails.of(details.last_job),
    )


def _entities(details: ConnectionDetails) -> EntitySummary | None:
    if not details.entity_types:
        return None
    return EntitySummary(
        total_entities=sum(count for count, _ in details.entity_types.values()),
        by_type={
            name: EntityTypeStats(count=count, last_updated=updated_at)
            for name, (count, updated_at) in details.entity_types.items()
        },
    )


class SourceConnectionListItem(BaseModel):
    id: UUID
    name: str
    short_name: str
    readable_collection_id: str
    created_at: Instant
    modified_at: Instant
    is_authenticated: bool
    entity_count: int = 0
    federated_search: bool = False
    auth_method: AuthMethod
    status: ConnectionStatus


_LINES = TypeAdapter(list[ConnectionLine])


def lines_json(lines: list[ConnectionLine]) -> bytes:
    """Write lines as a list of SourceConnectionListItem, whose names they have."""
    return _LINES.dump_json(lines)


class SourceConnectionCreate(BaseModel):
    name: ConnectionName | None = None
    short_name: str
    readable_collection_id: str
    description: str | None = Field(default=None, max_length=255)
    config: dict[str, Any] | None = None
    schedule: ScheduleConfig | None = None
    sync_immediately: bool | None = None
    authentication: Authentication | None = None
    redirect_url: str | None = None

    def meant(self) -> NewConnection:
        given = self.authentication
        return NewConnection(
            short_name=self.short_name,
            readable_collection_id=self.readable_collection_id,
            name=self.name,
            description=self.description,
            config=self.config or {},
            authentication=None if given is None else given.meant(),
            schedule=None if self.schedule is None else Schedule(self.schedule.cron),
            sync_immediately=self.sync_immediately,
            redirect_url=self.redirect_url,
        )


class SourceConnectionUpdate(BaseModel):
    name: ConnectionName | None = None
    description: str | None = Field(default=None, max_length=255)
    config: dict[str, Any] | None = None
    schedule: ScheduleConfig | None = None
    authentication: DirectAuthentication | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("At least one field must be provided for update")
        return self

    def meant(self) -> ConnectionChange:
        """Return what changes: null removes a description or a schedule."""
        change = ConnectionChange()
        given = self.model_fields_set
        if self.name is not None:
            change["name"] = self.name
        if "description" in given:
            change["description"] = self.description
        if self.config is not None:
            change["config"] = self.config
        if "schedule" in given:
            cron = None if self.schedule is None else self.schedule.cron
            change["schedule"] = Schedule(cron)
        if self.authentication is not None:
            change["credentials"] = self.authentication.credentials
        return change


class SyncId(BaseModel):
    sync_id: UUID
