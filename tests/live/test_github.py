"""GitHub itself, where somebody gives a token; nothing is written there."""

import asyncio

import pytest
from tests.live.vendors import check_is_refused, content, given, read_some

from wellhead.domain.items import ScopeEnd
from wellhead.sources.connectors.github import GitHubSource

MOST = 150
GITHUB = "the real GitHub"


@pytest.fixture
def repository() -> dict[str, str]:
    return {"repo_name": given("WELLHEAD_TEST_GITHUB_REPOSITORY", GITHUB)}


@pytest.fixture
def token() -> dict[str, str]:
    return {"personal_access_token": given("WELLHEAD_TEST_GITHUB_TOKEN", GITHUB)}


async def test_a_repository_is_read(
    repository: dict[str, str], token: dict[str, str]
) -> None:
    source = GitHubSource.create(repository, token)
    try:
        await source.check()
        found = await read_some(source, None, MOST)
        entities, last = found.entities, found.last
        texts = [await asyncio.to_thread(content, one) for one in entities[:5]]
        later = [item async for item in source.read(last.token)] if last else []
    finally:
        await source.close()

    assert entities[0].name.lower() == repository["repo_name"].lower()
    assert all(texts)
    assert not later or any(isinstance(item, ScopeEnd) for item in later)


async def test_a_wrong_token_is_refused(repository: dict[str, str]) -> None:
    source = GitHubSource.create(repository, {"personal_access_token": "ghp_wrong"})
    await check_is_refused(source, "Bad credentials")
