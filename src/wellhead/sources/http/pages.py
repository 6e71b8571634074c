"""Reading lists page by page, in each of the ways that vendors offer.

A vendor that goes round in circles is refused: a page that comes again would make a
listing endless, or look complete when it is not.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import httpx

from wellhead.domain.errors import RetryableError
from wellhead.sources.http.api import Answer, Call
from wellhead.sources.http.client import ApiClient
from wellhead.sources.http.errors import RefusedError

_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, and where the next one is."""

    records: list[Any]
    body: Any
    answer: Answer
    token: str | None
    """Where this page was; None for the first one."""
    next: str | None
    """`start` of a reading that goes on behind this page; None if it is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """One way of paging: how to ask for a page, and what says where the next is."""

    ask: Callable[[Call, str | None], Call]
    following: Callable[[Page], str | None]


class pages(AsyncIterator[Page]):  # noqa: N801  # it is used like a function
    """Yields pages from `start` (a `next` of earlier) to the last one.

    `records` is where in a body its list is: "data.items", "" for the body itself.
    "Not modified" is an empty last page. Raises RetryableError when a page comes again
    or has no such list. It can be left at any page: no generator waits to be closed.
    """

    def __init__(
        self,
        client: ApiClient,
        call: Call,
        paging: Paging,
        *,
        records: str = "",
        start: str | None = None,
    ) -> None:
        self._client = client
        self._call = call
        self._paging = paging
        self._where = records
        self._token = start
        self._is_over = False
        self._seen: set[bytes] = set()

    async def __anext__(self) -> Page:
        if self._is_over:
            raise StopAsyncIteration
        page = await self._read()
        self._refuse_circles(page)
        self._token, self._is_over = page.next, page.next is None
        return page

    async def _read(self) -> Page:
        ask = self._paging.ask(self._call, self._token)
        answer, body = await self._client.json(ask)
        if answer.status == 304:
            return Page(
                records=[], body=None, answer=answer, token=self._token, next=None
            )
        found = field(self._where)(body)
        if not isinstance(found, list):
            where = f"at '{self._where}'" if self._where else "in it"
            raise RetryableError(
                f"{self._client.api.name} answered {answer.request} without a list"
                f" {where}"
            )
        page = Page(
            records=found, body=body, answer=answer, token=self._token, next=None
        )
        return replace(page, next=self._paging.following(page))

    def _refuse_circles(self, page: Page) -> None:
        marks = {_digest(["token", page.token])}
        if page.records:
            marks.add(_digest(page.records))
        if marks & self._seen or (page.next is not None and page.next == page.token):
            raise RetryableError(
                f"{self._client.api.name} gives a page of {page.answer.request} again:"
                " the list would never end"
            )
        self._seen |= marks


class Resumed(AsyncIterator[Page]):
    """Pages from a cursor on; from the beginning where the vendor forgot the cursor.

    For vendors who call an old cursor a bad request: there is no other word for it.
    """

    def __init__(self, begin: Callable[[str | None], pages], start: str | None) -> None:
        self._begin = begin
        self._start = start
        self._pages = begin(start)

    async def __anext__(self) -> Page:
        try:
            page = await anext(self._pages)
        except RefusedError as error:
            if self._start is None or error.status != _BAD_REQUEST:
                raise
            self._pages = self._begin(None)
            page = await anext(self._pages)
        self._start = None
        return page


def _digest(value: Any) -> bytes:
    coded = json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")
    return blake2b(coded, digest_size=16).digest()


def field(path: str) -> Callable[[Any], Any]:
    """Return what finds a value in a body: "data.items"; None if it is not there."""
    names = path.split(".") if path else []

    def find(body: Any) -> Any:
        for name in names:
            body = body.get(name) if isinstance(body, dict) else None
        return body

    return find


def by_link_header() -> Paging:
    """Follow rel="next" of the Link header."""
    return Paging(ask=_at_url, following=lambda page: linked(page.answer, "next"))


def by_next_url(where: str) -> Paging:
    """Follow the address that each body holds."""
    find = field(where)
    return Paging(ask=_at_url, following=lambda page: _text(find(page.body)))


def by_cursor(parameter: str, where: str, *, more: str | None = None) -> Paging:
    """Send the cursor that the last body held; `more` is a flag that it goes on."""
    find, goes_on = field(where), None if more is None else field(more)

    def following(page: Page) -> str | None:
        if goes_on is not None and not goes_on(page.body):
            return None
        return _text(find(page.body))

    return Paging(
        ask=lambda call, token: call.with_query(**{parameter: token}),
        following=following,
    )


def by_page(parameter: str = "page", *, first: int = 1) -> Paging:
    """Count pages until an empty one: vendors may give fewer records than asked for."""

    def following(page: Page) -> str | None:
        number = first if page.token is None else int(page.token)
        return str(number + 1) if page.records else None

    return Paging(
        ask=lambda call, token: call.with_query(**{parameter: token or first}),
        following=following,
    )


def by_offset(parameter: str = "offset") -> Paging:
    """Count records until an empty page."""

    def following(page: Page) -> str | None:
        offset = int(page.token or 0)
        return str(offset + len(page.records)) if page.records else None

    return Paging(
        ask=lambda call, token: call.with_query(**{parameter: token or 0}),
        following=following,
    )


def by_graphql(connection: str, *, variable: str = "after") -> Paging:
    """Follow a connection's pageInfo; the call's body has `query` and `variables`.

    `records` is then `{connection}.nodes`.
    """
    find = field(f"{connection}.pageInfo")

    def ask(call: Call, token: str | None) -> Call:
        body = {**call.body, "variables": {**call.body["variables"], variable: token}}
        return replace(call, method="POST", body=body)

    def following(page: Page) -> str | None:
        info = find(page.body)
        if not isinstance(info, dict) or not info.get("hasNextPage"):
            return None
        return _text(info.get("endCursor"))

    return Paging(ask=ask, following=following)


def linked(answer: Answer, relation: str) -> str | None:
    """Return the address of a relation in the Link header."""
    response = httpx.Response(200, headers=answer.headers)
    return response.links.get(relation, {}).get("url")


def _at_url(call: Call, token: str | None) -> Call:
    # the address is whole: what the first request asked for is in it
    return call if token is None else replace(call, url=token, query={})


def _text(value: Any) -> str | None:
    """Return a token as text: some are numbers, and some vendors say "" for none."""
    return None if value is None or value == "" else str(value)
