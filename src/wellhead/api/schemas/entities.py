"""Erased entities as the API shows them: by key, never by name."""

from uuid import UUID

from pydantic import BaseModel

from wellhead.api.schemas.times import Instant
from wellhead.services import erasure
from wellhead.store.tombstones import Erasable, Tombstone


class EntityKey(BaseModel):
    """`entity_key` is a hash of the type and the source's id, in hex."""

    source_connection_id: UUID
    entity_type: str
    entity_key: str

    @classmethod
    def of(cls, one: Erasable) -> "EntityKey":
        return cls(
            source_connection_id=one.connection_id,
            entity_type=one.type,
            entity_key=one.entity_key.hex(),
        )


class ErasedEntity(EntityKey):
    erased_at: Instant

    @classmethod
    def listed(cls, one: Tombstone) -> "ErasedEntity":
        return cls(
            source_connection_id=one.connection_id,
            entity_type=one.type,
            entity_key=one.entity_key.hex(),
            erased_at=one.erased_at,
        )


class Erasure(EntityKey):
    was_stored: bool
    may_return: bool

    @classmethod
    def done(cls, one: erasure.Erased) -> "Erasure":
        return cls(
            **EntityKey.of(one.entity).model_dump(),
            was_stored=one.was_stored,
            may_return=one.may_return,
        )
