"""What stands around every route: ids, log lines, times, origins, headers."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from wellhead.api.application import create_app
from wellhead.api.around import bounds
from wellhead.api.deps import Services, Tenant
from wellhead.app import logs
from wellhead.domain.errors import ConflictError
from wellhead.services.parts import Parts

ID = "X-Request-ID"


class Lines(logging.Handler):
    """The finished lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("http"):  # what the test's client says
            self.text.append(self.format(record))

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all if line["event"] == event]


@pytest.fixture(autouse=True)
def lines() -> Iterator[Lines]:
    """What the program logs, in the form in which it logs it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    found = Lines()
    logs.configure(logging.DEBUG)
    found.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [found]
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


async def slow(parts: Services) -> None:
    async with parts.db.begin() as connection:
        await connection.execute(text("UPDATE organization SET name = 'changed'"))
        await connection.execute(text("SELECT pg_sleep(300) /* slow */"))


async def half() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half of "
        await asyncio.sleep(300)
        yield b"it"

    return StreamingResponse(pieces(), media_type="text/plain")


async def events() -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.sleep(1.5)
        yield b"data: 2\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def patient() -> int:
    await asyncio.sleep(1.5)
    return 1


async def broken(_: Tenant) -> None:
    structlog.get_logger("here").info("on the way")
    raise ValueError("the password is swordfish")


async def refused() -> None:
    raise ConflictError("not now")


@pytest.fixture
def app(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application with a second for each request, and routes that misbehave."""
    monkeypatch.setattr(bounds, "LONGEST_SECONDS", 1)
    made = create_app(parts, auth=True)
    for route in (slow, half, events, broken, refused):
        made.add_api_route(f"/{route.__name__}", route)
    made.add_api_route("/a/search/agentic", patient)
    return made


