"""Erased entities as the API shows them: by key, never by name."""

from uuid import UUID

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.services import erasure
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
