"""The index that is opened when it is first needed."""

import asyncio
from pathlib import Path
from uuid import uuid4

from wellhead.app.late_index import LateIndex
from wellhead.app.wiring import open_index
from wellhead.domain.ports import Index


async def test_it_is_opened_once_by_the_first_who_ask(tmp_path: Path) -> None:
    opened: list[Index] = []

    async def opening() -> Index:
        await asyncio.sleep(0)
        opened.append(await open_index(tmp_path, 2**20))
        return opened[-1]

    index = LateIndex(opening)
    assert opened == []

    collections, deleted = await asyncio.gather(
        index.tables(), index.delete_versions(uuid4(), [])
    )
    await index.close()

    assert collections == []
    assert deleted == 0
    assert len(opened) == 1


async def test_one_that_nobody_needed_is_not_opened_to_be_closed() -> None:
    async def opening() -> Index:
        raise AssertionError

    await LateIndex(opening).close()


async def test_who_comes_after_a_failure_tries_again(tmp_path: Path) -> None:
    failures = [OSError("no disk")]

    async def opening() -> Index:
        if failures:
            raise failures.pop()
        return await open_index(tmp_path, 2**20)

    index = LateIndex(opening)
    first, second = await asyncio.gather(
        index.tables(), index.tables(), return_exceptions=True
    )
    await index.close()

    assert isinstance(first, OSError)
    assert second == []
