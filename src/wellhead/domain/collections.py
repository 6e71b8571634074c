"""A collection: where connections put what they sync, and what search asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.connections import ConnectionStatus, Member


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
    status: CollectionStatus = CollectionStatus.NEEDS_SOURCE


@dataclass(slots=True)  # a frozen one takes ten times as long to make, by the hundred
class MemberLine:
    """A connection as its collection shows it."""

    short_name: str
    name: str


@dataclass(slots=True)  # made by the hundred, as MemberLine is
class CollectionLine:
    """A collection as lists show it; its names and values are those of the answer."""

    name: str
    readable_id: str
    id: UUID
    sync_config: dict[str, Any] | None
    created_at: datetime
    modified_at: datetime
    organization_id: UUID
    vector_size: int
    embedding_model_name: str
    created_by_email: None
    modified_by_email: None
    status: str
    """A CollectionStatus; one declared so takes twice as long to write."""
    source_connection_summaries: list[MemberLine]


_FAILED = (ConnectionStatus.ERROR, ConnectionStatus.NEEDS_REAUTH)


def collection_status(members: Sequence[Member]) -> CollectionStatus:
    """Derive the status from the connections that can be used."""
    usable = failed = 0
    for one in members:
        if one.status is ConnectionStatus.PENDING_AUTH:
            continue
        usable += 1
        if one.status in _FAILED:
            failed += 1
        elif one.ever_ran:
            return CollectionStatus.ACTIVE
    if usable and usable == failed:
        return CollectionStatus.ERROR
    return CollectionStatus.NEEDS_SOURCE
