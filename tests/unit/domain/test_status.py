"""The statuses that are computed: of connections, of collections, of scopes."""

import pytest

from wellhead.domain.collections import CollectionStatus, collection_status
from wellhead.domain.connections import (
    ConnectionStatus,
    Member,
    connection_status,
)
from wellhead.domain.entities import entity_key
from wellhead.domain.items import parent_scope
from wellhead.domain.jobs import JobStatus


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
    found = connection_status(
        is_authenticated=True, last_status=status, error_category=category
    )

    assert found is shown


@pytest.mark.parametrize(
    ("is_authenticated", "last", "shown"),
    [
        (True, None, ConnectionStatus.ACTIVE),
        (False, None, ConnectionStatus.PENDING_AUTH),
        (False, JobStatus.RUNNING, ConnectionStatus.PENDING_AUTH),
    ],
)
def test_a_connection_without_jobs_is_active_once_authenticated(
    is_authenticated: bool, last: JobStatus | None, shown: ConnectionStatus
) -> None:
    found = connection_status(
        is_authenticated=is_authenticated, last_status=last, error_category=None
    )

    assert found is shown


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
    members = [Member("stub", "Stub", *one) for one in connections]

    assert collection_status(members) is status


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
