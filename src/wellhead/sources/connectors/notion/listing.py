"""Notion's lists: its search, the rows of its databases, and what they leave out.

A query ends after 10,000 results and says so. Rows are then asked for from the last
date on; a search cannot be narrowed, and is read from its other end as well.
"""

from dataclasses import dataclass, replace
from typing import Any

from wellhead.sources.http import (
    ApiClient,
    Call,
    Page,
    Paging,
    Resumed,
    field,
    pages,
    path,
)

PAGE = 100
PAGES = "page"
DATA_SOURCES = "data_source"
NEWEST_FIRST = "descending"
OLDEST_FIRST = "ascending"
_status = field("request_status.type")


def search(
    client: ApiClient,
    *,
    kind: str | None = None,
    direction: str = NEWEST_FIRST,
    start: str | None = None,
    size: int = PAGE,
) -> Resumed:
    """List what is shared with the integration by the time of its last change."""
    body: dict[str, Any] = {
        "sort": {"timestamp": "last_edited_time", "direction": direction},
        "page_size": size,
    }
    if kind is not None:
        body["filter"] = {"property": "object", "value": kind}
    call = Call(url="/search", method="POST", body=body)
    paging = Paging(ask=_ask, following=_following)
    return Resumed(
        lambda token: pages(client, call, paging, records="results", start=token), start
    )


def rows(client: ApiClient, data_source: str, *, start: str | None = None) -> Resumed:
    """List the rows of a data source, the oldest first."""
    call = Call(
        url=path("data_sources", data_source, "query"),
        method="POST",
        body={
            "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
            "page_size": PAGE,
        },
    )
    paging = Paging(ask=_ask_since, following=_following_since)
    return Resumed(
        lambda token: pages(client, call, paging, records="results", start=token), start
    )


def is_cut(page: Page) -> bool:
    """Tell whether the list this page is of ends early; any of its pages may say so."""
    return bool(_status(page.body) == "incomplete")


def is_lost(page: Page) -> bool:
    """Tell whether rows end here though there are more, all of one minute."""
    return page.next is None and (is_cut(page) or _Window.of(page.token).is_cut)


def _ask(call: Call, token: str | None) -> Call:
    return replace(call, body={**call.body, "start_cursor": token}) if token else call


def _following(page: Page) -> str | None:
    more = page.body.get("next_cursor") if page.body.get("has_more") else None
    return str(more) if more else None


@dataclass(frozen=True, slots=True)
class _Window:
    """Where a reading of rows is: its token, as text."""

    since: str = ""
    cursor: str = ""
    is_cut: bool = False

    @classmethod
    def of(cls, token: str | None) -> "_Window":
        since, _, rest = (token or "").partition("|")
        cursor, _, cut = rest.partition("|")
        return cls(since, cursor, bool(cut))

    def __str__(self) -> str:
        return "|".join((self.since, self.cursor, "cut" if self.is_cut else ""))


def _ask_since(call: Call, token: str | None) -> Call:
    window = _Window.of(token)
    if window.since:
        created = {"on_or_after": window.since}
        only = {"timestamp": "created_time", "created_time": created}
        call = replace(call, body={**call.body, "filter": only})
    return _ask(call, window.cursor or None)


def _following_since(page: Page) -> str | None:
    """Go on by cursor, and where the query is cut by the date of the last row."""
    window = _Window.of(page.token)
    was_cut = window.is_cut or is_cut(page)
    cursor = _following(page)
    if cursor is not None:
        return str(_Window(window.since, cursor, was_cut))
    if not was_cut or not page.records:
        return None
    last = field("created_time")(page.records[-1])
    is_later = isinstance(last, str) and last > window.since
    return str(_Window(last)) if is_later else None
