"""GitHub is read by the time of change, and its texts only where something changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from tests.vendors.github import Account, Remark

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CredentialsError
from wellhead.domain.items import Delete, Failure, Seen, Upsert
from wellhead.sources.connectors.github import GitHubConfig
from wellhead.sources.http import GoneError
from wellhead.sources.testing.stage import Stage, stage


@asynccontextmanager
async def hello(records: int = 3) -> AsyncIterator[tuple[Stage, Account]]:
    async with stage(Account, records=records) as on:
        assert isinstance(on.vendor, Account)
        yield on, on.vendor


def numbered(found: dict[bytes, Entity], number: int) -> Entity:
    return next(one for one in found.values() if one.source_id == str(number))


def read_text(entity: Entity) -> str:
    assert entity.blob is not None
    return entity.blob.open().read_text()


async def texts(on: Stage, *numbers: int) -> list[str]:
    """What is read of these while their source is open."""
    source = on.connect()
    found = {
        item.key: item.entity
        async for item in source.read(None)
        if isinstance(item, Upsert)
    }
    try:
        return [
            await asyncio.to_thread(read_text, numbered(found, one)) for one in numbers
        ]
    finally:
        await source.close()


async def test_an_issue_is_one_readable_text() -> None:
    async with hello() as (on, account):
        account.say(account.issues[1], "Which version?")
        account.say(account.issues[1], "The last one.", author="grace")
        found = await on.first_read()
        [text] = await texts(on, 1)

    issue = numbered(found.entities, 1)
    assert issue.type == "GitHubIssueEntity"
    assert issue.name == "Number 1"
    assert issue.url == "https://github.com/octo/hello/issues/1"
    assert [step.name for step in issue.breadcrumbs] == ["octo/hello"]
    assert issue.raw["labels"] == ["bug"]
    assert text == (
        "# Number 1\n\nIssue #1 by grace, open\nLabels: bug\n\nIt **should** work.\n\n"
        "## ada commented on 2026-01-01\n\nWhich version?\n\n"
        "## grace commented on 2026-01-01\n\nThe last one.\n"
    )


async def test_a_pull_request_has_its_reviews_in_the_order_of_time() -> None:
    async with hello() as (on, account):
        pull = account.issues[3]
        pull.merged_at = pull.updated_at
        pull.comments = [Remark(1, "ada", "Third.", "2026-02-03T00:00:00Z")]
        pull.reviews = [
            Remark(2, "bob", "Second.", "2026-02-02T00:00:00Z", state="APPROVED"),
            Remark(3, "bob", "", "2026-02-02T00:00:00Z", state="COMMENTED"),
        ]
        pull.review_comments = [
            Remark(4, "bob", "First.", "2026-02-01T00:00:00Z", path="src/a.py")
        ]
        [text] = await texts(on, 3)

    assert "Pull request #3 by grace, merged" in text
    remarks = [line for line in text.splitlines() if line.startswith("## ")]
    assert remarks == [
        "## bob commented on src/a.py on 2026-02-01",
        "## bob approved on 2026-02-02",
        "## ada commented on 2026-02-03",
    ]


async def test_a_listing_asks_for_no_comments() -> None:
    async with hello(250) as (on, account):
        for issue in account.issues.values():
            issue.comments = [Remark(1, "ada", "Yes.", issue.created_at)]
        account.requests.clear()
        await on.first_read()

        assert {one.url.path for one in account.requests} == {
            "/repos/octo/hello",
            "/repos/octo/hello/issues",
        }
        assert len(account.requests) == 4


async def test_an_issue_that_changes_during_the_listing_hides_no_other() -> None:
    async with hello(250) as (on, account):
        source = on.connect()
        seen = set()
        async for item in source.read(None):
            if isinstance(item, Upsert):
                seen.add(item.entity.source_id)
                if item.entity.source_id == "50":
                    for number in range(1, 40):
                        account.say(account.issues[number], "Me too.")
        await source.close()

    assert {str(number) for number in account.issues} <= seen


async def test_issues_of_one_moment_are_all_read() -> None:
    async with hello(250) as (on, account):
        for issue in account.issues.values():
            issue.updated_at = "2026-05-05T05:05:05Z"
        found = await on.first_read()

    assert len(found.entities) == 251


async def test_asking_again_costs_nothing_where_nothing_changed() -> None:
    async with hello() as (on, account):
        first = await on.first_read()
        second = await on.read(cursor=first.checkpoint)
        third = await on.read(cursor=second.checkpoint)
        fourth = await on.read(cursor=third.checkpoint)

        assert account.unchanged == 1 + 1
        assert fourth.checkpoint == third.checkpoint
        account.say(account.issues[2], "News.")
        fifth = await on.read(cursor=fourth.checkpoint)

    assert numbered(fifth.entities, 2).raw["comments"] == 1


async def test_only_what_is_chosen_is_read() -> None:
    async with hello() as (on, account):
        account.config = {"repo_name": "octo/hello", "sync_issues": False}  # type: ignore[misc]
        found = await on.first_read()

    assert {one.type for one in found.entities.values()} == {
        "GitHubRepositoryEntity",
        "GitHubPullRequestEntity",
    }


async def test_a_transferred_issue_is_gone() -> None:
    async with hello() as (on, account):
        ref = account.issues[1].ref
        moved = {"number": 1, "repository_url": "https://api.github.com/repos/octo/new"}
        on.trouble.effect = None
        answer = account.answer

        def transferred(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/issues/1"):
                return httpx.Response(200, json=moved)
            return answer(request)

        account.answer = transferred  # type: ignore[method-assign]
        source = on.connect()
        fetching = source.fetch([ref])
        assert fetching is not None
        [item] = [one async for one in fetching]
        await source.close()

    assert type(item).__name__ == "Delete"


async def test_a_repository_with_a_new_name_keeps_its_issues() -> None:
    async with hello() as (on, account):
        ref = account.issues[1].ref
        answer = account.answer

        def renamed(request: httpx.Request) -> httpx.Response:
            found = answer(request)
            return httpx.Response(
                found.status_code,
                headers={"content-type": "application/json"},
                text=found.text.replace("octo/hello", "octo/hi"),
            )

        account.answer = renamed  # type: ignore[method-assign]
        source = on.connect()
        fetching = source.fetch([ref])
        assert fetching is not None
        [item] = [one async for one in fetching]
        await source.close()

    assert isinstance(item, Upsert)
    assert item.entity.source_id == "1"


async def test_pull_requests_are_read_where_issues_are_switched_off() -> None:
    async with hello(6) as (on, account):
        issue = account.issues[1].ref
        account.has_issues = False
        found = await on.first_read()
        source = on.connect()
        listing, fetching = source.ids(), source.fetch([issue, account.issues[3].ref])
        assert listing is not None
        assert fetching is not None
        ids = [one async for one in listing]
        fetched = [one async for one in fetching]
        await source.close()

    pulls = {"GitHubRepositoryEntity", "GitHubPullRequestEntity"}
    assert {one.type for one in found.entities.values()} == pulls
    assert {one.ref.type for one in ids if isinstance(one, Seen)} == pulls
    assert fetched[0] == Delete(issue)
    assert isinstance(fetched[1], Upsert)


async def test_a_list_that_is_switched_off_deletes_nothing_and_says_why() -> None:
    async with hello() as (on, account):
        answer = account.answer
        off = {"message": "Issues are disabled for this repo"}

        def gone(request: httpx.Request) -> httpx.Response:
            is_list = request.url.path.endswith("/issues")
            return httpx.Response(410, json=off) if is_list else answer(request)

        account.answer = gone  # type: ignore[method-assign]
        source = on.connect()
        for listing in (source.read(None), source.ids()):
            assert listing is not None
            with pytest.raises(ConfigError, match=r"disabled for this repo.*settings"):
                _ = [one async for one in listing]
        await source.close()


async def test_an_issue_of_another_shape_fails_alone() -> None:
    async with hello() as (on, account):
        account.issues[2].title = None  # type: ignore[assignment]
        account.issues[1].created_at = "yesterday"
        source = on.connect()
        items = [one async for one in source.read(None)]
        await source.close()

    failed = [one for one in items if isinstance(one, Failure)]
    assert [one.ref.source_id for one in failed if one.ref] == ["1"]
    names = [one.entity.name for one in items if isinstance(one, Upsert)]
    assert "#2" in names


async def test_a_text_that_cannot_be_had_is_a_failure_of_its_issue() -> None:
    async with hello() as (on, account):
        account.say(account.issues[1], "Soon gone.")
        source = on.connect()
        found = {
            one.key: one.entity
            async for one in source.read(None)
            if isinstance(one, Upsert)
        }
        del account.issues[1]

        with pytest.raises(GoneError):
            await asyncio.to_thread(read_text, numbered(found, 1))
        await source.close()


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"repo_name": "octo/other"}, ConfigError),
        ({"repo_name": "octo/hello"}, CredentialsError),
    ],
)
async def test_a_check_says_what_is_wrong(
    config: dict[str, Any], error: type[Exception]
) -> None:
    async with hello() as (on, account):
        account.config = config  # type: ignore[misc]
        if error is CredentialsError:
            account.credentials = {"personal_access_token": "ghp_wrong"}  # type: ignore[misc]
        source = on.connect()
        with pytest.raises(error, match=r"octo/other|Bad credentials"):
            await source.check()
        await source.close()


@pytest.mark.parametrize(
    "name",
    ["octo/hello", "https://github.com/octo/hello", "octo/hello.git", "octo/hello/"],
)
def test_a_repository_is_named_as_people_do(name: str) -> None:
    assert GitHubConfig(repo_name=name).repo_name == "octo/hello"


@pytest.mark.parametrize("name", ["octo", "octo/", "a/b/c", "../b", "octo/.."])
def test_what_names_no_repository_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        GitHubConfig(repo_name=name)
