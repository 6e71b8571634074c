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

    entity_key: str | None = Field(
        description="The key of the entity; null for a scope.",
        examples=["9b2f0c61d3a84e57a1c4f6b8d0e2735a"],
    )
    source_id: str | None = Field(
        description="The entity's id in the source; null for a scope.",
        examples=["docs/plan.pdf"],
    )
    type: str | None = Field(
        description="The kind of entity; null for a scope.", examples=["File"]
    )
    scope: str = Field(
        description="The part of the source it belongs to.", examples=["docs"]
    )
    stage: FailureStage
    failure_class: FailureClass = Field(serialization_alias="class")
    reason: str
    attempts: int | None = Field(description="How often it was tried.")
    first_failed_at: Instant | None = Field(
        description="When it failed the first time."
    )
    failed_at: Instant
    next_retry_at: Instant | None = Field(
        description="When it is due; null if no time brings it back."
    )
    retried_when: RetriedWhen = Field(description="What brings it back.")
    job_id: UUID = Field(description="The job in which it failed last.")

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
    ) = Field(
        default=None,
        min_length=1,
        max_length=MOST_IDS,
        description="Only entities with these ids in the source.",
        examples=[["docs/plan.pdf"]],
    )
    stage: FailureStage | None = Field(
        default=None, description="Only what failed there."
    )
    failure_class: FailureClass | None = Field(
        default=None,
        alias="class",
        description="Only transient or only permanent failures.",
    )

    def meant(self, asked: Selection) -> Selection:
        """Return what is chosen; what the body does not say is as asked beside it."""
        return Selection(
            stage=self.stage or asked.stage,
            failure_class=self.failure_class or asked.failure_class,
            source_ids=self.source_ids,
        )


class RetryAnswer(BaseModel):
    """How much was made due, and the job that tries it, or after which it is tried."""

    entities: int = Field(
        description="How many entities are tried again.", examples=[1]
    )
    scopes: int = Field(
        description="How many parts of the source are listed again.", examples=[0]
    )
    not_found: list[str] = Field(
        description="Those of `source_ids` that are not in quarantine.", examples=[[]]
    )
    job: SourceConnectionJob | None = Field(
        description="The job that tries them; null if there was nothing to try."
    )
    is_started: bool = Field(description="Whether this request started the job.")
    retried_in: RetriedIn | None = Field(
        description="`next_job` if the open one runs already: ask again later."
    )

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
