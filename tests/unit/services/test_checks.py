"""What callers are told when a source fails its check."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    JobError,
    RequestError,
    RetryableError,
)
from wellhead.domain.items import Item
from wellhead.services.checks import UpstreamBusyError, check_source
from wellhead.sources.base import Source, SourceInfo


class Scripted(Source):
    info = SourceInfo(
        short_name="scripted", name="Scripted", description="", entity_types=()
    )

    def __init__(self, act: Callable[[], Awaitable[None]]) -> None:
        super().__init__(None, None)
        self.act = act
        self.is_closed = False

    async def check(self) -> None:
        await self.act()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        nothing: tuple[Item, ...] = ()
        for one in nothing:
            yield one

    async def close(self) -> None:
        self.is_closed = True


def raising(error: Exception) -> Scripted:
    async def act() -> None:
        raise error

    return Scripted(act)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CredentialsError("bad key"), 400, "bad key"),
        (ConfigError("no such folder"), 400, "no such folder"),
        (JobError("odd"), 400, "odd"),
        (RetryableError("down"), 502, "down"),
        (RetryableError("slow down", after=7), 429, "slow down"),
        (ValueError("holds s3cr3t"), 400, "ValueError"),
    ],
)
async def test_trouble_becomes_an_answer_and_the_source_is_closed(
    error: Exception, status: int, said: str
) -> None:
    source = raising(error)

    with pytest.raises(RequestError, match=said) as raised:
        await check_source(source, AuthMethod.DIRECT)

    assert raised.value.status == status
    assert "s3cr3t" not in raised.value.message
    assert source.is_closed
    if isinstance(raised.value, UpstreamBusyError):
        assert raised.value.after == 7


async def test_a_revoked_token_is_named_as_one() -> None:
    with pytest.raises(RequestError, match="Invalid or revoked OAuth access token"):
        await check_source(raising(CredentialsError("401")), AuthMethod.OAUTH_TOKEN)


async def test_a_source_that_never_answers_is_given_up() -> None:
    source = Scripted(asyncio.Event().wait)  # type: ignore[arg-type]

    with pytest.raises(RequestError, match="did not answer") as raised:
        await check_source(source, AuthMethod.DIRECT, within_seconds=0.01)

    assert raised.value.status == 502
    assert source.is_closed


async def test_a_source_is_told_what_the_operator_allows() -> None:
    source = raising(ConfigError("no such folder"))

    with pytest.raises(RequestError):
        await check_source(source, AuthMethod.DIRECT, allow_private=True)

    assert source.surroundings.allow_private
