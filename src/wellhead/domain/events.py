"""What happened, as written to the outbox and told to subscribers."""

from enum import StrEnum


class EventType(StrEnum):
    """Public event names."""

    SYNC_PENDING = "sync.pending"
    SYNC_RUNNING = "sync.running"
    SYNC_CANCELLING = "sync.cancelling"
    SYNC_COMPLETED = "sync.completed"
    SYNC_FAILED = "sync.failed"
    SYNC_CANCELLED = "sync.cancelled"
    CONNECTION_CREATED = "source_connection.created"
    CONNECTION_DELETED = "source_connection.deleted"
    COLLECTION_CREATED = "collection.created"
    COLLECTION_UPDATED = "collection.updated"
    COLLECTION_DELETED = "collection.deleted"
    ENTITY_ERASED = "entity.erased"
