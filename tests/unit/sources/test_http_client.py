"""The client of an API does with each answer what should happen next."""

import asyncio
import gzip
import json
import os
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from wellhead.domain.entities import Blob
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    RetryableError,
    SyncError,
)
from wellhead.domain.oauth import GivenToken
from wellhead.sources.http import (
    Answer,
    Api,
    ApiClient,
    Call,
    DeniedError,
    GoneError,
    RefusedError,
    StaticToken,
    TooLargeError,
    basic,
    blob,
    header,
    parameter,
    path,
)
from wellhead.sources.http.client import TRIES
from wellhead.sources.surroundings import Surroundings, Timeouts
from wellhead.sources.testing.faults import Fault, Reply
from wellhead.sources.testing.server import VendorServer

SECRET = "s3cret-t0ken-9999"  # noqa: S105  # of nobody
Answering = Callable[[httpx.Request], httpx.Response | Reply]


class Renewable:
    """Tokens of which each can be renewed once it is refused."""

    def __init__(self) -> None:
        self.number = 1
        self.renewed = 0

    async def current(self) -> str:
        return f"token-{self.number}"

    async def refresh(self, rejected: str) -> str:
        self.renewed += 1
        await asyncio.sleep(0.01)
        self.number += 1
        return await self.current()


class Counting:
    """A limiter that notes what it was asked."""

    def __init__(self, *turns: float) -> None:
        self.turns = list(turns)
        self.held: list[float] = []
        self.taken = 0

    async def turn(self) -> float:
        self.taken += 1
        return self.turns.pop(0) if self.turns else 0.0

    async def hold(self, seconds: float) -> None:
        self.held.append(seconds)


class Scene:
    """A client, what its server was asked, and how long it slept."""

    def __init__(self, client: ApiClient, asked: list[httpx.Request]) -> None:
        self.client = client
        self.asked = asked
        self.slept: list[float] = []
        self.told: list[float] = []


@asynccontextmanager
async def scene(answer: Answering, **options: Any) -> AsyncIterator[Scene]:
    asked: list[httpx.Request] = []
    slept: list[float] = []
    told: list[float] = []

    def respond(request: httpx.Request) -> Reply:
        asked.append(request)
        found = answer(request)
        return found if isinstance(found, Reply) else Reply(found)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    api = Api(
        **{"name": "Acme", "base_url": "https://api.acme.example/v1"}
        | options.pop("api", {})
    )
    more = options.pop("client", {"tokens": StaticToken(SECRET)})
    async with VendorServer(respond) as server:
        around = Surroundings(transport=server.transport, sleep=sleep, **options)
        around.waits.listen(told.append)
        found = Scene(ApiClient(api, surroundings=around, **more), asked)
        found.slept, found.told = slept, told
        yield found
        await found.client.close()


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=TRIES):
        yield


