"""A collection: where connections put what they sync, and what search asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.connections import ConnectionStatus


class CollectionStatus(StrEnum):
    """What a collection can answer; values as on the wire."""

    ACTIVE = "ACTIVE"
    NEEDS_SOURCE = "NEEDS SOURCE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A named, searchable set of source connections of one organization."""

    id: UUID
    organization_id: UUID
    name: str
    readable_id: str
    vector_size: int
    embedding_model_name: str
    created_at: datetime
    modified_at: datetime
    sync_config: dict[str, Any] | None = None
    is_deleting: bool = False
    sources: tuple[tuple[str, str], ...] = field(default=())
    """(short_name, name) of every connection, filled in lists only."""
    status: CollectionStatus = CollectionStatus.NEEDS_SOURCE


def collection_status(
    connections: Sequence[tuple[ConnectionStatus, bool]],
) -> CollectionStatus:
    """Derive the status from (status, has ever run) of each connection."""
    authenticated = [
        (status, has_run)
        for status, has_run in connections
        if status is not ConnectionStatus.PENDING_AUTH
    ]
    if not authenticated:
        return CollectionStatus.NEEDS_SOURCE
    failed = (ConnectionStatus.ERROR, ConnectionStatus.NEEDS_REAUTH)
    if any(has_run and status not in failed for status, has_run in authenticated):
        return CollectionStatus.ACTIVE
    if all(status in failed for status, _ in authenticated):
        return CollectionStatus.ERROR
    return CollectionStatus.NEEDS_SOURCE
