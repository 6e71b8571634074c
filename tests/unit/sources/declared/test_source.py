"""What the executor makes of definitions, and of vendors that misbehave."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import stamina

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    FailureClass,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Upsert,
)
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.source import DeclaredSource, source_of
from wellhead.sources.surroundings import Surroundings
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer

SECRET = "t0ken-0123456789-SECRET"  # noqa: S105  # of nobody
NOW = datetime(2026, 1, 10, tzinfo=UTC)
HEAD = """\
wellhead: 1
short_name: tracker
name: Tracker
description: Tickets of a tracker.
base_url: https://{config.team}.tracker.example/v1
config:
  team: {title: Team, description: Which one., required: true}
  without_closed: {title: Open only, description: Leave out others., type: boolean}
credentials:
  token: {title: Token, description: Made in the settings.}
auth: {kind: bearer, token: token}
check: {path: /me}
streams:
"""
TICKETS = """\
  tickets:
    type: Ticket
    list: {path: /tickets, records: tickets, pages: {by: next_url, next: next}}
    name: "{title}"
    text: "{body}"
    updated: changed
    gone: [{field: state, equals: closed, if_config: without_closed}]
    changes:
      {path: /tickets, query: {since: "{since}"}, records: tickets, kept_days: 30}
"""
Answers = Callable[[httpx.Request], httpx.Response]


def answering(bodies: dict[str, Any]) -> Answers:
    """Answer a path with what is written down for it."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path not in bodies:
            return httpx.Response(404, json={"message": "Not Found"})
        headers = {"date": format_datetime(NOW, usegmt=True)}
        return httpx.Response(200, json=bodies[request.url.path], headers=headers)

    return answer


async def read(
    text: str,
    answer: Answers,
    cursor: dict[str, Any] | None = None,
    **config: Any,
) -> list[Item]:
    async with VendorServer(lambda request: Reply(answer(request))) as server:
        source = make(text, server.transport, **config)
        try:
            with stamina.set_testing(True, attempts=1):
                return [item async for item in source.read(cursor)]
        finally:
            await source.close()


def make(
    text: str, transport: httpx.AsyncBaseTransport | None = None, **config: Any
) -> DeclaredSource:
    around = Surroundings(transport=transport)
    given = {"team": "acme", **config}
    return source_of(load(HEAD + text)).create(given, {"token": SECRET}, around)


def ticket(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "title": f"T{number}", "body": "b", "changed": "1", **more}


async def test_a_stream_is_a_scope_and_ends_with_a_cursor() -> None:
    items = await read(TICKETS, answering({"/v1/tickets": {"tickets": [ticket(1)]}}))

    assert [type(item) for item in items] == [
        *(ScopeStart, ScopeStart, Upsert, ScopeEnd, Checkpoint, ScopeEnd, Checkpoint)
    ]
    assert items[1] == ScopeStart("tickets")
    assert items[-2] == ScopeEnd(complete=True)
    last = items[-1]
    assert isinstance(last, Checkpoint)
    assert last.token["since"] == {"tickets": NOW.isoformat()}


async def test_changes_are_asked_for_since_the_vendors_own_time() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return answering({"/v1/tickets": {"tickets": []}})(request)

    first = await read(TICKETS, answer)
    assert isinstance(first[-1], Checkpoint)
    await read(TICKETS, answer, first[-1].token)

    assert [url.params.get("since") for url in asked] == [None, "2026-01-09T23:58:00Z"]
    assert asked[0].host == "acme.tracker.example"


async def test_a_cursor_of_another_definition_or_config_is_refused() -> None:
    answer = answering({"/v1/tickets": {"tickets": []}})
    first = await read(TICKETS, answer)
    assert isinstance(first[-1], Checkpoint)
    token = json.loads(json.dumps(first[-1].token))

    for text, config in (
        (TICKETS.replace('"{body}"', '"More: {body}"'), {}),
        (TICKETS, {"without_closed": True}),
    ):
        with pytest.raises(CursorInvalidError):
            await read(text, answer, token, **config)


async def test_a_cursor_older_than_what_the_vendor_keeps_is_refused() -> None:
    answer = answering({"/v1/tickets": {"tickets": []}})
    first = await read(TICKETS, answer)
    assert isinstance(first[-1], Checkpoint)
    old = (NOW - timedelta(days=31)).isoformat()

    with pytest.raises(CursorInvalidError, match="30 days"):
        await read(TICKETS, answer, {**first[-1].token, "since": {"tickets": old}})


