"""GitHub itself, where somebody gives a token; nothing is written there."""

import asyncio
import os
from pathlib import Path

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import CredentialsError
from wellhead.domain.items import Checkpoint, ScopeEnd, Upsert
from wellhead.sources.connectors.github import GitHubSource

MOST = 150


def _given(name: str) -> str:
    found = os.environ.get(name, "")  # noqa: TID251  # an opt-in of whoever runs it
    if not found:
        pytest.skip(f"{name} is not set: this asks the real GitHub")
    return found


@pytest.fixture
def repository() -> dict[str, str]:
    return {"repo_name": _given("WELLHEAD_TEST_GITHUB_REPOSITORY")}


@pytest.fixture
def token() -> dict[str, str]:
    return {"personal_access_token": _given("WELLHEAD_TEST_GITHUB_TOKEN")}


def _content(entity: Entity) -> str:
    if entity.blob is None:
        return entity.text or ""
    path: Path = entity.blob.open()
    return path.read_text()


async def test_a_repository_is_read(
    repository: dict[str, str], token: dict[str, str]
) -> None:
    source = GitHubSource.create(repository, token)
    try:
        await source.check()
        entities, last = [], None
        async for item in source.read(None):
            last = item if isinstance(item, Checkpoint) else last
            if isinstance(item, Upsert):
                entities.append(item.entity)
            if len(entities) >= MOST:
                break
        texts = [await asyncio.to_thread(_content, one) for one in entities[:5]]
        later = [item async for item in source.read(last.token)] if last else []
    finally:
        await source.close()

    assert entities[0].name.lower() == repository["repo_name"].lower()
    assert all(texts)
    assert not later or any(isinstance(item, ScopeEnd) for item in later)


async def test_a_wrong_token_is_refused(repository: dict[str, str]) -> None:
    source = GitHubSource.create(repository, {"personal_access_token": "ghp_wrong"})
    try:
        with pytest.raises(CredentialsError, match="Bad credentials"):
            await source.check()
    finally:
        await source.close()
