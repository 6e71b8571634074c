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
    prefix: str
    """The first characters of the key, to tell it from others."""
    created_at: Instant
    modified_at: Instant
    expiration_date: Instant | None = None
    last_used_date: Instant | None = None
    rotated_date: Instant | None = None
    """Since when another key stands in for it; it works until `expiration_date`."""
    created_by_email: str | None = None
    modified_by_email: str | None = None
    decrypted_key: str | None = None
    """The key itself, where it was just made; it is not kept."""

    @classmethod
    def of(cls, key: Kept) -> "ApiKey":
        return cls(
            id=key.id,
            organization_id=key.organization_id,
            name=key.name,
            prefix=key.prefix,
            created_at=key.created_at,
            modified_at=key.rotated_at or key.created_at,
            expiration_date=key.expires_at,
            last_used_date=key.last_used_at,
            rotated_date=key.rotated_at,
        )

    @classmethod
    def made(cls, new: NewKey) -> "ApiKey":
        return cls.of(new.key).model_copy(update={"decrypted_key": new.plain})
