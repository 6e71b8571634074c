"""Subscriptions, messages and delivery attempts as the API shows them."""

from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    HttpUrl,
    WithJsonSchema,
)

from wellhead.api.schemas.times import Instant
from wellhead.domain import webhooks as domain
from wellhead.domain.events import SUBSCRIBABLE
from wellhead.domain.webhooks import (
    LEAST_SECRET_CHARACTERS,
    MOST_EVENT_TYPES,
    HealthStatus,
    public_id,
)
from wellhead.services.webhooks import Detail, Recovery


def _known(name: str) -> str:
    if name not in SUBSCRIBABLE:
        raise ValueError(f"Input should be one of {', '.join(SUBSCRIBABLE)}")
    return name


def _few(names: list[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    if not found:
        raise ValueError("event_types cannot be empty")
    if len(found) > MOST_EVENT_TYPES:
        raise ValueError(f"event_types cannot hold more than {MOST_EVENT_TYPES}")
    return found


EventName = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(SUBSCRIBABLE)}),
]
EventNames = Annotated[list[EventName], AfterValidator(_few)]


def _in_utc(moment: datetime) -> datetime:
    """Take a moment without a time zone as UTC, like other moments of the API."""
    if not MINYEAR < moment.year < MAXYEAR:  # every time zone has the years between
        raise ValueError("the year cannot be stored")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


Since = Annotated[datetime, AfterValidator(_in_utc)]