async def test_another_definition_makes_another_version_of_the_same_record() -> None:
    answer = answering({"/v1/tickets": {"tickets": [ticket(1)]}})
    versions = {
        item.entity.source_version
        for text in (TICKETS, TICKETS.replace('"{body}"', '"More: {body}"'))
        for item in await read(text, answer)
        if isinstance(item, Upsert)
    }

    assert len(versions) == 2


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/x",
        "http://169.254.169.254/latest",
        "https://acme.tracker.example.evil.com/v1",
        "https://acme.tracker.example:8443/v1",
        "http://acme.tracker.example/v1",
    ],
)
async def test_no_answer_leads_to_another_host(elsewhere: str) -> None:
    asked: list[str] = []

    def follow(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={"tickets": [ticket(1)], "next": elsewhere})

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": elsewhere})

    for answer in (follow, redirect):
        items = await read(TICKETS, answer)
        failures = [item for item in items if isinstance(item, Failure)]

        assert [failure.ref for failure in failures] == [None]
        assert ScopeEnd("tickets", complete=False) in items
    assert set(asked) == {"acme.tracker.example"}


@pytest.mark.parametrize("team", ["evil.com/", "a.b", "x@y", "", "-", "a/b", "[::1]"])
def test_the_config_cannot_turn_the_address(team: str) -> None:
    with pytest.raises((ValueError, ConfigError)):
        make(TICKETS, team=team)


async def test_an_odd_record_fails_alone_and_one_without_id_leaves_a_gap() -> None:
    odd = [{"title": "?"}, 7, ticket(2, changed=[1]), ticket(3)]
    with_time = TICKETS.replace("updated: changed", "created: changed")
    items = await read(with_time, answering({"/v1/tickets": {"tickets": odd}}))

    failures = [item for item in items if isinstance(item, Failure)]
    assert [one.ref for one in failures] == [None, None, Ref("Ticket", "2")]
    assert failures[2].failure_class is FailureClass.PERMANENT
    assert sum(isinstance(item, Upsert) for item in items) == 1


async def test_what_the_config_leaves_out_counts_as_deleted() -> None:
    answer = answering({"/v1/tickets": {"tickets": [ticket(1, state="closed")]}})
    everything = await read(TICKETS, answer)
    first = await read(TICKETS, answer, without_closed=True)
    assert isinstance(first[-1], Checkpoint)
    later = await read(TICKETS, answer, first[-1].token, without_closed=True)

    assert any(isinstance(item, Upsert) for item in everything)
    assert not any(isinstance(item, Upsert | Delete) for item in first)
    assert Delete(Ref("Ticket", "1")) in later


PARTS = """\
  tickets:
    type: Ticket
    list: {path: /tickets, records: tickets}
    name: "{title}"
    text: "# {title}"
    updated: changed
    parts:
      comments:
        path: /tickets/{id}/comments
        records: comments
        title: Comments
        text: "{author} on {parent.title}: {words}"
"""


async def test_parts_are_asked_for_when_the_text_is_opened() -> None:
    asked: list[str] = []
    bodies = {
        "/v1/tickets": {"tickets": [ticket(1), ticket(2)]},
        "/v1/tickets/1/comments": {"comments": [{"author": "Ada", "words": "yes"}]},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answering(bodies)(request)

    async with VendorServer(lambda request: Reply(answer(request))) as server:
        source = make(PARTS, server.transport)
        items = [item async for item in source.read(None)]
        assert asked == ["/v1/tickets"]
        [first, _] = [item.entity for item in items if isinstance(item, Upsert)]
        assert first.blob is not None
        path = await asyncio.to_thread(first.blob.open)
        await source.close()

    assert path.read_text() == "# T1\n\n## Comments\n\nAda on T1: yes\n"


GRAPHQL = """\
  tickets:
    type: Ticket
    list:
      path: /graphql
      graphql: "query($after: String) { tickets(after: $after) { nodes { id } } }"
      records: data.tickets.nodes
      pages: {by: graphql}
    name: "{title}"
    text: "{body}"
"""


async def test_an_error_of_graphql_is_told_without_the_secret() -> None:
    body = {"errors": [{"message": f"no field 'x' for {SECRET}"}], "data": None}

    with pytest.raises(RetryableError) as caught:
        await read(GRAPHQL, answering({"/v1/graphql": body}))

    assert "with errors: no field 'x' for ***" in str(caught.value)
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize(
    ("status", "error"), [(401, CredentialsError), (403, CredentialsError)]
)
async def test_a_check_tells_what_is_wrong(status: int, error: type[Exception]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status)

    async with VendorServer(lambda request: Reply(answer(request))) as server:
        source = make(TICKETS, server.transport)
        with pytest.raises(error):
            await source.check()
        await source.close()


async def test_a_check_of_what_is_not_there_is_the_configs_fault() -> None:
    async with VendorServer(lambda request: Reply(answering({})(request))) as server:
        source = make(TICKETS, server.transport)
        with pytest.raises(ConfigError):
            await source.check()
        await source.close()
