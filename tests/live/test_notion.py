"""Notion itself, where somebody gives a token; nothing is written there."""

import asyncio

import pytest
from tests.live.vendors import check_is_refused, given, read_some

from wellhead.domain.items import ScopeEnd
from wellhead.sources.connectors.notion import NotionSource

MOST = 150
TOKEN = "WELLHEAD_TEST_NOTION_TOKEN"  # noqa: S105  # a name, not a secret


@pytest.fixture
def token() -> dict[str, str]:
    return {"access_token": given(TOKEN, "the real Notion")}


async def test_a_workspace_is_read(token: dict[str, str]) -> None:
    source = NotionSource.create({}, token)
    try:
        await source.check()
        found = await read_some(source, None, MOST)
        entities, last = found.entities, found.last
        files = [one.blob for one in entities if one.blob is not None][:5]
        texts = [(await asyncio.to_thread(one.open)).read_text() for one in files]
        later = [item async for item in source.read(last.token)] if last else []
    finally:
        await source.close()

    assert entities, "nothing is shared with the integration"
    assert all(text.startswith("# ") for text in texts)
    assert not later or any(isinstance(item, ScopeEnd) for item in later)


async def test_a_wrong_token_is_refused(token: dict[str, str]) -> None:
    source = NotionSource.create({}, {**token, "access_token": "ntn_wrong"})
    await check_is_refused(source, "invalid")
