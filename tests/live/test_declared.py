"""The vendors of shipped definitions themselves, where somebody gives an account.

WELLHEAD_TEST_ZENDESK='{"config": {"subdomain": "acme"}, "credentials": {"email": …}}'.
Nothing is written there.
"""

import asyncio
import json
import os
from contextlib import aclosing
from typing import Any

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import CredentialsError
from wellhead.domain.items import Checkpoint, Failure, Upsert
from wellhead.sources.declared.shipped import shipped
from wellhead.sources.declared.source import DeclaredSource

MOST = 300
SOURCES = {one.info.short_name: one for one in shipped()}


@pytest.fixture(params=sorted(SOURCES))
def account(request: pytest.FixtureRequest) -> tuple[type[DeclaredSource], Any]:
    name = f"WELLHEAD_TEST_{request.param.upper()}"
    found = os.environ.get(name, "")  # noqa: TID251  # an opt-in of whoever runs it
    if not found:
        pytest.skip(f"{name} is not set: this asks the real vendor")
    return SOURCES[request.param], json.loads(found)


async def test_an_account_is_read(account: tuple[type[DeclaredSource], Any]) -> None:
    kind, given = account
    source = kind.create(given.get("config", {}), given["credentials"])
    try:
        await source.check()
        entities, failures, last = await _some(source, None)
        texts = [await asyncio.to_thread(_content, one) for one in entities[:5]]
        if last is not None:
            await _some(source, last.token)
    finally:
        await source.close()

    assert failures == []
    assert entities
    assert all(texts)


async def test_wrong_credentials_are_refused(
    account: tuple[type[DeclaredSource], Any],
) -> None:
    kind, given = account
    wrong = dict.fromkeys(given["credentials"], "wrong-wrong-wrong")
    source = kind.create(given.get("config", {}), wrong)
    try:
        with pytest.raises(CredentialsError):
            await source.check()
    finally:
        await source.close()


async def _some(
    source: DeclaredSource, cursor: dict[str, Any] | None
) -> tuple[list[Entity], list[Failure], Checkpoint | None]:
    """Read to the end, or the first few hundred."""
    entities: list[Entity] = []
    failures: list[Failure] = []
    last: Checkpoint | None = None
    async with aclosing(source.read(cursor)) as items:  # type: ignore[type-var]
        async for item in items:
            last = item if isinstance(item, Checkpoint) else last
            if isinstance(item, Upsert):
                entities.append(item.entity)
            elif isinstance(item, Failure):
                failures.append(item)
            if len(entities) >= MOST:
                break
    return entities, failures, last


def _content(entity: Entity) -> str:
    return (
        (entity.text or "") if entity.blob is None else entity.blob.open().read_text()
    )
