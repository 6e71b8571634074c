"""The source itself: what it asks GitHub for, and in which order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from pydantic import Field, field_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CredentialsError, FailureClass
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.sources.base import Config, SourceInfo
from wellhead.sources.connectors.github.listing import EPOCH, before, issues_of, mark_of
from wellhead.sources.connectors.github.texts import (
    ISSUE,
    PULL_REQUEST,
    REPOSITORY,
    Remark,
    comment,
    issue_entity,
    issue_text,
    kind_of,
    repository_entity,
    review,
)
from wellhead.sources.http import (
    Answer,
    Api,
    ApiSource,
    Call,
    DeniedError,
    GoneError,
    Page,
    by_link_header,
    document,
    pages,
    path,
)
from wellhead.sources.rate_limits import RateLimit

OVERLAP = timedelta(minutes=1)
"""Lists of GitHub lag a little behind what they list."""
BUSY_SECONDS = 60.0
COMMENT_BYTES = 500
"""What a comment has, more or less."""


def _seconds_if_busy(answer: Answer) -> float | None:
    """The second limit, on bursts, often comes without a word in the headers."""
    return BUSY_SECONDS if b"secondary rate limit" in answer.body.lower() else None


async def _next(listing: pages) -> Page | None:
    """Return the next page; without the list itself nothing is known of what is in it.

    Where issues alone are switched off, GitHub still lists pull requests.
    """
    try:
        return await anext(listing, None)
    except GoneError as error:
        raise ConfigError(
            f"{error}. Switch issues on in the repository's settings"
        ) from error


class GitHubConfig(Config):
    repo_name: str = Field(
        title="Repository",
        description="Owner and name, such as octocat/hello-world.",
    )
    sync_issues: bool = Field(
        default=True, title="Issues", description="Read issues and their comments."
    )
    sync_pull_requests: bool = Field(
        default=True,
        title="Pull requests",
        description="Read pull requests with comments and reviews.",
    )

    @field_validator("repo_name")
    @classmethod
    def _owner_and_name(cls, value: str) -> str:
        name = value.removeprefix("https://github.com/").removesuffix(".git")
        owner, _, repository = name.strip("/").partition("/")
        if not owner or not repository or "/" in repository:
            raise ValueError("write it as owner/name")
        path(owner, repository)  # neither may be . or ..
        return f"{owner}/{repository}"


class GitHubCredentials(Config):
    personal_access_token: str = Field(
        title="Personal access token",
        description="It needs to read contents, issues and pull requests.",
        min_length=1,
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class GitHubSource(ApiSource):
    """A listing shows numbers and dates; texts are put together for what changed."""

    info = SourceInfo(
        short_name="github",
        name="GitHub",
        description="Issues and pull requests of a repository, with all comments.",
        entity_types=(REPOSITORY, ISSUE, PULL_REQUEST),
        labels=("Code", "Project Management"),
        supports_continuous=True,
        is_incremental=True,
        rate_limit=RateLimit(requests=5_000, seconds=3_600),
        tested=Tested.CONTRACT_AND_FAKE,
    )
    config_model = GitHubConfig
    credentials_model = GitHubCredentials
    config: GitHubConfig
    credentials: GitHubCredentials
    api = Api(
        name="GitHub",
        base_url="https://api.github.com",
        headers={
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
        },
        seconds_if_busy=_seconds_if_busy,
    )

    def token(self) -> str | None:
        return self.credentials.personal_access_token

    async def check(self) -> None:
        await self._repository()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Walk by the time of change; a checkpoint is the time reached so far."""
        place = cursor or {"since": EPOCH, "is_listing": True}
        is_listing, since = bool(place["is_listing"]), str(place["since"])
        yield ScopeStart()
        repository = await self._repository()
        yield Upsert(repository)
        latest, etag, count = str(place.get("latest") or EPOCH), None, 0
        seen: set[tuple[int, str]] = set()
        listing = issues_of(self.http, self._place, since=since, etag=place.get("etag"))
        while (page := await _next(listing)) is not None:
            count += 1
            etag = page.answer.headers.get("etag") or place.get("etag")
            for issue in page.records:
                if mark_of(issue) not in seen and self._is_wanted(issue):
                    yield self._item(issue, repository)
                latest = max(latest, issue["updated_at"])
            # those of the last second come again with the next page
            seen = {mark_of(issue) for issue in page.records}
            if page.next is not None:
                yield Checkpoint(
                    {"since": page.next, "is_listing": is_listing, "latest": latest}
                )
        yield ScopeEnd(complete=is_listing)
        following = max(since.partition("|")[0], before(latest, OVERLAP))
        is_same = count == 1 and following == since and not is_listing
        yield Checkpoint(
            {
                "since": following,
                "is_listing": False,
                "latest": latest,
                "etag": etag if is_same else None,
            }
        )

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        repository = await self._repository()
        for ref in refs:
            if ref.type == REPOSITORY:
                is_it = ref.source_id == repository.source_id
                yield Upsert(repository) if is_it else Delete(ref)
                continue
            issue = await self._issue(ref, repository.name)
            is_there = issue is not None and self._is_wanted(issue)
            yield self._item(issue, repository) if issue and is_there else Delete(ref)

    async def ids(self) -> AsyncIterator[Item]:
        yield ScopeStart()
        repository = await self._repository()
        yield Seen(Ref(REPOSITORY, repository.source_id))
        listing = issues_of(self.http, self._place, since=EPOCH, etag=None)
        while (page := await _next(listing)) is not None:
            for issue in page.records:
                if self._is_wanted(issue):
                    yield Seen(Ref(kind_of(issue), str(issue["number"])))
        yield ScopeEnd()

    @property
    def _place(self) -> tuple[str, str]:
        owner, _, name = self.config.repo_name.partition("/")
        return owner, name

    async def _repository(self) -> Entity:
        """Raises ConfigError if it is not there, CredentialsError if not for us."""
        try:
            found = await self.http.get_json(path("repos", *self._place))
            return repository_entity(found)
        except GoneError as error:
            raise ConfigError(
                f"there is no repository {self.config.repo_name},"
                f" or the token may not see it: {error}"
            ) from error
        except DeniedError as error:
            raise CredentialsError(str(error)) from error

    async def _issue(self, ref: Ref, repository: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self.http.get_json(
                path("repos", *self._place, "issues", ref.source_id)
            )
        except GoneError:
            return None
        # a transferred one is answered by its new repository; a number may be both
        is_it = str(found.get("number")) == ref.source_id and kind_of(found) == ref.type
        home = str(found.get("repository_url") or "").lower()
        # by its present name, which need not be the one that was configured
        is_at_home = home.endswith(f"/repos/{repository.lower()}")
        return found if is_it and is_at_home else None

    def _is_wanted(self, issue: dict[str, Any]) -> bool:
        if kind_of(issue) == PULL_REQUEST:
            return self.config.sync_pull_requests
        return self.config.sync_issues

    def _item(self, issue: dict[str, Any], repository: Entity) -> Item:
        try:
            entity = issue_entity(issue, repository)
        except (KeyError, TypeError, ValueError) as error:
            ref = Ref(kind_of(issue), str(issue.get("number")))
            return Failure(
                ref, f"GitHub describes it oddly: {error!r}", FailureClass.PERMANENT
            )
        said = (issue.get("comments") or 0) * COMMENT_BYTES
        text = document(
            f"{entity.source_id}.md",
            partial(self._text, issue),
            size=len(issue.get("body") or "") + said,
        )
        return Upsert(replace(entity, blob=text))

    async def _text(self, issue: dict[str, Any]) -> str:
        """Ask for everything that was said about it."""
        number, asked = issue["number"], []
        if issue.get("comments"):
            asked.append(("issues", "comments"))
        if issue.get("pull_request"):
            asked += [("pulls", "comments"), ("pulls", "reviews")]
        found = await asyncio.gather(
            *(self._remarks(part, number, what) for part, what in asked)
        )
        return issue_text(issue, chain.from_iterable(found))

    async def _remarks(self, part: str, number: int, what: str) -> list[Remark]:
        call = Call(
            url=path("repos", *self._place, part, number, what),
            query={"per_page": 100},
        )
        read = review if what == "reviews" else comment
        found = [
            read(one)
            async for page in pages(self.http, call, by_link_header())
            for one in page.records
        ]
        return [one for one in found if one is not None]