async def test_every_answer_names_its_request(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    mine = await client.get("/collections", headers={ID: "mine-1"})
    paths = ("/collections", "/nothing", "/broken", "/refused", "/collections?skip=-1")
    given = [await client.get(path) for path in paths]
    given += [await anyone.get("/collections"), await client.put("/collections")]
    given += [await anyone.options("/", headers={"Origin": "http://evil.test"})]
    given += [await client.post("/collections", headers={"content-length": "9" * 9})]

    assert mine.headers[ID] == "mine-1"
    assert [one.status_code for one in given] == [
        *(200, 404, 500, 409, 422, 401, 405, 403, 413)
    ]
    assert len({one.headers[ID] for one in given}) == len(given)
    assert {one.headers["X-Content-Type-Options"] for one in given} == {"nosniff"}


async def test_an_odd_id_is_replaced(anyone: httpx.AsyncClient) -> None:
    for odd in (b"", b"x" * 129, b"two words", b"caf\xe9", b"tab\tbed"):
        response = await anyone.get("/health", headers=[(ID.encode(), odd)])

        assert response.headers[ID].isalnum()
        assert len(response.headers[ID]) == 32


async def test_a_request_is_one_line_with_its_id_on_every_line_it_causes(
    client: httpx.AsyncClient, lines: Lines, key: str
) -> None:
    await client.get("/collections/no-such/?search=hidden", headers={ID: "first"})
    await client.get("/broken", headers={ID: "second"})
    await client.get("/health", headers={ID: "third"})
    await client.get("/no/such%1b[31mplace?token=hidden", headers={ID: "fourth"})

    told = lines.of("request")
    assert [one["request_id"] for one in told] == ["first", "second", "third", "fourth"]
    assert told[0]["method"] == "GET"
    assert told[0]["route"] == "/collections/{readable_id}"
    assert told[0]["status"] == 404
    assert told[0]["duration_ms"] >= 0
    assert UUID(told[0]["organization_id"]).version == 4
    assert [one["level"] for one in told] == ["info", "info", "debug", "info"]
    assert told[3]["path"] == "/no/such%1b[31mplace"
    assert lines.of("on the way")[0]["request_id"] == "second"
    assert lines.of("request failed")[0]["request_id"] == "second"
    assert "swordfish" in lines.of("request failed")[0]["exception"]
    assert key not in "".join(lines.text)
    assert "hidden" not in "".join(lines.text)


async def test_ids_of_requests_at_the_same_time_are_not_mixed(
    app: Any, client: httpx.AsyncClient, lines: Lines
) -> None:
    async def talk(which: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            structlog.get_logger("here").info("talk", which=which)

    app.add_api_route("/talk/{which}", talk)

    names = [f"request-{number}" for number in range(10)]
    asked = (client.get(f"/talk/{one}", headers={ID: one}) for one in names)
    await asyncio.gather(*asked)

    told = lines.of("talk")
    assert len(told) == 30
    assert all(one["request_id"] == one["which"] for one in told)


async def test_a_terminal_is_not_shown_what_variables_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    (renderer,) = logs._rendering()
    word = "sword" + "fish"  # in no line of the source
    try:
        int(word[:0])
    except ValueError as error:
        event = {"event": "failed", "exc_info": error}
        shown = renderer(None, "error", event)

    assert "ValueError" in str(shown)
    assert "swordfish" not in str(shown)


async def test_an_unexpected_error_is_explained_in_the_log_only(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/broken", headers={ID: "b-1"})

    assert response.status_code == 500
    assert response.json() == {
        "detail": "Internal Server Error: ValueError: "
        "the server's log says more about request b-1"
    }
    assert response.headers["RateLimit-Limit"] == "9999"


async def test_what_takes_too_long_is_ended_and_undone(
    client: httpx.AsyncClient, parts: Parts, lines: Lines
) -> None:
    response = await client.get("/slow", headers={ID: "slow-1"})

    assert response.status_code == 504
    assert response.json() == {"detail": "Request timeout after 1 seconds"}
    assert response.headers[ID] == "slow-1"
    assert lines.of("request took too long")[0]["request_id"] == "slow-1"
    async with parts.db.connect() as connection:
        names = await connection.execute(text("SELECT name FROM organization"))
        at_work = text(
            "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND"
            " query LIKE '%/* slow */%' AND pid <> pg_backend_pid()"
        )
        assert "changed" not in names.scalars().all()
        assert await connection.scalar(at_work) == 0
    assert (await client.get("/collections")).status_code == 200


async def test_an_answer_that_began_is_cut_off(app: Any) -> None:
    sent: list[Any] = []
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return asked.pop() if asked else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/half", "query_string": b""}
    await app({**scope, "headers": []}, receive, send)

    assert [one.get("status", one.get("body")) for one in sent] == [200, b"half of "]


async def test_events_and_agents_have_all_the_time_they_need(
    client: httpx.AsyncClient,
) -> None:
    told, found = await asyncio.gather(
        client.get("/events"), client.get("/a/search/agentic")
    )

    assert told.text == "data: 1\n\ndata: 2\n\n"
    assert found.text == "1"


async def test_what_only_keys_open_is_stored_nowhere(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient
) -> None:
    mine = await client.get("/collections")
    public = await anyone.get("/health")

    assert mine.headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in public.headers


@pytest.mark.parametrize(
    ("path", "origin", "is_allowed"),
    [
        ("/collections", "http://localhost:5173", True),
        ("/collections", "http://evil.test", False),
        ("/connect/sources", "https://any.test", True),
        ("/connect/sessions/5c/x", "https://any.test", True),
        ("/connect/sessions", "https://any.test", False),
        ("/connect/sessions/", "https://any.test", False),
        ("/connected", "https://any.test", False),
    ],
)
async def test_pages_of_others_may_ask_only_what_is_open_to_them(
    anyone: httpx.AsyncClient, path: str, origin: str, *, is_allowed: bool
) -> None:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-anything",
    }

    preflight = await anyone.options(path, headers=asks)
    plain = await anyone.options(path, headers={"Origin": origin})
    answer = await anyone.get(path, headers={"Origin": origin})

    allowed = "access-control-allow-origin"
    assert preflight.status_code == (200 if is_allowed else 403)
    assert (plain.status_code == 403) is not is_allowed
    for one in (preflight, answer):
        assert one.headers.get(allowed) == (origin if is_allowed else None)
    if is_allowed:
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "x-anything" in preflight.headers["access-control-allow-headers"]
        assert ID in answer.headers["access-control-expose-headers"]


async def test_errors_can_be_read_by_pages(client: httpx.AsyncClient) -> None:
    known = {"Origin": "http://localhost:5173"}

    for path, status in (("/broken", 500), ("/slow", 504)):
        response = await client.get(path, headers=known)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == known["Origin"]


READ = ["/collections", "/collections/none", "/health", "/health/live/", "/"]


@pytest.mark.parametrize("path", [*READ, "//collections?limit=0", "/nothing"])
async def test_head_answers_as_get_without_the_body(
    client: httpx.AsyncClient, lines: Lines, path: str
) -> None:
    got = await client.get(path)
    headed = await client.head(path)

    assert (headed.status_code, headed.content) == (got.status_code, b"")
    for name in ("content-length", "content-type", "cache-control"):
        assert headed.headers.get(name) == got.headers.get(name)
    methods = [(line["method"], line["route"]) for line in lines.of("request")]
    assert methods[1] == ("HEAD", methods[0][1])


async def test_head_is_no_method_of_streams_and_of_what_only_takes(
    client: httpx.AsyncClient,
) -> None:
    for path in (
        f"/sync/job/{UUID(int=1)}/subscribe",
        f"/sync/job/{UUID(int=1)}/subscribe-state/",
        "/source-connections/callback",
        "/source-connections/authorize/12345678",
        "/collections/mine/search/instant",
    ):
        response = await client.head(path)
        assert response.status_code == 405, path
