"""The vendors of shipped definitions themselves, where somebody gives an account.

WELLHEAD_TEST_ZENDESK='{"config": {"subdomain": "acme"}, "credentials": {"email": …}}'.
Nothing is written there.
"""

import asyncio
import json
from typing import Any

import pytest
from tests.live.vendors import check_is_refused, content, given, read_some

from wellhead.sources.declared.shipped import shipped
from wellhead.sources.declared.source import DeclaredSource

MOST = 300
SOURCES = {one.info.short_name: one for one in shipped()}


@pytest.fixture(params=sorted(SOURCES))
def account(request: pytest.FixtureRequest) -> tuple[type[DeclaredSource], Any]:
    name = f"WELLHEAD_TEST_{request.param.upper()}"
    return SOURCES[request.param], json.loads(given(name, "the real vendor"))


async def test_an_account_is_read(account: tuple[type[DeclaredSource], Any]) -> None:
    kind, told = account
    source = kind.create(told.get("config", {}), told["credentials"])
    try:
        await source.check()
        found = await read_some(source, None, MOST)
        texts = [await asyncio.to_thread(content, one) for one in found.entities[:5]]
        if found.last is not None:
            await read_some(source, found.last.token, MOST)
    finally:
        await source.close()

    assert found.failures == []
    assert found.entities
    assert all(texts)


async def test_wrong_credentials_are_refused(
    account: tuple[type[DeclaredSource], Any],
) -> None:
    kind, told = account
    wrong = dict.fromkeys(told["credentials"], "wrong-wrong-wrong")
    source = kind.create(told.get("config", {}), wrong)
    await check_is_refused(source)
