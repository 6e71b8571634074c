"""Connect sessions: what an end user may do in a web page, and what not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import TypeAdapter
from tests.api.conftest import client_of

from wellhead.api.application import create_app
from wellhead.api.progress_stream import Pace
from wellhead.domain.connect import ConnectSession
from wellhead.services.connect_sessions import PREFIX, NewSession, find_session
from wellhead.services.connect_sessions import open_session as open_session_of
from wellhead.services.parts import Parts
from wellhead.services.progress import ProgressFeed
from wellhead.store.secrets import Cipher

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUB = {"short_name": "stub", "authentication": {"credentials": {"stub_key": "stub"}}}
PAGE = {"Origin": "https://app.of-a-customer.test"}
DEADLINE = 20


@dataclass
class MovingClock:
    """A clock that tests set."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def app(parts: Parts, clock: MovingClock) -> Any:
    return create_app(replace(parts, clock=clock), auth=True)


@dataclass
class Widget:
    """A page with the token of a session."""

    client: httpx.AsyncClient
    session: Any

    @property
    def token(self) -> str:
        return str(self.session["session_token"])

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.client.request(method, f"/connect/{path}", **more)


OpenSession = Callable[..., Awaitable[Widget]]


@pytest.fixture
async def collection(given: Any) -> str:
    return str((await given.collection("Of the customer"))["readable_id"])


@pytest.fixture
def open_session(app: Any, client: httpx.AsyncClient, collection: str) -> OpenSession:
    async def opened(**body: Any) -> Widget:
        asked = {"readable_collection_id": collection, **body}
        response = await client.post("/connect/sessions", json=asked)
        assert response.status_code == 200, response.text
        session = response.json()
        bearer = f"Bearer {session['session_token']}"
        return Widget(client_of(app, authorization=bearer, **PAGE), session)

    return opened


async def test_an_end_user_connects_a_source_and_sees_it_sync(
    open_session: OpenSession,
    client: httpx.AsyncClient,
    collection: str,
    set_job: Any,
) -> None:
    widget = await open_session(end_user_id="user-17", allowed_integrations=["stub"])
    path = f"sessions/{widget.session['session_id']}"
    context = (await widget.ask("GET", path)).json()
    [source] = (await widget.ask("GET", "sources")).json()
    form = (await widget.ask("GET", "sources/stub/")).json()
    body = {**STUB, "name": "My stub", "readable_collection_id": "whatever was said"}
    made = (await widget.ask("POST", "source-connections", json=body)).json()
    its = f"source-connections/{made['id']}"
    [listed] = (await widget.ask("GET", "source-connections")).json()
    shown = (await widget.ask("GET", its)).json()
    [job] = (await widget.ask("GET", f"{its}/jobs")).json()
    await set_job(job["id"], status="completed", inserted=7)
    stream = await widget.ask("GET", f"{its}/subscribe")
    gone = await widget.ask("DELETE", its)
    nothing = await widget.ask("GET", "source-connections/")

    assert widget.session["expires_at"] == "2026-01-02T03:14:05Z"
    assert context == {
        "session_id": widget.session["session_id"],
        "organization_id": made["organization_id"],
        "collection_id": collection,
        "allowed_integrations": ["stub"],
        "mode": "all",
        "end_user_id": "user-17",
        "expires_at": "2026-01-02T03:14:05Z",
    }
    assert source == form == (await client.get("/sources/stub")).json()
    assert made["readable_collection_id"] == collection
    assert listed["id"] == shown["id"] == made["id"]
    assert job["id"] == made["sync"]["last_job"]["id"]
    assert f'{{"type":"connected","job_id":"{job["id"]}"}}' in stream.text
    assert '"inserted":7' in stream.text
    assert '"status":"completed"' in stream.text
    assert gone.json()["id"] == made["id"]
    assert nothing.json() == []
    assert (await client.get(f"/source-connections/{made['id']}")).status_code == 404


NOT_ALLOWED = {
    "all": set(),
    "connect": {"viewing", "deleting", "re-authenticating"},
    "manage": {"creating", "re-authenticating", "verifying"},
    "reauth": {"creating", "deleting"},
}


