"""Webhooks: who is told about events, how messages are signed and retried."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.errors import InvalidInputError

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
"""Waits after the first, second, … failed attempt; after the last one it failed."""
GIVE_UP_AFTER = timedelta(days=5)
"""An endpoint that has answered nothing well for so long is switched off."""
HEALTH_ATTEMPTS = 10
MOST_EVENT_TYPES = 10
SECRET_PREFIX = "whsec_"  # noqa: S105  # what secrets begin with
LEAST_SECRET_CHARACTERS = 24
SECRET_BYTES = 24
_FAILING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """What the operator allows."""

    allow_private: bool = False
    """Also addresses that are not on the internet, and any port."""
    verify_endpoints: bool = True
    keep: timedelta = timedelta(days=30)


class DeliveryState(StrEnum):
    """What became of a message for one subscription."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class AttemptStatus(StrEnum):
    """How one attempt went; values as on the wire."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class HealthStatus(StrEnum):
    """How an endpoint has answered lately; values as on the wire."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An endpoint and the events it is told of; its secret is kept elsewhere."""

    id: UUID
    organization_id: UUID
    url: str
    event_types: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    disabled: bool = False
    gave_up_at: datetime | None = None
    """When it was switched off because nothing could be delivered."""
    failing_since: datetime | None = None
    health: HealthStatus = HealthStatus.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event as it is told; it keeps its id over all attempts."""

    id: UUID
    sequence: int
    event_type: str
    payload: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to one endpoint; status 0 if there was no answer."""

    id: UUID
    message_id: UUID
    subscription_id: UUID
    url: str
    at: datetime
    status: AttemptStatus
    response_status: int = 0
    response: str | None = None


def health(newest_first: Sequence[AttemptStatus]) -> HealthStatus:
    """Judge by the last finished attempts."""
    if not newest_first:
        return HealthStatus.UNKNOWN
    ok = [one is AttemptStatus.SUCCESS for one in newest_first[:HEALTH_ATTEMPTS]]
    if len(ok) >= _FAILING and not any(ok[:_FAILING]):
        return HealthStatus.FAILING
    return HealthStatus.HEALTHY if all(ok) else HealthStatus.DEGRADED


def next_attempt(
    attempts: int, schedule: Sequence[timedelta], *, jitter: float
) -> timedelta | None:
    """Return the wait after so many attempts, up to a tenth longer; None at the end.

    `jitter` lies between 0 and 1.
    """
    if attempts > len(schedule):
        return None
    wait = schedule[attempts - 1]
    return wait + wait * (jitter / 10)


def secret_from(key: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(key).decode()


def read_secret(text: str) -> str:
    """Return a secret as it is shown. Raises InvalidInputError.

    Libraries that verify take what follows `whsec_` for base64, so it has to be that.
    """
    key = text.removeprefix(SECRET_PREFIX)
    if not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", key) or not _decode(key):
        raise InvalidInputError(
            "the secret must be base64 (letters, digits, + and /), with or without "
            "whsec_ before it: that is how receivers read it",
            field="body.secret",
        )
    return secret_from(_decode(key))


def _decode(key: str) -> bytes:
    try:
        return base64.b64decode(key + "=" * (-len(key) % 4))
    except binascii.Error:
        return b""


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows who sent this, under both names."""
    seconds = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), seconds.encode(), body))
    key = _decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, content, hashlib.sha256).digest()
    signed = {
        "id": message_id,
        "timestamp": seconds,
        "signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return {
        f"{prefix}-{name}": value
        for prefix in ("svix", "webhook")
        for name, value in signed.items()
    }


def public_id(prefix: str, ident: UUID) -> str:
    return f"{prefix}_{ident.hex}"


def read_public_id(prefix: str, text: str) -> UUID | None:
    """Return the id behind a public one; None if it is none of this kind."""
    found = re.fullmatch(rf"{prefix}_([0-9a-f]{{32}})", text)
    return None if found is None else UUID(hex=found.group(1))
