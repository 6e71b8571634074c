"""Federated sources that are slow, broken or in demand: others do not notice."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    NotFoundError,
    RetryableError,
)
from wellhead.sources.base import FederatedSource, SourceInfo
from wellhead.sources.live import LiveDesk, Make, SilentError

NOTE = Entity(type="Note", source_id="1", name="n", text="t")
SECRET = "hunter2 at db.internal"  # noqa: S105  # what sources may say by mistake


def asking(search: Callable[[], Awaitable[list[Entity]]]) -> tuple[Make, list[str]]:
    """Return how to make a source that answers so, and what becomes of it."""
    told: list[str] = []

    class Scripted(FederatedSource):
        info = SourceInfo(short_name="s", name="S", description="", entity_types=())

        async def check(self) -> None: ...

        async def search(self, query: str, limit: int) -> list[Entity]:
            told.append("asked")
            try:
                return await search()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise

        async def close(self) -> None:
            told.append("closed")

    return lambda: Scripted.create({}, {}), told


async def answer() -> list[Entity]:
    return [NOTE] * 3


async def sleep() -> list[Entity]:
    await asyncio.sleep(600)
    return []


async def test_no_more_is_returned_than_was_asked_for() -> None:
    make, told = asking(answer)

    assert await LiveDesk().ask(uuid4(), make, "q", 2) == [NOTE] * 2
    assert told == ["asked", "closed"]


async def test_who_is_too_slow_is_cancelled_and_said_so() -> None:
    make, told = asking(sleep)

    with pytest.raises(SilentError, match=r"within 0\.05 seconds"):
        await LiveDesk(seconds=0.05).ask(uuid4(), make, "q", 1)
    await asyncio.sleep(0.05)
    assert told == ["asked", "cancelled", "closed"]


async def test_who_does_not_stop_is_not_waited_for_and_keeps_its_turn() -> None:
    go_on = asyncio.Event()

    async def deaf() -> list[Entity]:
        while not go_on.is_set():
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                await go_on.wait()
        return []

    (hanging, _), (quick, told) = asking(deaf), asking(answer)
    desk, where = LiveDesk(seconds=0.05, at_once=1), uuid4()
    with pytest.raises(SilentError):
        await desk.ask(where, hanging, "q", 1)
    with pytest.raises(SilentError):
        await desk.ask(where, quick, "q", 1)
    assert told == []
    assert await desk.ask(uuid4(), quick, "q", 1) == [NOTE], "others go on"

    go_on.set()
    await asyncio.sleep(0.05)
    assert await desk.ask(where, quick, "q", 1) == [NOTE]


async def test_only_so_many_are_asked_of_one_connection_at_once() -> None:
    now, most = 0, 0

    async def counted() -> list[Entity]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return []

    make, told = asking(counted)
    desk, where = LiveDesk(seconds=60, at_once=3), uuid4()
    await asyncio.gather(*(desk.ask(where, make, "q", 1) for _ in range(20)))

    assert (most, told.count("closed")) == (3, 20)


async def test_whoever_is_not_waited_for_any_more_is_cancelled() -> None:
    make, told = asking(sleep)
    task = asyncio.create_task(LiveDesk().ask(uuid4(), make, "q", 1))
    await asyncio.sleep(0.2)
    assert told == ["asked"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)

    assert told == ["asked", "cancelled", "closed"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (CredentialsError(SECRET), "it refused the credentials"),
        (ConfigError(SECRET), "its configuration is not right"),
        (RetryableError(SECRET), "it could not be reached, or is busy"),
        (NotFoundError(SECRET), "its source is not installed here"),
        (RuntimeError(SECRET), "it failed"),
    ],
)
async def test_trouble_is_said_in_our_own_words(error: Exception, why: str) -> None:
    async def fail() -> list[Entity]:
        raise error

    make, _ = asking(fail)
    with pytest.raises(SilentError) as caught:
        await LiveDesk().ask(uuid4(), make, "q", 1)
    assert str(caught.value) == why