async def test_a_mode_allows_what_it_is_for_and_nothing_else(
    open_session: OpenSession, given: Any, collection: str
) -> None:
    for mode, refused in NOT_ALLOWED.items():
        made = await given.connection(readable_collection_id=collection)
        widget = await open_session(mode=mode)
        for doing, method, path, body in _asked_of(f"source-connections/{made['id']}"):
            answer = await widget.ask(method, path, json=body)
            if doing in refused:
                no = f"Session mode does not allow {doing} source connections"
                assert answer.status_code == 403, (mode, path)
                assert answer.json() == {"detail": no}
            else:
                is_consent = path.endswith("-oauth")
                wanted = 400 if is_consent else 200
                assert answer.status_code == wanted, (mode, path, answer.text)


def _asked_of(its: str) -> list[tuple[str, str, str, Any]]:
    return [
        ("viewing", "GET", "source-connections", None),
        ("viewing", "GET", its, None),
        ("creating", "POST", "source-connections", STUB),
        ("re-authenticating", "POST", f"{its}/reinitiate-oauth", None),
        ("verifying", "POST", f"{its}/verify-oauth", {"claim_token": "x"}),
        ("always", "GET", "sources", None),
        ("always", "GET", "sources/stub", None),
        ("always", "GET", f"{its}/jobs", None),
        ("deleting", "DELETE", its, None),
    ]


async def test_consent_in_a_browser_says_what_it_says_elsewhere(
    open_session: OpenSession, given: Any, client: httpx.AsyncClient, collection: str
) -> None:
    made = await given.connection(readable_collection_id=collection)
    widget = await open_session(mode="reauth")

    for verb, body in (("reinitiate", None), ("verify", {"claim_token": "x"})):
        path = f"source-connections/{made['id']}/{verb}-oauth"
        here = await widget.ask("POST", path, json=body)
        there = await client.post(f"/{path}", json=body)
        assert (here.status_code, here.text) == (there.status_code, there.text)
        assert here.status_code == 400


async def test_only_the_sessions_own_collection_is_there(
    open_session: OpenSession, given: Any, client: httpx.AsyncClient
) -> None:
    other = await given.connection()
    widget = await open_session()
    its = f"source-connections/{other['id']}"

    for method, path, body in (
        ("GET", its, None),
        ("DELETE", its, None),
        ("GET", f"{its}/jobs", None),
        ("GET", f"{its}/subscribe", None),
        ("POST", f"{its}/reinitiate-oauth", None),
        ("POST", f"{its}/verify-oauth", {"claim_token": "x"}),
    ):
        answer = await widget.ask(method, path, json=body)
        unknown = path.replace(other["id"], str(uuid4()))
        no_such = await widget.ask(method, unknown, json=body)
        said = {"detail": "SourceConnection not found"}
        assert (answer.status_code, answer.json()) == (404, said)
        assert (no_such.status_code, no_such.json()) == (404, said)
    assert (await widget.ask("GET", "source-connections")).json() == []
    assert (await client.get(f"/source-connections/{other['id']}")).status_code == 200


async def test_a_session_is_shown_to_nobody_else(open_session: OpenSession) -> None:
    mine, other = await open_session(), await open_session()

    answer = await mine.ask("GET", f"sessions/{other.session['session_id']}")

    assert answer.status_code == 403
    assert answer.json() == {"detail": "Session ID does not match token"}


async def test_only_allowed_sources_are_there_and_an_empty_list_allows_none(
    open_session: OpenSession, given: Any, collection: str
) -> None:
    made = await given.connection(readable_collection_id=collection)
    nothing = await open_session(allowed_integrations=[])
    widget = await open_session(allowed_integrations=["timed"])
    its = f"source-connections/{made['id']}"

    sources = (await widget.ask("GET", "sources")).json()
    assert [one["short_name"] for one in sources] == ["timed"]
    assert (await nothing.ask("GET", "sources")).json() == []
    assert (await widget.ask("GET", "source-connections")).json() == []
    for method, path, body in (
        ("GET", "sources/stub", None),
        ("GET", "sources/unheard-of", None),
        ("POST", "source-connections", STUB),
        ("GET", its, None),
        ("DELETE", its, None),
        ("GET", f"{its}/jobs", None),
        ("GET", f"{its}/subscribe", None),
    ):
        answer = await widget.ask(method, path, json=body)
        assert answer.status_code == 403, path
        assert answer.json() == {
            "detail": "Session does not have access to this integration type"
        }


