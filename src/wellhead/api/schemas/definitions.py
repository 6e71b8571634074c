"""Sources that people add, as they send and see them."""

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.domain.catalogue import KeptDefinition


class NewDefinition(BaseModel):
    """A source to add."""

    definition: str = Field(description="The text of the YAML file that declares it.")
    replace: bool = Field(
        default=False,
        description="Put it in the place of the one that was added under this name.",
    )


class SourceDefinition(BaseModel):
    """A source that was added, as its file declares it."""

    short_name: str
    definition: str = Field(description="The text of the YAML file that declares it.")
    created_at: Instant
    modified_at: Instant

    @classmethod
    def of(cls, kept: KeptDefinition) -> "SourceDefinition":
        return cls(
            short_name=kept.short_name,
            definition=kept.definition,
            created_at=kept.created_at,
            modified_at=kept.modified_at,
        )
