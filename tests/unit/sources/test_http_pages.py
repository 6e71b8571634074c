"""Lists are read to their end, whichever way a vendor pages, and never in circles."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wellhead.domain.errors import RetryableError
from wellhead.sources.http import (
    Api,
    ApiClient,
    Call,
    Paging,
    RefusedError,
    Resumed,
    by_cursor,
    by_graphql,
    by_link_header,
    by_next_url,
    by_offset,
    by_page,
    pages,
)
from wellhead.sources.surroundings import Surroundings

BASE = "https://api.acme.example"
ALL = [{"id": number} for number in range(7)]
SIZE = 3
Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> ApiClient:
    return ApiClient(
        Api(name="Acme", base_url=BASE),
        surroundings=Surroundings(transport=httpx.MockTransport(answer)),
    )


def cut(at: int) -> tuple[list[Any], int | None]:
    after = at + SIZE
    return ALL[at:after], after if after < len(ALL) else None


async def all_of(read: pages) -> list[Any]:
    return [one for page in [page async for page in read] for one in page.records]


def linked(request: httpx.Request) -> httpx.Response:
    found, after = cut(int(request.url.params.get("at", 0)))
    url = f"<{BASE}/things?at={after}&kept={request.url.params['kept']}>"
    headers = (
        {} if after is None else {"link": f'<{BASE}/x>; rel="prev", {url}; rel="next"'}
    )
    return httpx.Response(200, json=found, headers=headers)


def next_url(request: httpx.Request) -> httpx.Response:
    found, after = cut(int(request.url.params.get("at", 0)))
    url = None if after is None else f"{BASE}/things?at={after}"
    return httpx.Response(200, json={"data": found, "paging": {"next": url}})


def cursor(request: httpx.Request) -> httpx.Response:
    found, after = cut(int(request.url.params.get("cursor", 0)))
    return httpx.Response(
        200, json={"data": found, "meta": {"next": after or "", "more": bool(after)}}
    )


def numbered(request: httpx.Request) -> httpx.Response:
    found, _ = cut((int(request.url.params["page"]) - 1) * SIZE)
    return httpx.Response(200, json={"data": found})


def offset(request: httpx.Request) -> httpx.Response:
    found, _ = cut(int(request.url.params["offset"]))
    return httpx.Response(200, json={"data": found})


def graphql(request: httpx.Request) -> httpx.Response:
    after = json.loads(request.content)["variables"]["after"]
    found, end = cut(int(after or 0))
    info = {"hasNextPage": end is not None, "endCursor": str(end)}
    body = {"data": {"things": {"nodes": found, "pageInfo": info}}}
    return httpx.Response(200, json=body)


WAYS = [
    pytest.param(by_link_header(), linked, "", id="link header"),
    pytest.param(by_next_url("paging.next"), next_url, "data", id="next url"),
    pytest.param(by_cursor("cursor", "meta.next"), cursor, "data", id="cursor"),
    pytest.param(
        by_cursor("cursor", "meta.next", more="meta.more"), cursor, "data", id="flag"
    ),
    pytest.param(by_page(), numbered, "data", id="page"),
    pytest.param(by_offset(), offset, "data", id="offset"),
    pytest.param(by_graphql("data.things"), graphql, "data.things.nodes", id="graphql"),
]
CALL = Call(url="/things", query={"kept": "yes"}, body={"query": "…", "variables": {}})


@pytest.mark.parametrize(("paging", "answer", "records"), WAYS)
async def test_all_records_are_read_once(
    paging: Paging, answer: Answer, records: str
) -> None:
    read = pages(client(answer), CALL, paging, records=records)

    assert await all_of(read) == ALL


@pytest.mark.parametrize(("paging", "answer", "records"), WAYS)
async def test_reading_goes_on_behind_any_page(
    paging: Paging, answer: Answer, records: str
) -> None:
    asking = client(answer)
    first = await anext(pages(asking, CALL, paging, records=records))
    rest = pages(asking, CALL, paging, records=records, start=first.next)

    assert await all_of(rest) == ALL[SIZE:]


@pytest.mark.parametrize(("paging", "answer", "records"), WAYS)
async def test_a_vendor_that_goes_in_circles_is_refused(
    paging: Paging, answer: Answer, records: str
) -> None:
    first: list[httpx.Response] = []

    def again(request: httpx.Request) -> httpx.Response:
        if not first:
            first.append(answer(request))
        return first[0]

    with pytest.raises(RetryableError, match="would never end"):
        async for _ in pages(client(again), CALL, paging, records=records):
            pass


async def test_empty_pages_in_between_are_no_circle() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        at = int(request.url.params.get("cursor", 0))
        found = ALL if at == 4 else []
        return httpx.Response(
            200, json={"data": found, "next": at + 1 if at < 4 else None}
        )

    read = pages(client(answer), CALL, by_cursor("cursor", "next"), records="data")

    assert [page.records async for page in read][-1] == ALL


@pytest.mark.parametrize("body", [{"data": None}, {}, [], "text", {"data": {"a": 1}}])
async def test_an_answer_of_another_shape_is_an_error_not_an_end(body: Any) -> None:
    read = pages(
        client(lambda _: httpx.Response(200, json=body)),
        CALL,
        by_page(),
        records="data",
    )

    with pytest.raises(RetryableError, match="without a list at 'data'"):
        await anext(read)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_cursor_that_was_forgotten_means_the_beginning(is_known: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        if cursor == "old" and not is_known:
            return httpx.Response(400, json={"message": "no such cursor"})
        found = ALL[SIZE:] if cursor == "old" else ALL
        return httpx.Response(200, json={"data": found})

    paging, asking = by_cursor("cursor", "next"), client(answer)
    read = Resumed(
        lambda token: pages(asking, CALL, paging, records="data", start=token), "old"
    )

    found = [one async for page in read for one in page.records]
    assert found == (ALL[SIZE:] if is_known else ALL)


async def test_a_beginning_that_is_refused_is_refused() -> None:
    asking = client(lambda _: httpx.Response(400))
    read = Resumed(lambda token: pages(asking, CALL, by_page(), start=token), None)

    with pytest.raises(RefusedError):
        await anext(read)
