"""Collections as the public contract shows them."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.domain import collections as domain
from wellhead.domain.collections import CollectionStatus


class DestinationConfig(BaseModel):
    skip_vespa: bool = False
    target_destinations: list[UUID] | None = None
    exclude_destinations: list[UUID] | None = None


class HandlerConfig(BaseModel):
    enable_vector_handlers: bool = True
    enable_raw_data_handler: bool = True
    enable_postgres_handler: bool = True


class CursorConfig(BaseModel):
    skip_load: bool = False
    skip_updates: bool = False


class BehaviorConfig(BaseModel):
    skip_hash_comparison: bool = False
    replay_from_arf: bool = False
    skip_guardrails: bool = False


class SyncConfig(BaseModel):
    """Kept and returned for clients that send it; syncing here has no such switches."""

    destinations: DestinationConfig = Field(default_factory=DestinationConfig)
    handlers: HandlerConfig = Field(default_factory=HandlerConfig)
    cursor: CursorConfig = Field(default_factory=CursorConfig)
    behavior: BehaviorConfig = Field(default_factory=BehaviorConfig)


class SourceConnectionSummary(BaseModel):
    short_name: str
    name: str


class Collection(BaseModel):
    name: str
    readable_id: str
    id: UUID
    sync_config: SyncConfig | None = None
    created_at: Instant
    modified_at: Instant
    organization_id: UUID
    created_by_email: str | None = None
    modified_by_email: str | None = None
    status: CollectionStatus = CollectionStatus.NEEDS_SOURCE
    vector_size: int
    embedding_model_name: str
    source_connection_summaries: list[SourceConnectionSummary] = []

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

    @classmethod
    def in_list(cls, one: domain.Collection) -> "Collection":
        """The same with its sources, which only lists show."""
        summaries = [
            SourceConnectionSummary(short_name=short_name, name=name)
            for short_name, name in one.sources
        ]
        return cls.of(one).model_copy(update={"source_connection_summaries": summaries})


class CollectionCreate(BaseModel):
    name: str = Field(min_length=4, max_length=64)
    readable_id: str | None = Field(
        default=None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=255
    )
    sync_config: SyncConfig | None = None


class CollectionUpdate(BaseModel):
    name: str | None = Field(default=None, min_length=4, max_length=64)
    sync_config: SyncConfig | None = None

    def values(self) -> dict[str, Any]:
        """Return what is to be written; a null name changes nothing."""
        given = self.model_dump(mode="json", include=self.model_fields_set)
        if given.get("name", "") is None:
            del given["name"]
        return given