async def test_the_servers_own_disk_is_open_only_to_whom_a_key_named_it(
    open_session: OpenSession, tmp_path: Any
) -> None:
    """An end user is no holder of a key: these may read what the server may."""
    (tmp_path / "secret_key").write_text("of the server")
    body = {"short_name": "file_system", "config": {"path": str(tmp_path)}}
    anything = await open_session()
    named = await open_session(allowed_integrations=["file_system"])

    offered = {
        one["short_name"] for one in (await anything.ask("GET", "sources")).json()
    }
    assert "stub" in offered
    assert not offered & {"file_system", "git", "postgresql"}
    for answer in (
        await anything.ask("GET", "sources/file_system"),
        await anything.ask("POST", "source-connections", json=body),
    ):
        assert answer.status_code == 403
        assert "rights of the server" in answer.json()["detail"]
    assert (await named.ask("GET", "sources/file_system")).status_code == 200
    made = await named.ask("POST", "source-connections", json=body)
    assert made.status_code == 200, made.text


async def test_a_session_ends_after_ten_minutes(
    open_session: OpenSession, clock: MovingClock
) -> None:
    widget = await open_session()

    clock.at = NOW + timedelta(minutes=10, microseconds=-1)
    assert (await widget.ask("GET", "sources")).status_code == 200
    clock.at = NOW + timedelta(minutes=10)
    await _assert_is_over(widget)


async def _assert_is_over(widget: Widget) -> None:
    answer = await widget.ask("GET", "sources")

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Invalid or expired session token"}


async def test_a_session_ends_with_the_key_that_made_it(
    open_session: OpenSession, parts: Parts, client: httpx.AsyncClient
) -> None:
    [key] = (await client.get("/api-keys")).json()
    widget = await open_session()
    assert (await widget.ask("GET", "sources")).status_code == 200

    await client.delete("/api-keys", params={"id": key["id"]})

    await _assert_is_over(widget)


async def test_a_session_ends_with_its_collection_whatever_takes_its_name(
    open_session: OpenSession, given: Any, client: httpx.AsyncClient, parts: Parts
) -> None:
    collection = await given.collection("Another", readable_id="reused")
    widget = await open_session(readable_collection_id="reused")
    await client.delete("/collections/reused")
    await _assert_is_over(widget)
    async with parts.db.begin() as connection:
        await connection.exec_driver_sql(
            "DELETE FROM collection WHERE readable_id = 'reused'"
        )

    again = await given.collection("Another", readable_id="reused")

    assert again["id"] != collection["id"]
    await _assert_is_over(widget)


async def test_what_was_not_sealed_here_is_no_token(
    open_session: OpenSession, parts: Parts, app: Any
) -> None:
    """Not even what the same key encrypted for another purpose."""
    widget = await open_session()
    sealed = widget.token.removeprefix(PREFIX)
    session = await find_session(parts, widget.token)
    values = TypeAdapter(ConnectSession).dump_python(session, mode="json")
    elsewhere = await open_session_of(
        replace(parts, cipher=Cipher([Cipher.new_key()])),
        session.organization_id,
        NewSession(readable_collection_id=session.readable_collection_id),
    )
    middle = len(sealed) // 2
    flipped = "A" if sealed[middle] != "A" else "B"

    for forged in (
        sealed,
        PREFIX + sealed[:middle] + flipped + sealed[middle + 1 :],
        PREFIX + sealed[:-8],
        PREFIX + parts.cipher.encrypt(values).decode(),
        elsewhere.token,
        PREFIX,
        "",
        f"{PREFIX}nonsense",
        f"{PREFIX}\u00e9",
    ):
        await _assert_is_refused(app, f"Bearer {forged}")
    assert (await widget.ask("GET", "sources")).status_code == 200


