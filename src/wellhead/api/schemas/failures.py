"""What stands as failed, and asking for another try, as the API shows them."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wellhead.api.schemas.jobs import SourceConnectionJob
from wellhead.api.schemas.times import Instant
from wellhead.domain.errors import FailureClass, FailureStage
from wellhead.services.failures import RetriedIn, RetriedWhen, Retry, retried_when
from wellhead.store.failures import Quarantined, Selection

MOST_IDS = 1000


class QuarantinedFailure(BaseModel):
    """An entity in quarantine, or a scope that could not be listed: it has no key."""

    entity_key: str | None
    source_id: str | None
    type: str | None
    scope: str
    stage: FailureStage
    failure_class: FailureClass = Field(serialization_alias="class")
    reason: str
    attempts: int | None
    first_failed_at: Instant | None
    failed_at: Instant
    next_retry_at: Instant | None
    retried_when: RetriedWhen
    job_id: UUID

    @classmethod
    def of(cls, one: Quarantined) -> "QuarantinedFailure":
        return cls(
            entity_key=None if one.is_scope else one.key.hex(),
            source_id=one.source_id,
            type=one.type,
            scope=one.scope,
            stage=one.stage,
            failure_class=one.failure_class,
            reason=one.reason,
            attempts=one.attempts,
            first_failed_at=one.first_failed_at,
            failed_at=one.failed_at,
            next_retry_at=one.next_retry_at,
            retried_when=retried_when(one),
            job_id=one.job_id,
        )


def _storable(ident: str) -> str:
    if "\x00" in ident or any("\ud800" <= letter <= "\udfff" for letter in ident):
        raise ValueError("holds a character that no id has")
    return ident


class RetryRequest(BaseModel):
    """What to try again: everything, unless something is named."""

    model_config = ConfigDict(extra="forbid")  # a mistyped filter must not mean all

    source_ids: (
        list[Annotated[str, Field(min_length=1), AfterValidator(_storable)]] | None
    ) = Field(default=None, min_length=1, max_length=MOST_IDS)
    stage: FailureStage | None = None
    failure_class: FailureClass | None = Field(default=None, alias="class")

    def meant(self) -> Selection:
        return Selection(
            stage=self.stage,
            failure_class=self.failure_class,
            source_ids=self.source_ids,
        )


class RetryAnswer(BaseModel):
    """How much was made due, and the job that tries it, or after which it is tried."""

    entities: int
    scopes: int
    not_found: list[str]
    job: SourceConnectionJob | None
    is_started: bool
    retried_in: RetriedIn | None

    @classmethod
    def of(cls, retry: Retry) -> "RetryAnswer":
        return cls(
            entities=retry.entities,
            scopes=retry.scopes,
            not_found=list(retry.not_found),
            job=None if retry.job is None else SourceConnectionJob.of(retry.job),
            is_started=retry.is_started,
            retried_in=retry.retried_in,
        )
