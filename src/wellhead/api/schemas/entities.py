"""Entities as the API shows them: what is in one, and erased ones by their keys."""

from uuid import UUID

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.services import erasure
from wellhead.services.entities import EntityText
from wellhead.store.tombstones import Erasable, Tombstone


class EntityKey(BaseModel):
    """`entity_key` is a hash of the type and the source's id, in hex."""

    source_connection_id: UUID
    entity_type: str = Field(description="The kind of entity.", examples=["File"])
    entity_key: str = Field(
        description="A hash of the entity's type and id, in hex.",
        examples=["9b2f0c61d3a84e57a1c4f6b8d0e2735a"],
    )

    @classmethod
    def of(cls, one: Erasable) -> "EntityKey":
        return cls(
            source_connection_id=one.connection_id,
            entity_type=one.type,
            entity_key=one.entity_key.hex(),
        )


class ErasedEntity(EntityKey):
    erased_at: Instant = Field(description="When it was erased.")

    @classmethod
    def listed(cls, one: Tombstone) -> "ErasedEntity":
        return cls(
            source_connection_id=one.connection_id,
            entity_type=one.type,
            entity_key=one.entity_key.hex(),
            erased_at=one.erased_at,
        )


class Erasure(EntityKey):
    was_stored: bool = Field(
        description="Whether there was anything to erase.", examples=[True]
    )
    may_return: bool = Field(description="Whether the next sync may bring it back.")

    @classmethod
    def done(cls, one: erasure.Erased) -> "Erasure":
        return cls(
            **EntityKey.of(one.entity).model_dump(),
            was_stored=one.was_stored,
            may_return=one.may_return,
        )


class EntityPassage(BaseModel):
    chunk_index: int = Field(description="Its place in the entity, from 0.")
    textual_representation: str = Field(
        description="The passage.", examples=["The pump is serviced in May."]
    )


class EntityPassages(BaseModel):
    """An entity, or a part of it, as passages that do not overlap."""

    original_entity_id: str = Field(
        description="The id of the entity in its source.", examples=["docs/plan.md"]
    )
    entity_type: str
    source_connection_id: UUID
    source_name: str = Field(
        description="The short name of the source.", examples=["file_system"]
    )
    name: str = Field(description="The name of the entity.", examples=["plan.md"])
    web_url: str = Field(description="Where people can see it; empty if nowhere.")
    updated_at: Instant | None = None
    chunk_count: int = Field(description="How many passages it has in all.")
    passages: list[EntityPassage] = Field(description="In the order of the text.")
    next_chunk: int | None = Field(
        default=None, description="Where to read on; null at the end."
    )

    @classmethod
    def of(cls, one: EntityText) -> "EntityPassages":
        last = max(one.passages, default=one.chunk_count)
        return cls(
            original_entity_id=one.entity.entity_id,
            entity_type=one.entity.entity_type,
            source_connection_id=one.entity.connection_id,
            source_name=one.source_name,
            name=one.name,
            web_url=one.web_url,
            updated_at=one.updated_at,
            chunk_count=one.chunk_count,
            passages=[
                EntityPassage(chunk_index=at, textual_representation=text)
                for at, text in one.passages.items()
            ],
            next_chunk=last + 1 if last + 1 < one.chunk_count else None,
        )
