"""Health, retries, secrets and signatures of webhooks."""

from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.webhooks import (
    SCHEDULE,
    AttemptStatus,
    HealthStatus,
    health,
    next_attempt,
    read_public_id,
    read_secret,
    secret_from,
    sign,
)

OK, BAD = AttemptStatus.SUCCESS, AttemptStatus.FAILED


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        ([], HealthStatus.UNKNOWN),
        ([OK], HealthStatus.HEALTHY),
        ([OK] * 10, HealthStatus.HEALTHY),
        ([OK] * 10 + [BAD], HealthStatus.HEALTHY),
        ([BAD], HealthStatus.DEGRADED),
        ([BAD, BAD], HealthStatus.DEGRADED),
        ([BAD, BAD, OK, BAD], HealthStatus.DEGRADED),
        ([OK, BAD, BAD, BAD], HealthStatus.DEGRADED),
        ([BAD, BAD, BAD], HealthStatus.FAILING),
        ([BAD, BAD, BAD, OK], HealthStatus.FAILING),
    ],
)
def test_health_follows_from_the_last_attempts(
    newest_first: list[AttemptStatus], expected: HealthStatus
) -> None:
    assert health(newest_first) is expected


def test_five_attempts_are_made_with_growing_waits() -> None:
    waits = [next_attempt(n, SCHEDULE, jitter=0) for n in range(1, 6)]

    assert waits == [*SCHEDULE, None]
    assert [one.total_seconds() for one in SCHEDULE] == [5, 300, 1800, 7200]


def test_jitter_makes_a_wait_a_tenth_longer_at_most() -> None:
    assert next_attempt(2, SCHEDULE, jitter=1) == timedelta(minutes=5, seconds=30)


def test_a_secret_is_shown_as_libraries_want_it() -> None:
    assert read_secret("QUJDREVGR0hJSktMTU5PUFFSUw") == (
        "whsec_QUJDREVGR0hJSktMTU5PUFFSUw=="
    )
    assert read_secret("whsec_QUJDREVGR0hJSktMTU5PUFFS") == (
        "whsec_QUJDREVGR0hJSktMTU5PUFFS"
    )


@pytest.mark.parametrize(
    "text", ["not base64: has blanks in it", "whsec_", "a-b_" * 8, "a" * 25, "=" * 24]
)
def test_what_receivers_cannot_decode_is_no_secret(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_secret(text)


@given(key=st.binary(min_size=1, max_size=64), body=st.text())
def test_both_libraries_accept_what_is_signed(key: bytes, body: str) -> None:
    secret, data = secret_from(key), body.encode()
    now = datetime.now(UTC)  # noqa: TID251  # libraries refuse what is old

    headers = sign(secret, "msg_1", now, data)

    svix.webhooks.Webhook(secret).verify(data, headers)
    standardwebhooks.Webhook(secret).verify(data, headers, json_parse=False)


def test_another_body_is_not_accepted() -> None:
    secret = secret_from(b"k" * 24)
    now = datetime.now(UTC)  # noqa: TID251  # libraries refuse what is old

    headers = sign(secret, "msg_1", now, b"{}")

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(b"[]", headers)


@pytest.mark.parametrize("text", ["", "ep_", "ep_xyz", "msg_" + "0" * 32, "0" * 32])
def test_what_is_no_id_of_this_kind_is_none(text: str) -> None:
    assert read_public_id("ep", text) is None