class CreateSubscriptionRequest(BaseModel):
    url: HttpUrl = Field(
        description="Where events are sent to, by POST.",
        examples=["https://example.com/hooks"],
    )
    event_types: EventNames = Field(
        description=f"What to be told of: 1 to {MOST_EVENT_TYPES} names.",
        examples=[["sync.completed", "sync.failed"]],
    )
    secret: Annotated[str, Field(min_length=LEAST_SECRET_CHARACTERS)] | None = Field(
        default=None,
        description="What messages are signed with: base64, with or without `whsec_` "
        "before it; made if absent.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )


class PatchSubscriptionRequest(BaseModel):
    url: HttpUrl | None = Field(default=None, description="Another endpoint.")
    event_types: EventNames | None = Field(
        default=None,
        description="What to be told of instead.",
        examples=[["sync.completed", "sync.failed"]],
    )
    disabled: bool | None = Field(
        default=None, description="Whether nothing is sent; what waits is given up."
    )
    recover_since: Since | None = Field(
        default=None,
        description="With `disabled` false: send what was missed since then.",
    )

    def changes(self) -> dict[str, Any]:
        given = {
            "url": None if self.url is None else str(self.url),
            "event_types": None if self.event_types is None else (*self.event_types,),
            "disabled": self.disabled,
        }
        return {name: value for name, value in given.items() if value is not None}


class RecoverMessagesRequest(BaseModel):
    since: Since = Field(description="Messages of this moment and later.")
    until: Since | None = Field(default=None, description="Not later than this.")


class RecoveryTask(BaseModel):
    id: str = Field(
        description="The id of the recovery.",
        examples=["rcvr_3f8a1c526b1d4f0e9a572c4b8e7d9f10"],
    )
    status: str = Field(
        description="`running` if messages are being sent again, `completed` if there "
        "were none.",
        examples=["running"],
    )

    @classmethod
    def of(cls, recovery: Recovery) -> "RecoveryTask":
        return cls(
            id=public_id("rcvr", recovery.id),
            status="running" if recovery.messages else "completed",
        )


class DeliveryAttempt(BaseModel):
    id: str = Field(
        description="The id of the attempt.",
        examples=["atmpt_3f8a1c526b1d4f0e9a572c4b8e7d9f10"],
    )
    message_id: str = Field(
        description="What was sent.", examples=["msg_3f8a1c526b1d4f0e9a572c4b8e7d9f10"]
    )
    endpoint_id: str = Field(
        description="The subscription it was sent to.",
        examples=["ep_3f8a1c526b1d4f0e9a572c4b8e7d9f10"],
    )
    response: str | None = Field(
        default=None,
        description="The beginning of the answer, or why there was none.",
        examples=["ok"],
    )
    response_status_code: int = Field(
        description="HTTP's status; 0 without an answer.", examples=[200]
    )
    status: str = Field(
        description="`success`, `failed`, or `pending` while it is under way.",
        examples=["success"],
    )
    timestamp: Instant
    url: str | None = Field(default=None, description="Where it was sent to.")

    @classmethod
    def of(cls, attempt: domain.Attempt) -> "DeliveryAttempt":
        return cls(
            id=public_id("atmpt", attempt.id),
            message_id=public_id("msg", attempt.message_id),
            endpoint_id=public_id("ep", attempt.subscription_id),
            response=attempt.response,
            response_status_code=attempt.response_status,
            status=attempt.status.value,
            timestamp=attempt.at,
            url=attempt.url,
        )


class WebhookSubscription(BaseModel):
    id: str = Field(
        description="The id of the subscription.",
        examples=["ep_3f8a1c526b1d4f0e9a572c4b8e7d9f10"],
    )
    url: str = Field(
        description="Where events are sent to.", examples=["https://example.com/hooks"]
    )
    filter_types: list[str] | None = Field(
        default=None,
        description="What it is told of.",
        examples=[["sync.completed", "sync.failed"]],
    )
    disabled: bool = Field(default=False, description="Whether nothing is sent.")
    description: str | None = Field(
        default=None, description="Why it was disabled, if that was not asked for."
    )
    created_at: Instant
    updated_at: Instant
    health_status: HealthStatus = Field(
        default=HealthStatus.UNKNOWN,
        description="By its last 10 attempts: `failing` if the last 3 failed.",
    )

    @classmethod
    def of(cls, one: domain.Subscription) -> "WebhookSubscription":
        return cls(**_fields(one))


class WebhookSubscriptionDetail(WebhookSubscription):
    delivery_attempts: list[DeliveryAttempt] | None = Field(
        default=None, description="The last attempts, newest first."
    )
    secret: str | None = Field(
        default=None,
        description="What messages are signed with, if it was asked for.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )

    @classmethod
    def of_detail(cls, one: Detail) -> "WebhookSubscriptionDetail":
        return cls(
            **_fields(one.subscription),
            delivery_attempts=[DeliveryAttempt.of(a) for a in one.attempts],
            secret=one.secret,
        )


def _fields(one: domain.Subscription) -> dict[str, Any]:
    return {
        "id": public_id("ep", one.id),
        "url": one.url,
        "filter_types": list(one.event_types),
        "disabled": one.disabled,
        "description": _why_disabled(one),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "health_status": one.health,
    }


def _why_disabled(one: domain.Subscription) -> str | None:
    if not one.disabled or one.gave_up_at is None:
        return None
    days = domain.GIVE_UP_AFTER.days
    return (
        f"Disabled on {one.gave_up_at:%Y-%m-%d}, because nothing could be delivered "
        f"for {days} days"
    )


class WebhookMessage(BaseModel):
    id: str = Field(
        description="The id of the message, the same in all its attempts.",
        examples=["msg_3f8a1c526b1d4f0e9a572c4b8e7d9f10"],
    )
    event_type: str = Field(description="What happened.", examples=["sync.completed"])
    payload: dict[str, Any] = Field(description="The body that is sent.")
    timestamp: Instant
    channels: list[str] | None = Field(
        default=None, description="The event type.", examples=[["sync.completed"]]
    )
    tags: list[str] | None = Field(default=None, description="Always null.")

    @classmethod
    def of(cls, message: domain.Message) -> "WebhookMessage":
        return cls(**_message(message))


class WebhookMessageWithAttempts(WebhookMessage):
    delivery_attempts: list[DeliveryAttempt] | None = Field(
        default=None, description="Newest first; null if they were not asked for."
    )

    @classmethod
    def of_attempts(
        cls, message: domain.Message, attempts: Sequence[domain.Attempt] | None
    ) -> "WebhookMessageWithAttempts":
        return cls(
            **_message(message),
            delivery_attempts=None
            if attempts is None
            else [DeliveryAttempt.of(one) for one in attempts],
        )


def _message(message: domain.Message) -> dict[str, Any]:
    return {
        "id": public_id("msg", message.id),
        "event_type": message.event_type,
        "payload": message.payload,
        "timestamp": message.at,
        "channels": [message.event_type],
    }
