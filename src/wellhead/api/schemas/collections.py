"""Collections as the public contract shows them."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from wellhead.api.schemas.times import Instant
from wellhead.domain import collections as domain
from wellhead.domain.collections import CollectionStatus

CollectionName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=4, max_length=64)
]


Email = Annotated[str, Field(json_schema_extra={"format": "email"})]


class DestinationConfig(BaseModel):
    skip_vespa: bool = Field(default=False, description="Kept as sent.")
    target_destinations: list[UUID] | None = Field(
        default=None, description="Kept as sent.", examples=[[]]
    )
    exclude_destinations: list[UUID] | None = Field(
        default=None, description="Kept as sent.", examples=[[]]
    )


class HandlerConfig(BaseModel):
    enable_vector_handlers: bool = Field(default=True, description="Kept as sent.")
    enable_raw_data_handler: bool = Field(default=True, description="Kept as sent.")
    enable_postgres_handler: bool = Field(default=True, description="Kept as sent.")


class CursorConfig(BaseModel):
    skip_load: bool = Field(default=False, description="Kept as sent.")
    skip_updates: bool = Field(default=False, description="Kept as sent.")


class BehaviorConfig(BaseModel):
    skip_hash_comparison: bool = Field(default=False, description="Kept as sent.")
    replay_from_arf: bool = Field(default=False, description="Kept as sent.")
    skip_guardrails: bool = Field(default=False, description="Kept as sent.")


class SyncConfig(BaseModel):
    """Kept and returned for clients that send it; syncing here has no such switches."""

    destinations: DestinationConfig = Field(
        default_factory=DestinationConfig, description="Where entities would go."
    )
    handlers: HandlerConfig = Field(
        default_factory=HandlerConfig, description="What would handle them."
    )
    cursor: CursorConfig = Field(
        default_factory=CursorConfig, description="How cursors would be used."
    )
    behavior: BehaviorConfig = Field(
        default_factory=BehaviorConfig, description="How entities would be compared."
    )


class SourceConnectionSummary(BaseModel):
    short_name: str
    name: str


class Collection(BaseModel):
    name: str = Field(description="The name, for people.", examples=["My notes"])
    readable_id: str = Field(
        description="The name in addresses; it never changes.", examples=["my-notes"]
    )
    id: UUID
    sync_config: SyncConfig | None = Field(
        default=None, description="What was sent with it; it changes nothing here."
    )
    created_at: Instant
    modified_at: Instant
    organization_id: UUID
    created_by_email: Email | None = Field(
        default=None,
        description="Who made it, where that is known.",
        examples=["ada@example.com"],
    )
    modified_by_email: Email | None = Field(
        default=None,
        description="Who changed it last, where that is known.",
        examples=["ada@example.com"],
    )
    status: CollectionStatus = Field(
        default=CollectionStatus.NEEDS_SOURCE,
        description="Whether there is something to search.",
    )
    vector_size: int = Field(
        description="How many numbers a vector has.", examples=[384]
    )
    embedding_model_name: str = Field(
        description="What makes the vectors.", examples=["minilm"]
    )
    source_connection_summaries: list[SourceConnectionSummary] = Field(
        default=[], description="Its connections; filled in lists only."
    )

    @classmethod
    def of(cls, one: domain.Collection) -> "Collection":
        return cls(
            name=one.name,
            readable_id=one.readable_id,
            id=one.id,
            sync_config=None
            if one.sync_config is None
            else SyncConfig.model_validate(one.sync_config),
            created_at=one.created_at,
            modified_at=one.modified_at,
            organization_id=one.organization_id,
            status=one.status,
            vector_size=one.vector_size,
            embedding_model_name=one.embedding_model_name,
        )


_LINES = TypeAdapter(list[domain.CollectionLine])


def lines_json(lines: list[domain.CollectionLine]) -> bytes:
    """Write lines as a list of Collection, whose names and values they have."""
    return _LINES.dump_json(lines)


class CollectionCreate(BaseModel):
    name: CollectionName = Field(
        description="The name, for people.", examples=["My notes"]
    )
    readable_id: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=255,
        description="The name in addresses; made from `name` if absent.",
        examples=["my-notes"],
    )
    sync_config: SyncConfig | None = Field(
        default=None,
        description="Kept and returned; it changes nothing here.",
        examples=[None],
    )


class CollectionUpdate(BaseModel):
    name: CollectionName | None = Field(
        default=None,
        description="The new name; null changes nothing.",
        examples=["My notes"],
    )
    sync_config: SyncConfig | None = Field(
        default=None, description="Replaces the one that is kept.", examples=[None]
    )

    def values(self) -> dict[str, Any]:
        """Return what is to be written; a null name changes nothing."""
        given = self.model_dump(mode="json", include=self.model_fields_set)
        if given.get("name", "") is None:
            del given["name"]
        return given
