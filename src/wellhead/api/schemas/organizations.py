"""Organizations as they are shown to the keys that speak for them."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, StringConstraints

from wellhead.api.schemas.times import Instant
from wellhead.domain.keys import Organization as Kept

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)
]


class OrganizationUpdate(BaseModel):
    """What is to change; what is absent stays."""

    name: Name | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] | None = None

    def values(self) -> dict[str, Any]:
        """Return what was given; a name cannot be taken away."""
        given = self.model_dump(exclude_unset=True)
        if given.get("name", "") is None:
            del given["name"]
        return given


class Organization(BaseModel):
    id: UUID
    name: str
    description: str | None = None
    role: str = "owner"
    """A key may do everything that its organization may."""
    is_primary: bool = True
    created_at: Instant
    modified_at: Instant
    enabled_features: list[str] = []
    org_metadata: dict[str, Any] | None = None
    billing: None = None

    @classmethod
    def of(cls, kept: Kept) -> "Organization":
        return cls(
            id=kept.id,
            name=kept.name,
            description=kept.description,
            created_at=kept.created_at,
            modified_at=kept.modified_at or kept.created_at,
        )
