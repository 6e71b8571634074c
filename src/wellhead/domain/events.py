"""What happened, as written to the outbox and told to subscribers."""

from enum import StrEnum


class EventType(StrEnum):
    """What is told: each event is written in the transaction that made it true."""

    SYNC_PENDING = "sync.pending"
    SYNC_RUNNING = "sync.running"
    SYNC_CANCELLING = "sync.cancelling"
    SYNC_COMPLETED = "sync.completed"
    SYNC_FAILED = "sync.failed"
    SYNC_CANCELLED = "sync.cancelled"
    CONNECTION_CREATED = "source_connection.created"
    CONNECTION_AUTHENTICATED = "source_connection.auth_completed"
    CONNECTION_DELETED = "source_connection.deleted"
    COLLECTION_CREATED = "collection.created"
    COLLECTION_UPDATED = "collection.updated"
    COLLECTION_DELETED = "collection.deleted"
    ENTITY_ERASED = "entity.erased"


NEVER_TOLD = (
    "entity.batch_processed",
    "query.processed",
    "access_control.batch_processed",
    "organization.created",
    "organization.deleted",
    "organization.member_added",
    "organization.member_removed",
    "search.started",
    "search.completed",
    "search.failed",
    "search.reranking",
    "search.thinking",
    "search.tool_called",
)
"""Names of the public contract that subscriptions may hold; no event has them here."""

SUBSCRIBABLE = (*(one.value for one in EventType), *NEVER_TOLD)
