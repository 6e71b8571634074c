"""The statuses that are computed: of connections, of collections, of scopes."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from wellhead.domain.collections import CollectionStatus, collection_status
from wellhead.domain.connections import (
    ConnectionStatus,
    SourceConnection,
    connection_status,
)
from wellhead.domain.entities import entity_key
from wellhead.domain.items import parent_scope
from wellhead.domain.jobs import JobStatus, SyncJob

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONNECTION = SourceConnection(
    id=uuid4(),
    organization_id=uuid4(),
    collection_id=uuid4(),
    readable_collection_id="c",
    short_name="stub",
    name="Stub",
    created_at=NOW,
    modified_at=NOW,
)
JOB = SyncJob(
    id=uuid4(), organization_id=uuid4(), connection_id=uuid4(), created_at=NOW
)


@pytest.mark.parametrize(
    ("status", "category", "shown"),
    [
        (JobStatus.PENDING, None, ConnectionStatus.ACTIVE),
        (JobStatus.RUNNING, None, ConnectionStatus.SYNCING),
        (JobStatus.CANCELLING, None, ConnectionStatus.SYNCING),
        (JobStatus.COMPLETED, None, ConnectionStatus.ACTIVE),
        (JobStatus.CANCELLED, None, ConnectionStatus.ACTIVE),
        (JobStatus.FAILED, None, ConnectionStatus.ERROR),
        (JobStatus.FAILED, "config_invalid", ConnectionStatus.ERROR),
        (JobStatus.FAILED, "api_key_invalid", ConnectionStatus.NEEDS_REAUTH),
    ],
)
def test_a_connection_follows_its_last_job(
    status: JobStatus, category: str | None, shown: ConnectionStatus
) -> None:
    last = replace(JOB, status=status, error_category=category)

    assert connection_status(CONNECTION, last) is shown


def test_a_connection_without_jobs_is_active_once_authenticated() -> None:
    waiting = replace(CONNECTION, is_authenticated=False)

    assert connection_status(CONNECTION, None) is ConnectionStatus.ACTIVE
    assert connection_status(waiting, JOB) is ConnectionStatus.PENDING_AUTH


@pytest.mark.parametrize(
    ("connections", "status"),
    [
        ([], CollectionStatus.NEEDS_SOURCE),
        ([(ConnectionStatus.PENDING_AUTH, False)], CollectionStatus.NEEDS_SOURCE),
        ([(ConnectionStatus.ACTIVE, False)], CollectionStatus.NEEDS_SOURCE),
        ([(ConnectionStatus.SYNCING, True)], CollectionStatus.ACTIVE),
        (
            [(ConnectionStatus.ERROR, True), (ConnectionStatus.ACTIVE, True)],
            CollectionStatus.ACTIVE,
        ),
        (
            [(ConnectionStatus.ERROR, True), (ConnectionStatus.NEEDS_REAUTH, True)],
            CollectionStatus.ERROR,
        ),
    ],
)
def test_a_collection_follows_its_connections(
    connections: list[tuple[ConnectionStatus, bool]], status: CollectionStatus
) -> None:
    assert collection_status(connections) is status


def test_scopes_have_parents_up_to_the_root() -> None:
    assert [parent_scope(one) for one in ("a/b/c", "a/b", "a", "")] == [
        "a/b",
        "a",
        "",
        None,
    ]


def test_a_key_is_that_of_its_very_characters_and_never_ambiguous() -> None:
    assert entity_key("T", "caf\u00e9") != entity_key("T", "cafe\u0301")
    assert entity_key("a\0b", "c") != entity_key("a", "b\0c")
    assert entity_key("ab", "c") != entity_key("a", "bc")
    assert len(entity_key("T", "\ud800")) == 16
