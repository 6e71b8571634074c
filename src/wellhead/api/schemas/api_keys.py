"""API keys as they are shown: the key itself only once, when it is made."""

from uuid import UUID

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.domain.keys import ApiKey as Kept
from wellhead.services.keys import DEFAULT_LIFE_DAYS, NewKey

LONGEST_LIFE_DAYS = 365


class ApiKeyCreate(BaseModel):
    name: str = Field(default="API key", min_length=1, max_length=64)
    expiration_days: int = Field(default=DEFAULT_LIFE_DAYS, ge=1, le=LONGEST_LIFE_DAYS)


class ApiKey(BaseModel):
    id: UUID
    organization_id: UUID
    name: str
    created_at: Instant
    modified_at: Instant
    expiration_date: Instant | None = None
    last_used_date: Instant | None = None
    decrypted_key: str
    """The whole key when it was just made, else its first characters."""

    @classmethod
    def of(cls, key: Kept) -> "ApiKey":
        return cls._with(key, f"{key.prefix}…")

    @classmethod
    def made(cls, new: NewKey) -> "ApiKey":
        return cls._with(new.key, new.plain)

    @classmethod
    def _with(cls, key: Kept, shown: str) -> "ApiKey":
        return cls(
            id=key.id,
            organization_id=key.organization_id,
            name=key.name,
            created_at=key.created_at,
            modified_at=key.created_at,
            expiration_date=key.expires_at,
            last_used_date=key.last_used_at,
            decrypted_key=shown,
        )
