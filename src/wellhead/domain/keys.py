"""Who asks: an organization, and the API keys that speak for it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Organization:
    """The tenant; everything belongs to one."""

    id: UUID
    name: str
    created_at: datetime
    description: str | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of a key: never the key itself."""

    id: UUID
    organization_id: UUID
    prefix: str
    """The first characters, for people to tell keys apart."""
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    rotated_at: datetime | None = None
    """Since when another key stands in for it."""

    def is_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


def key_hash(plain: str) -> bytes:
    """Return what a key is found by; keys are random, so one plain round is enough."""
    return sha256(plain.encode("utf-8", "surrogatepass")).digest()
