"""How much one organization may ask: counted, told, refused, and never lost over it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from wellhead.api.application import create_app
from wellhead.api.around.rates import RateLimits
from wellhead.domain.keys import Organization
from wellhead.services import keys
from wellhead.services.parts import Parts
from wellhead.store import organizations

MOST = 3


def client_of(app: Any, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://wellhead",
        headers=headers,
    )


@pytest.fixture
def app(parts: Parts) -> Any:
    return create_app(parts, auth=True, rate_limit=MOST)


@pytest.fixture
async def other(parts: Parts, app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another organization."""
    organization = Organization(uuid4(), "Other", parts.clock.now())
    async with parts.db.begin() as connection:
        await organizations.add(connection, organization)
    new = await keys.create_key(parts, organization.id, name="theirs", life_days=90)
    async with client_of(app, **{"x-api-key": new.plain}) as one:
        yield one


async def test_what_is_too_much_is_refused_and_the_others_are_not(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    asked = [await client.get("/sources") for _ in range(MOST)]
    refused = await client.get("/collections")
    again = await client.get("/collections")

    assert [one.status_code for one in asked] == [200] * MOST
    assert [one.headers["RateLimit-Remaining"] for one in asked] == ["2", "1", "0"]
    assert {one.headers["RateLimit-Limit"] for one in asked} == {str(MOST)}
    assert abs(int(asked[0].headers["RateLimit-Reset"]) - time.time()) < 30
    assert refused.status_code == again.status_code == 429
    seconds = float(refused.json()["detail"].split()[6])
    assert refused.json() == {
        "detail": f"Rate limit exceeded. Please retry after {seconds:.2f} seconds. "
        f"Limit: {MOST} requests per minute."
    }
    assert 0 < seconds <= 60
    assert int(refused.headers["Retry-After"]) == int(seconds) + 1
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert int(refused.headers["RateLimit-Reset"]) > time.time()
    # what asks for no key, or with one that is wrong, is counted for nobody
    assert (await anyone.get("/health")).status_code == 200
    assert (await anyone.get("/sources")).status_code == 401
    assert (await other.get("/sources")).headers["RateLimit-Remaining"] == "2"


async def test_the_window_slides_and_what_was_refused_does_not_count() -> None:
    limits, who = RateLimits(2, window_seconds=1), uuid4()

    first = limits.count(who)
    refused = [(limits.count(who)).is_exceeded for _ in range(5)]
    while (late := limits.count(who)).is_exceeded:
        assert late.reset - time.time() <= 1
        await asyncio.sleep(0.05)

    assert not first.is_exceeded
    assert refused == [False, True, True, True, True]


async def test_without_keys_nobody_is_counted(parts: Parts) -> None:
    async with client_of(create_app(parts, auth=False, rate_limit=1)) as local:
        asked = [await local.get("/sources") for _ in range(3)]

    assert [one.status_code for one in asked] == [200] * 3
    assert asked[0].headers["RateLimit-Remaining"] == "9999"
