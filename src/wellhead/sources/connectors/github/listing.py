"""Walking all issues and pull requests of a repository in the order of their changes.

Pages are cut by time, not by number: an issue that changes while it is listed moves to
the end, and with numbers another one would slip from one page to the one before.
"""

from datetime import datetime, timedelta
from typing import Any

from wellhead.domain.errors import RetryableError
from wellhead.sources.http import ApiClient, Call, Page, Paging, pages, path
from wellhead.sources.http.pages import linked

PAGE = 100
EPOCH = "1970-01-01T00:00:00Z"
_SECOND = timedelta(seconds=1)


def issues_of(
    client: ApiClient, repository: tuple[str, str], *, since: str, etag: str | None
) -> pages:
    """List what changed since; a 304 to the etag is an empty page."""
    headers = {} if etag is None else {"if-none-match": etag}
    call = Call(
        url=path("repos", *repository, "issues"),
        query={
            "state": "all",
            "sort": "updated",
            "direction": "asc",
            "per_page": PAGE,
        },
        headers=headers,
    )
    return pages(client, call, Paging(ask=_ask, following=_following), start=since)


def _ask(call: Call, token: str | None) -> Call:
    since, _, number = (token or EPOCH).partition("|")
    return call.with_query(since=since, page=int(number) if number else None)


def _following(page: Page) -> str | None:
    """Go on at the second before the last change; by number where all are in it."""
    if linked(page.answer, "next") is None or not page.records:
        return None
    since, _, number = (page.token or EPOCH).partition("|")
    _, changed = mark_of(page.records[-1])
    last = before(changed, _SECOND)
    if last > since:
        return last
    return f"{since}|{int(number or 1) + 1}"


def before(moment: str, span: timedelta) -> str:
    """Return an earlier moment, in GitHub's own form."""
    found = datetime.fromisoformat(moment) - span
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def mark_of(issue: Any) -> tuple[int, str]:
    """Return number and time of change; raises RetryableError if there are none.

    Without them nobody can tell where the listing is.
    """
    if isinstance(issue, dict):
        number, changed = issue.get("number"), issue.get("updated_at")
        if isinstance(number, int) and isinstance(changed, str):
            return number, changed
    raise RetryableError("GitHub lists an issue without number or updated_at")
