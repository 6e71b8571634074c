"""Slack itself, where somebody gives a token; nothing is written there."""

import asyncio
import os

import pytest

from wellhead.domain.errors import CredentialsError
from wellhead.domain.items import Checkpoint, ScopeEnd, Upsert
from wellhead.sources.connectors.slack import SlackSource

MOST = 150
TOKEN = "WELLHEAD_TEST_SLACK_TOKEN"  # noqa: S105  # a name, not a secret


@pytest.fixture
def token() -> dict[str, str]:
    found = os.environ.get(TOKEN, "")  # noqa: TID251  # an opt-in of whoever runs it
    if not found:
        pytest.skip(f"{TOKEN} is not set: this asks the real Slack")
    return {"access_token": found}


async def test_channels_are_read(token: dict[str, str]) -> None:
    source = SlackSource.create({}, token)
    try:
        await source.check()
        entities, last = [], None
        async for item in source.read(None):
            last = item if isinstance(item, Checkpoint) else last
            if isinstance(item, Upsert):
                entities.append(item.entity)
            if len(entities) >= MOST:
                break
        files = [one.blob for one in entities if one.blob is not None][:3]
        threads = [(await asyncio.to_thread(one.open)).read_text() for one in files]
        later = [item async for item in source.read(last.token)] if last else []
    finally:
        await source.close()

    assert entities, "the app is in no channel where something was said"
    assert all(one.url.startswith("https://") for one in entities)
    assert all(" UTC in #" in text for text in threads)
    assert not later or any(isinstance(item, ScopeEnd) for item in later)


async def test_a_wrong_token_is_refused(token: dict[str, str]) -> None:
    source = SlackSource.create({}, {**token, "access_token": "xoxb-wrong"})
    try:
        with pytest.raises(CredentialsError, match="invalid_auth"):
            await source.check()
    finally:
        await source.close()