async def _assert_is_refused(app: Any, authorization: str) -> None:
    headers = {b"authorization": authorization.encode("latin-1")}
    async with client_of(app) as page:
        answer = await page.get("/connect/sources", headers=headers)
        assert answer.status_code == 401, authorization


async def test_another_process_reads_tokens_also_with_a_newer_key_before_the_old(
    parts: Parts, key: str, collection: str
) -> None:
    old, new = Cipher.new_key(), Cipher.new_key()
    one = create_app(replace(parts, cipher=Cipher([old])), auth=True)
    other = create_app(replace(parts, cipher=Cipher([new, old])), auth=True)
    body = {"readable_collection_id": collection}

    async with client_of(one, **{"x-api-key": key}) as server:
        opened = (await server.post("/connect/sessions", json=body)).json()

    bearer = f"Bearer {opened['session_token']}"
    async with client_of(other, authorization=bearer) as page:
        assert (await page.get("/connect/sources")).status_code == 200


async def test_a_key_is_no_session_token_and_a_token_is_no_key(
    open_session: OpenSession,
    client: httpx.AsyncClient,
    app: Any,
    key: str,
    collection: str,
) -> None:
    widget = await open_session()
    body = {"readable_collection_id": collection}

    await _assert_is_refused(app, f"Bearer {key}")
    assert (await client.get("/connect/sources")).status_code == 401
    for method, path in (("GET", "/collections"), ("POST", "/connect/sessions")):
        answer = await widget.client.request(method, path, json=body)
        assert answer.status_code == 403, path
        assert answer.json() == {"detail": "Invalid or expired API key"}
    async with client_of(app, **{"x-api-key": widget.token}) as page:
        assert (await page.get("/collections")).status_code == 403
        assert (await page.get("/connect/sources")).status_code == 401


async def test_without_keys_a_session_is_still_needed_and_bound(
    parts: Parts, collection: str
) -> None:
    async with client_of(create_app(parts, auth=False)) as anyone:
        assert (await anyone.get("/connect/sources")).status_code == 401
        body = {"readable_collection_id": collection, "mode": "connect"}
        opened = (await anyone.post("/connect/sessions", json=body)).json()
        bearer = {"Authorization": f"Bearer {opened['session_token']}"}
        path = "/connect/source-connections"
        assert (await anyone.get("/connect/sources", headers=bearer)).status_code == 200
        assert (await anyone.get(path, headers=bearer)).status_code == 403


async def test_a_session_needs_a_collection_of_the_keys_organization(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, collection: str
) -> None:
    for who, name in ((client, "not-there"), (stranger, collection)):
        body = {"readable_collection_id": name}
        answer = await who.post("/connect/sessions", json=body)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Collection not found"}


async def test_what_a_session_is_for_has_to_make_sense(
    client: httpx.AsyncClient, collection: str
) -> None:
    for wrong in (
        {"mode": "everything"},
        {"allowed_integrations": ["stub"] * 101},
        {"end_user_id": "x" * 256},
        {"end_user_id": "a\x00b"},
        {"readable_collection_id": None},
    ):
        body = {"readable_collection_id": collection, **wrong}
        answer = await client.post("/connect/sessions", json=body)
        assert answer.status_code == 422, wrong


async def test_the_longest_token_fits_into_a_header(open_session: OpenSession) -> None:
    names = [f"{number:03}".ljust(64, "x") for number in range(100)]
    widget = await open_session(allowed_integrations=names, end_user_id="é" * 255)

    assert (await widget.ask("GET", "sources")).json() == []
    assert len(widget.token) < 16 * 1024


async def test_any_page_may_ask_with_a_token_and_none_may_make_one(
    open_session: OpenSession,
) -> None:
    widget = await open_session()
    asks = {**PAGE, "Access-Control-Request-Method": "POST"}

    for path, is_open in (
        ("/connect/sources", True),
        ("/connect/source-connections", True),
        ("/connect/sessions/5c", True),
        ("/connect/sessions", False),
        ("/connect/sessions/", False),
        ("/connect//sessions", False),
        ("//connect/sessions//", False),
    ):
        url = httpx.URL(f"http://wellhead{path}")
        preflight = await widget.client.options(url, headers=asks)
        answer = await widget.client.get(url)
        assert preflight.status_code == (200 if is_open else 403), path
        allowed = [
            one.headers.get("access-control-allow-origin")
            for one in (preflight, answer)
        ]
        assert allowed == [PAGE["Origin"] if is_open else None] * 2, path