def in_turn(*answers: httpx.Response | Reply) -> Answering:
    """Answer these, one after the other, and the last for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def ok(body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=body or {"fine": True}, headers=headers)


async def test_a_request_is_authorised_and_its_path_is_below_the_base() -> None:
    async with scene(lambda _: ok()) as on:
        found = await on.client.get_json("/things", page=2, empty=None)

    assert found == {"fine": True}
    assert str(on.asked[0].url) == "https://api.acme.example/v1/things?page=2"
    assert on.asked[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (header("x-api-key"), "x-api-key", SECRET),
        (header("authorization", "token "), "authorization", f"token {SECRET}"),
        (
            basic("ada"),
            "authorization",
            "Basic YWRhOnMzY3JldC10MGtlbi05OTk5",
        ),
    ],
)
async def test_a_token_is_sent_as_the_vendor_wants_it(
    auth: Any, name: str, value: str
) -> None:
    async with scene(lambda _: ok(), api={"auth": auth}) as on:
        await on.client.get_json("/things")

    assert on.asked[0].headers[name] == value


async def test_a_token_in_the_query_shows_in_no_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["key"] == SECRET
        return httpx.Response(400, json={"message": f"bad: {request.url}"})

    async with scene(answer, api={"auth": parameter("key")}) as on:
        with pytest.raises(RefusedError) as caught:
            await on.client.get_json("/things")

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "bad: https://api.acme.example/v1/things?key=***" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RefusedError),
        (401, CredentialsError),
        (403, DeniedError),
        (404, GoneError),
        (410, GoneError),
        (422, RefusedError),
        (500, RetryableError),
        (503, RetryableError),
    ],
)
async def test_an_answer_is_named_by_what_to_do_next(
    status: int, error: type[Exception]
) -> None:
    body = {"error": {"message": "the vendor's own words"}}
    async with scene(lambda _: httpx.Response(status, json=body)) as on:
        with pytest.raises(error) as caught:
            await on.client.get_json("/things", secret="query")  # noqa: S106

    said = f"Acme answered {status} to GET /v1/things: the vendor's own words"
    assert str(caught.value) == said
    assert len(on.asked) == (TRIES if error is RetryableError else 1)


async def test_a_cursor_that_is_gone_for_good_is_invalid() -> None:
    async with scene(lambda _: httpx.Response(410)) as on:
        with pytest.raises(CursorInvalidError):
            await on.client.json(Call(url="/changes", holds_cursor=True))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 1.0),
        (
            {
                "retry-after": "Mon, 02 Mar 2026 10:00:30 GMT",
                "date": "Mon, 02 Mar 2026 10:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "soon"}, 60.0),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "1772445615",
                "date": "Mon, 02 Mar 2026 10:00:00 GMT",
            },
            15.0,
        ),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12.0),
    ],
)
@pytest.mark.parametrize("status", [403, 429])
async def test_a_vendor_that_is_too_busy_is_waited_for(
    headers: dict[str, str], seconds: float, status: int
) -> None:
    limiter = Counting()
    busy = httpx.Response(status, headers=headers)
    async with scene(in_turn(busy, ok()), limiter=limiter) as on:
        await on.client.get_json("/things")

    assert on.slept == [seconds]
    assert on.told == [seconds, 0]
    assert limiter.held == [seconds]


async def test_it_waits_longer_each_time_that_it_comes_too_soon() -> None:
    busy = httpx.Response(429, headers={"retry-after": "0"})
    async with scene(in_turn(busy, busy, busy, ok())) as on:
        await on.client.get_json("/things")

    assert on.slept == [1, 2, 4]


async def test_a_503_without_a_time_is_a_passing_error() -> None:
    async with scene(in_turn(httpx.Response(503), ok())) as on:
        await on.client.get_json("/things")

    assert on.slept == []


async def test_a_vendor_can_have_words_of_its_own_for_too_fast() -> None:
    busy = httpx.Response(403, json={"message": "secondary rate limit"})
    api = {"seconds_if_busy": lambda one: 9.0 if b"secondary" in one.body else None}
    async with scene(in_turn(busy, ok()), api=api) as on:
        await on.client.get_json("/things")

    assert on.slept == [9]


async def test_a_wait_that_is_too_long_is_raised() -> None:
    busy = httpx.Response(429, headers={"retry-after": "90"})
    async with scene(lambda _: busy, longest_wait_seconds=30) as on:
        with pytest.raises(RetryableError) as caught:
            await on.client.get_json("/things")

    assert caught.value.after == 90
    assert len(on.asked) == 1


async def test_each_request_takes_a_turn_also_when_it_is_repeated() -> None:
    limiter = Counting(0.0, 0.25, 3.0)
    answers = in_turn(httpx.Response(500), httpx.Response(500), ok())
    async with scene(answers, limiter=limiter) as on:
        await on.client.get_json("/things")

    assert limiter.taken == 3
    assert on.slept == [0.25, 3.0]
    assert on.told == [3.0, 0]


async def test_a_refused_token_is_renewed_once_for_all_who_used_it() -> None:
    tokens = Renewable()

    def answer(request: httpx.Request) -> httpx.Response:
        is_new = request.headers["authorization"] == "Bearer token-2"
        return ok() if is_new else httpx.Response(401)

    async with scene(answer, client={"tokens": tokens}) as on:
        await asyncio.gather(*(on.client.get_json(f"/{n}") for n in range(5)))

    assert tokens.renewed == 1


async def test_a_token_that_cannot_be_renewed_is_refused_in_the_vendors_words() -> None:
    answer = httpx.Response(401, json={"message": "no such integration"})
    async with scene(lambda _: answer, client={"tokens": GivenToken(SECRET)}) as on:
        with pytest.raises(CredentialsError, match=r"expired.*no such integration"):
            await on.client.get_json("/things")


async def test_what_a_good_status_hides_is_done_as_if_it_were_a_bad_one() -> None:
    def complaint(answer: Answer) -> SyncError | None:
        match answer.json.get("error"):
            case "slow":
                return RetryableError("slow down", after=7)
            case "ended":
                return CredentialsError("it has ended")
            case _:
                return None

    tokens = Renewable()
    answers = in_turn(ok({"error": "slow"}), ok({"error": "ended"}), ok({"fine": 1}))
    api = {"complaint": complaint}
    async with scene(answers, api=api, client={"tokens": tokens}) as on:
        assert await on.client.get_json("/things") == {"fine": 1}

    assert on.slept == [7]
    assert tokens.renewed == 1


async def test_a_new_token_that_is_refused_too_is_not_renewed_again() -> None:
    tokens = Renewable()
    async with scene(lambda _: httpx.Response(401), client={"tokens": tokens}) as on:
        with pytest.raises(CredentialsError):
            await on.client.get_json("/things")

    assert tokens.renewed == 1
    assert len(on.asked) == 2


async def test_a_token_does_not_follow_to_another_host() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "files.example":
            return ok(dict(request.headers))
        return httpx.Response(302, headers={"location": "https://files.example/a?k=1"})

    async with scene(answer, api={"headers": {"x-tenant": "blue"}}) as on:
        seen = await on.client.get_json("/file")

    assert "authorization" not in seen
    assert "x-tenant" not in seen


async def test_a_token_follows_on_the_same_host() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/old":
            return httpx.Response(301, headers={"location": "/v1/new"})
        return ok(dict(request.headers))

    async with scene(answer) as on:
        seen = await on.client.get_json("/old")

    assert seen["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "target", ["http://api.acme.example/", "file:///etc/passwd", ""]
)
async def test_a_redirect_to_where_it_is_not_safe_is_refused(target: str) -> None:
    async with scene(lambda _: httpx.Response(302, headers={"location": target})) as on:
        with pytest.raises(RefusedError, match="nobody may follow"):
            await on.client.get_json("/things")


async def test_redirects_end() -> None:
    again = httpx.Response(302, headers={"location": "/v1/things"})
    async with scene(lambda _: again) as on:
        with pytest.raises(RefusedError, match="more than 5 times"):
            await on.client.get_json("/things")


@pytest.mark.parametrize(
    "bad",
    [
        httpx.Response(200, content=b'{"cut": '),
        httpx.Response(200, html="<html>maintenance</html>"),
        Reply(ok(), Fault.CUT_OFF),
        Reply(ok(), Fault.HANG_UP),
    ],
)
async def test_a_broken_answer_is_asked_for_again(bad: httpx.Response | Reply) -> None:
    async with scene(in_turn(bad, bad, ok())) as on:
        assert await on.client.get_json("/things") == {"fine": True}
    async with scene(lambda _: bad) as on:
        with pytest.raises(RetryableError, match="GET /v1/things"):
            await on.client.get_json("/things")


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.STALL, Fault.DRIP])
async def test_a_slow_answer_is_given_up(fault: Fault) -> None:
    quick = Timeouts(silence=0.1, answer=0.2)
    reply = Reply(ok({"long": "x" * 200}), fault)
    async with scene(lambda _: reply, timeouts=quick) as on:
        with pytest.raises(RetryableError, match=r"silent|did not finish"):
            await on.client.get_json("/things")


@pytest.mark.parametrize("is_told", [True, False])
async def test_too_large_an_answer_is_refused(is_told: bool) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if is_told:
            return httpx.Response(200, json="x" * 3000)
        packed = gzip.compress(json.dumps("x" * 3000).encode())
        return httpx.Response(200, content=packed, headers={"content-encoding": "gzip"})

    async with scene(answer, api={"largest_answer": 2000}) as on:
        with pytest.raises(TooLargeError, match="larger than 2000 bytes"):
            await on.client.get_json("/things")


async def test_no_error_shows_a_secret() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        echo = dict(request.headers)
        return httpx.Response(403, json={"message": f"not with {echo}"})

    async with scene(answer) as on:
        with pytest.raises(DeniedError) as caught:
            await on.client.get_json("/things")

    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert "'authorization': '***'" in str(caught.value)


async def test_only_so_many_requests_are_under_way() -> None:
    under_way, most = 0, 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return ok()

    api = Api(name="Acme", base_url="https://acme.example", at_once=3)
    client = ApiClient(api, surroundings=Surroundings(transport=Slow()))
    await asyncio.gather(*(client.get_json("/") for _ in range(12)))

    assert most == 3


def _look_into(file: Blob) -> tuple[str, bytes]:
    path = file.open()
    return str(path), path.read_bytes()


def _is_there(name: str) -> bool:
    return Path(name).exists()


async def test_a_file_comes_when_it_is_opened_and_goes_with_its_path() -> None:
    async with scene(lambda _: httpx.Response(200, content=b"the file")) as on:
        found = blob(on.client, Call(url="/file"), name="a.txt", size=8)
        asked_before = len(on.asked)
        name, content = await asyncio.to_thread(_look_into, found)

    assert asked_before == 0
    assert content == b"the file"
    assert not _is_there(name)


async def test_a_file_that_is_too_large_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with scene(lambda _: httpx.Response(200, content=b"x" * 100)) as on:
        with pytest.raises(TooLargeError):
            await on.client.download(Call(url="/file"), most_bytes=50)

    assert os.listdir(tmp_path) == []  # noqa: PTH208  # quick, and of our own folder


def test_a_path_keeps_its_segments_apart() -> None:
    assert path("repos", "a/b", "issues", 7) == "/repos/a%2Fb/issues/7"
    for bad in ("..", ".", ""):
        with pytest.raises(ValueError, match="cannot be a path"):
            path("repos", bad)


@pytest.mark.parametrize("url", ["", "acme.example", "ftp://acme.example", "https://"])
def test_a_base_that_is_no_address_is_a_wrong_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        ApiClient(Api(name="Acme", base_url=url))


async def test_a_body_may_be_left_where_it_is_and_a_redirect_be_an_answer() -> None:
    async def status(response: httpx.Response, what: str) -> tuple[int, str, bool]:
        return response.status_code, what, response.is_stream_consumed

    away = httpx.Response(302, headers={"location": "https://other.example/"})
    async with scene(in_turn(httpx.Response(500), away)) as on:
        call = Call(url="/file", follows_redirects=False)
        assert await on.client.take(call, status) == (302, "GET /v1/file", False)
    assert len(on.asked) == 2
