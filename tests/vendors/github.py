"""A repository on GitHub in memory: issues, pull requests, and what was said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, ClassVar

import httpx

from wellhead.domain.items import Ref
from wellhead.sources.connectors.github import GitHubSource
from wellhead.sources.connectors.github.texts import ISSUE, PULL_REQUEST
from wellhead.sources.testing import Vendor

TOKEN = "ghp_0123456789abcdefSECRET"  # noqa: S105  # of nobody
HOME = "/repos/octo/hello"
API = "https://api.github.com"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Remark:
    id: int
    author: str
    body: str
    at: str
    path: str | None = None
    state: str | None = None


@dataclass
class Issue:
    number: int
    title: str
    body: str | None
    created_at: str
    updated_at: str
    is_pull_request: bool
    state: str = "open"
    merged_at: str | None = None
    comments: list[Remark] = field(default_factory=list)
    review_comments: list[Remark] = field(default_factory=list)
    reviews: list[Remark] = field(default_factory=list)

    @property
    def ref(self) -> Ref:
        return Ref(PULL_REQUEST if self.is_pull_request else ISSUE, str(self.number))


class Account(Vendor):
    """Every third issue is a pull request; all time passes minute by minute."""

    source = GitHubSource
    config: ClassVar = {"repo_name": "octo/hello"}
    credentials: ClassVar = {"personal_access_token": TOKEN}

    def __init__(self) -> None:
        self.issues: dict[int, Issue] = {}
        self.now = BEGINNING
        self.number = 0
        self.requests: list[httpx.Request] = []
        self.has_issues = True
        self.unchanged = 0
        """So often it could say that nothing had changed."""

    # --- what the suite does to it ---

    def add(self, count: int) -> Sequence[Ref]:
        return [self.open().ref for _ in range(count)]

    def open(self, body: str | None = "It **should** work.") -> Issue:
        self.number += 1
        at = self._later()
        issue = Issue(
            self.number,
            f"Number {self.number}",
            body,
            at,
            at,
            is_pull_request=self.number % 3 == 0,
        )
        self.issues[issue.number] = issue
        return issue

    def change(self) -> Ref:
        issue = next(iter(self.issues.values()))
        self.say(issue, "That is the one.")
        return issue.ref

    def say(self, issue: Issue, body: str, author: str = "ada") -> None:
        at = self._later()
        issue.comments.append(Remark(len(issue.comments) + 1, author, body, at))
        issue.updated_at = at

    def remove(self) -> Ref:
        numbers = list(self.issues)
        return self.issues.pop(numbers[len(numbers) // 2]).ref

    def is_about_one(self, request: httpx.Request) -> bool:
        return request.url.path.startswith(f"{HOME}/issues/")

    def busy(self) -> Sequence[httpx.Response]:
        reset = str(int(self.now.timestamp()) + 7)
        used_up = {
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": reset,
            "date": format_datetime(self.now, usegmt=True),
        }
        second = {"message": "You have exceeded a secondary rate limit."}
        return [
            httpx.Response(403, headers=used_up, json={"message": "API rate limit"}),
            httpx.Response(429, headers=used_up),
            httpx.Response(403, headers={"retry-after": "7"}, json=second),
            httpx.Response(403, json=second),
        ]

    # --- what GitHub answers ---

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"message": "Bad credentials"})
        where = request.url.path
        if where == HOME:
            found = {**_repository(), "has_issues": self.has_issues}
            return httpx.Response(200, json=found)
        if not where.startswith(f"{HOME}/"):
            return httpx.Response(404, json={"message": "Not Found"})
        parts = where.removeprefix(f"{HOME}/").split("/")
        if parts == ["issues"]:
            return self._listed(request)
        issue = self.issues.get(int(parts[1]))
        if issue is None:
            return httpx.Response(404, json={"message": "Not Found"})
        if parts[0] == "issues" and self._is_off(issue):
            off = {"message": "Issues are disabled for this repo"}
            return httpx.Response(410, json=off)
        return self._part(request, issue, parts)

    def _is_off(self, issue: Issue) -> bool:
        """With issues switched off GitHub goes on to show pull requests among them."""
        return not self.has_issues and not issue.is_pull_request

    def _listed(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        chosen = sorted(
            (
                one
                for one in self.issues.values()
                if one.updated_at >= query["since"] and not self._is_off(one)
            ),
            key=lambda one: (one.updated_at, one.number),
        )
        return self._page(request, chosen, _shown)

    def _part(
        self, request: httpx.Request, issue: Issue, parts: list[str]
    ) -> httpx.Response:
        match parts:
            case ["issues", _]:
                return httpx.Response(200, json=_shown(issue))
            case ["issues", _, "comments"]:
                return self._page(request, issue.comments, _comment)
            case ["pulls", _, "comments"] if issue.is_pull_request:
                return self._page(request, issue.review_comments, _review_comment)
            case ["pulls", _, "reviews"] if issue.is_pull_request:
                return self._page(request, issue.reviews, _review)
            case _:
                return httpx.Response(404, json={"message": "Not Found"})

    def _page(
        self, request: httpx.Request, found: list[Any], show: Callable[[Any], Any]
    ) -> httpx.Response:
        size = min(int(request.url.params.get("per_page", 30)), 100)
        number = int(request.url.params.get("page", 1))
        page = [show(one) for one in found[(number - 1) * size : number * size]]
        etag = f'W/"{sha256(repr(page).encode()).hexdigest()}"'
        headers = {"etag": etag}
        if number * size < len(found):
            after = request.url.copy_set_param("page", number + 1)
            headers["link"] = f'<{after}>; rel="next", <{after}>; rel="last"'
        if request.headers.get("if-none-match") == etag:
            self.unchanged += 1
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, json=page, headers=headers)

    def _later(self) -> str:
        self.now += timedelta(minutes=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _user(login: str) -> dict[str, Any]:
    return {"login": login, "id": 1, "type": "User", "site_admin": False}


def _repository() -> dict[str, Any]:
    return {
        "id": 4711,
        "name": "hello",
        "full_name": "octo/hello",
        "private": False,
        "description": "Says hello.",
        "html_url": "https://github.com/octo/hello",
        "topics": ["greetings"],
        "language": "Python",
        "archived": False,
        "has_issues": True,
        "created_at": "2025-12-31T00:00:00Z",
        "updated_at": "2025-12-31T00:00:00Z",
    }


def _shown(issue: Issue) -> dict[str, Any]:
    url = f"{API}{HOME}/issues/{issue.number}"
    kind = "pull" if issue.is_pull_request else "issues"
    found: dict[str, Any] = {
        "id": 100_000 + issue.number,
        "number": issue.number,
        "url": url,
        "repository_url": f"{API}{HOME}",
        "html_url": f"https://github.com/octo/hello/{kind}/{issue.number}",
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "user": _user("grace"),
        "labels": [{"id": 1, "name": "bug", "color": "d73a4a", "default": True}],
        "assignees": [_user("ada")],
        "milestone": None,
        "comments": len(issue.comments),
        "created_at": issue.created_at,
        "updated_at": issue.updated_at,
    }
    if issue.is_pull_request:
        found["pull_request"] = {
            "url": f"{API}{HOME}/pulls/{issue.number}",
            "html_url": found["html_url"],
            "diff_url": f"{found['html_url']}.diff",
            "patch_url": f"{found['html_url']}.patch",
            "merged_at": issue.merged_at,
        }
    return found


def _comment(remark: Remark) -> dict[str, Any]:
    return {
        "id": remark.id,
        "user": _user(remark.author),
        "body": remark.body,
        "created_at": remark.at,
        "updated_at": remark.at,
    }


def _review_comment(remark: Remark) -> dict[str, Any]:
    return {**_comment(remark), "path": remark.path}


def _review(remark: Remark) -> dict[str, Any]:
    return {
        "id": remark.id,
        "user": _user(remark.author),
        "body": remark.body,
        "state": remark.state,
        "submitted_at": remark.at,
    }
