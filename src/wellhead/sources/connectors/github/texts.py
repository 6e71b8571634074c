"""What people wrote on GitHub as entities, and as one readable text for each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wellhead.domain.entities import Breadcrumb, Entity

REPOSITORY = "GitHubRepositoryEntity"
ISSUE = "GitHubIssueEntity"
PULL_REQUEST = "GitHubPullRequestEntity"


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """A comment or a review."""

    at: str
    text: str


def repository_entity(found: dict[str, Any]) -> Entity:
    topics = ", ".join(found.get("topics") or ())
    lines = [
        found["full_name"],
        found.get("description") or "",
        f"Topics: {topics}" if topics else "",
        f"Language: {found['language']}" if found.get("language") else "",
    ]
    return Entity(
        type=REPOSITORY,
        source_id=str(found["id"]),
        name=found["full_name"],
        text="\n\n".join(line for line in lines if line),
        created_at=_time(found.get("created_at")),
        updated_at=_time(found.get("updated_at")),
        url=found.get("html_url") or "",
        raw=_chosen(
            found, "id", "full_name", "description", "topics", "language", "archived"
        ),
    )


def kind_of(issue: dict[str, Any]) -> str:
    return PULL_REQUEST if issue.get("pull_request") else ISSUE


def issue_entity(issue: dict[str, Any], repository: Entity) -> Entity:
    """Describe an issue or a pull request; its text takes more requests."""
    return Entity(
        type=kind_of(issue),
        source_id=str(issue["number"]),
        name=issue["title"] or f"#{issue['number']}",
        source_version=issue["updated_at"],
        created_at=_time(issue.get("created_at")),
        updated_at=_time(issue["updated_at"]),
        breadcrumbs=(Breadcrumb(repository.source_id, repository.name, REPOSITORY),),
        url=issue.get("html_url") or "",
        raw={
            "number": issue["number"],
            "state": _state(issue),
            "author": _login(issue),
            "labels": _labels(issue),
            "assignees": [one["login"] for one in issue.get("assignees") or ()],
            "milestone": (issue.get("milestone") or {}).get("title"),
            "comments": issue.get("comments"),
        },
    )


def issue_text(issue: dict[str, Any], remarks: Iterable[Remark]) -> str:
    """Write it as people read it: title, state, description, remarks by time."""
    kind = "Pull request" if issue.get("pull_request") else "Issue"
    labels = ", ".join(_labels(issue))
    facts = [
        f"{kind} #{issue['number']} by {_login(issue)}, {_state(issue)}",
        f"Labels: {labels}" if labels else "",
    ]
    head = "\n".join(one for one in facts if one)
    said = (one.text for one in sorted(remarks))
    parts = [f"# {issue['title']}", head, issue.get("body") or "", *said]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def comment(found: dict[str, Any]) -> Remark:
    """A comment; one on a line of code says on which file."""
    file = found.get("path")
    where = f" on {file}" if file else ""
    return _remark(found, f"commented{where}", at=found["created_at"])


def review(found: dict[str, Any]) -> Remark | None:
    """A review that says something, None for one that only carries comments."""
    state = str(found.get("state") or "").lower().replace("_", " ")
    if not found.get("body") and state in ("", "commented", "pending"):
        return None
    did = "reviewed" if state == "commented" else state
    return _remark(found, did, at=found.get("submitted_at") or "")


def _remark(found: dict[str, Any], did: str, *, at: str) -> Remark:
    head = f"## {_login(found)} {did} on {at[:10]}" if at else f"## {_login(found)}"
    return Remark(at, f"{head}\n\n{found.get('body') or ''}".strip())


def _state(issue: dict[str, Any]) -> str:
    pull_request = issue.get("pull_request") or {}
    if pull_request.get("merged_at"):
        return "merged"
    reason = issue.get("state_reason")
    is_told = issue.get("state") == "closed" and reason not in (None, "completed")
    state = str(issue.get("state") or "open")
    return f"{state} as {str(reason).replace('_', ' ')}" if is_told else state


def _labels(issue: dict[str, Any]) -> list[str]:
    labels = issue.get("labels") or ()
    names = [one if isinstance(one, str) else one.get("name") for one in labels]
    return [one for one in names if one]


def _login(found: dict[str, Any]) -> str:
    # accounts that are gone are shown as "ghost" by the site, and are null here
    return str((found.get("user") or {}).get("login") or "ghost")


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _chosen(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: found.get(name) for name in names}