async def test_the_audit_log_names_the_session_and_its_key(
    open_session: OpenSession, client: httpx.AsyncClient
) -> None:
    [key] = (await client.get("/api-keys")).json()
    widget = await open_session(end_user_id="user-17", mode="all")
    session_id = widget.session["session_id"]
    made = (await widget.ask("POST", "source-connections", json=STUB)).json()
    await widget.ask("DELETE", f"source-connections/{made['id']}")

    deleted, created, opened = (await client.get("/audit-log")).json()[:3]

    assert opened["action"] == "connect_session.created"
    assert opened["actor"]["kind"] == "api_key"
    assert opened["subject"] == {"kind": "connect_session", "id": session_id}
    assert opened["details"]["end_user_id"] == "user-17"
    for one, what in ((created, "created"), (deleted, "deleted")):
        assert one["action"] == f"source_connection.{what}"
        assert one["actor"] == {
            "kind": "connect_session",
            "name": f"session {session_id} of user-17",
            "key_id": key["id"],
        }
    assert widget.token not in (await client.get("/audit-log")).text


async def test_a_stream_ends_with_its_session(
    app: Any, parts: Parts, open_session: OpenSession, clock: MovingClock
) -> None:
    app.state.progress = ProgressFeed(parts, poll_seconds=0.02)
    app.state.progress_pace = Pace(heartbeat_seconds=5, check_seconds=0.05)
    widget = await open_session()
    made = (await widget.ask("POST", "source-connections", json=STUB)).json()
    path = f"source-connections/{made['id']}/subscribe"

    following = asyncio.create_task(widget.ask("GET", path))
    async with asyncio.timeout(DEADLINE):
        while app.state.progress.following == 0:  # noqa: ASYNC110  # no event for it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert not following.done()
        clock.at = NOW + timedelta(minutes=10)
        answer = await following

    assert answer.status_code == 200
    assert '"status":null' in answer.text
    await _assert_is_over(widget)


async def test_a_connection_that_never_ran_has_nothing_to_follow(
    open_session: OpenSession,
) -> None:
    widget = await open_session()
    body = {**STUB, "sync_immediately": False}
    made = (await widget.ask("POST", "source-connections", json=body)).json()
    its = f"source-connections/{made['id']}"

    assert (await widget.ask("GET", f"{its}/jobs")).json() == []
    answer = await widget.ask("GET", f"{its}/subscribe")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "No sync jobs found for this connection"}


async def test_a_session_of_one_organization_sees_nothing_of_another(
    open_session: OpenSession, stranger: httpx.AsyncClient, app: Any, given: Any
) -> None:
    theirs = (await stranger.post("/collections", json={"name": "Theirs"})).json()
    body = {**STUB, "readable_collection_id": theirs["readable_id"]}
    other = (await stranger.post("/source-connections", json=body)).json()
    widget = await open_session()

    answer = await widget.ask("GET", f"source-connections/{other['id']}")

    assert answer.status_code == 404
    assert (await widget.ask("GET", "source-connections")).json() == []


async def test_sessions_are_not_counted_as_requests_with_a_key(
    parts: Parts, key: str, collection: str
) -> None:
    """The contract limits keys; a page must not use up what its server may ask."""
    limited = create_app(parts, auth=True, rate_limit=1)
    body = {"readable_collection_id": collection}
    async with client_of(limited, **{"x-api-key": key}) as server:
        opened = (await server.post("/connect/sessions", json=body)).json()
        assert (await server.get("/collections")).status_code == 429
    bearer = f"Bearer {opened['session_token']}"
    async with client_of(limited, authorization=bearer) as page:
        for _ in range(3):
            assert (await page.get("/connect/sources")).status_code == 200
