"""The public Python client, sync and async, and MCP's requests, against a server."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from airweave import AirweaveSDK, AsyncAirweaveSDK, DirectAuthentication
from airweave.core.api_error import ApiError
from airweave.errors import ConflictError, NotFoundError, UnprocessableEntityError
from svix.webhooks import Webhook

SECONDS = 60
STUB = DirectAuthentication(credentials={"stub_key": "stub"})


@dataclass
class Mailbox:
    """An HTTP server that keeps what it is sent."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    class Receive(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            box.received.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    box = Mailbox(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield box
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def sdk(served_to_clients) -> Iterator[AirweaveSDK]:
    with httpx.Client(timeout=SECONDS) as wire:
        url = served_to_clients.served["url"]
        # a slash at the end of the base URL makes two of them in a path
        yield AirweaveSDK(
            api_key=served_to_clients.key, base_url=f"{url}/", httpx_client=wire
        )


@pytest.fixture
async def async_sdk(served_to_clients) -> AsyncIterator[AsyncAirweaveSDK]:
    async with httpx.AsyncClient(timeout=SECONDS) as wire:
        yield AsyncAirweaveSDK(
            api_key=served_to_clients.key,
            base_url=served_to_clients.served["url"],
            httpx_client=wire,
        )


@pytest.fixture(scope="module")
def synced(sdk: AirweaveSDK) -> Any:
    """A connection in a collection of its own, whose first job is over."""
    collection = sdk.collections.create(name="For clients", readable_id="for-clients")
    made = sdk.source_connections.create(
        short_name="stub",
        name="A stub to read",
        readable_collection_id=collection.readable_id,
        authentication=STUB,
        config={"entity_count": 12},
        schedule={"cron": None},
    )
    assert made.sync is not None
    assert made.sync.last_job is not None
    assert made.sync.last_job.status == "pending"
    _until(sdk, made.id, made.sync.last_job.id)
    return sdk.source_connections.get(made.id)


def _until(sdk: AirweaveSDK, connection_id: str, job_id: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while True:
        jobs = sdk.source_connections.get_source_connection_jobs(connection_id)
        job = next(one for one in jobs if one.id == job_id)
        if job.status in ("completed", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, job.status
        time.sleep(0.1)


def test_the_sync_client_reads_the_catalogue(sdk: AirweaveSDK) -> None:
    names = [one.short_name for one in sdk.sources.list()]

    assert "stub" in names
    assert sdk.sources.get("stub").config_fields.fields
    with pytest.raises(NotFoundError):
        sdk.sources.get("no_such_source")


def test_the_sync_client_changes_collections(sdk: AirweaveSDK) -> None:
    made = sdk.collections.create(name="Changed by a client")

    assert sdk.collections.update(made.readable_id, name="Renamed").name == "Renamed"
    assert [one.id for one in sdk.collections.list(search="renamed", limit=5)] == [
        made.id
    ]
    assert sdk.collections.get(made.readable_id).status == "NEEDS SOURCE"
    assert sdk.collections.delete(made.readable_id).id == made.id
    with pytest.raises(NotFoundError):
        sdk.collections.get(made.readable_id)
    with pytest.raises(UnprocessableEntityError):
        sdk.collections.create(name="abc")


def test_the_sync_client_runs_and_cancels_jobs(sdk: AirweaveSDK, synced: Any) -> None:
    assert synced.sync.last_job.status == "completed"
    assert synced.sync.last_job.entities_inserted == 13
    assert synced.entities.total_entities == 13
    collection = sdk.collections.create(name="To be cancelled").readable_id
    slow = sdk.source_connections.create(
        short_name="timed",
        readable_collection_id=collection,
        authentication=DirectAuthentication(credentials={"timed_key": "timed"}),
        config={"entity_count": 1000, "duration_seconds": 300},
        sync_immediately=False,
        schedule={"cron": None},
    )

    run = sdk.source_connections.run(slow.id, force_full_sync=True)
    assert run.status == "pending"
    with pytest.raises(ConflictError):
        sdk.source_connections.run(slow.id)
    asked = sdk.source_connections.cancel_job(slow.id, run.id)
    assert asked.status in ("cancelling", "cancelled")
    assert _until(sdk, slow.id, run.id).status == "cancelled"
    with pytest.raises(ConflictError):
        sdk.source_connections.cancel_job(slow.id, run.id)
    changed = sdk.source_connections.update(slow.id, name="Renamed slow one")
    assert changed.name == "Renamed slow one"
    [listed] = sdk.source_connections.list(collection=collection)
    assert listed.name == "Renamed slow one"
    assert sdk.source_connections.delete(slow.id).id == slow.id
    with pytest.raises(NotFoundError):
        sdk.source_connections.get(slow.id)


@pytest.mark.usefixtures("synced")
def test_the_sync_client_searches_in_every_tier(sdk: AirweaveSDK) -> None:
    search = sdk.collections.search
    only = [
        {
            "conditions": [
                {
                    "field": "airweave_system_metadata.source_name",
                    "operator": "equals",
                    "value": "stub",
                }
            ]
        }
    ]

    instant = search.instant(
        "for-clients", query="the", retrieval_strategy="semantic", limit=3, offset=1
    )
    assert len(instant.results) == 3
    assert instant.results[0].airweave_system_metadata.source_name == "stub"
    # without a language model the second tier answers like the first
    classic = search.classic("for-clients", query="the", filter=only, limit=4)
    assert len(classic.results) == 4
    with pytest.raises(Exception, match="No LLM provider configured"):
        search.agentic("for-clients", query="the", thinking=True)
    *_, last = search.stream_agentic("for-clients", query="the", limit=3)
    assert last.type == "error"
    assert "No LLM provider configured" in last.message
    with pytest.raises(ApiError) as refused:
        search.instant("no-such-collection", query="the")
    assert refused.value.status_code == 404


def test_the_sync_client_hears_of_events(
    sdk: AirweaveSDK, synced: Any, mailbox: Mailbox
) -> None:
    webhooks = sdk.webhooks
    made = webhooks.create_subscription(
        url=mailbox.url, event_types=["sync.completed", "sync.failed"]
    )
    assert made.filter_types == ["sync.completed", "sync.failed"]
    run = sdk.source_connections.run(synced.id)
    _until(sdk, synced.id, run.id)
    _wait(lambda: mailbox.received, "nothing was delivered")

    detail = webhooks.get_subscription(made.id, include_secret=True)
    assert detail.secret is not None
    headers, body = mailbox.received[0]
    Webhook(detail.secret).verify(body, headers)
    told = json.loads(body)
    assert (told["event_type"], told["sync_job_id"]) == ("sync.completed", run.id)
    [message, *_] = webhooks.get_messages(event_types=["sync.completed"])
    assert message.payload["sync_job_id"] == run.id
    attempts = _wait(  # which are written down once the answer is here
        lambda: (
            webhooks.get_message(message.id, include_attempts=True).delivery_attempts
        ),
        "no attempt was noted",
    )
    assert attempts[0].response_status_code == 204
    assert webhooks.delete_subscription(made.id).id == made.id


def test_the_sync_client_changes_subscriptions(
    sdk: AirweaveSDK, mailbox: Mailbox
) -> None:
    webhooks = sdk.webhooks
    made = webhooks.create_subscription(
        url=mailbox.url, event_types=["collection.created"]
    )
    since = made.created_at - timedelta(hours=1)

    assert made.id in [one.id for one in webhooks.get_subscriptions()]
    assert webhooks.patch_subscription(made.id, disabled=True).disabled
    resumed = webhooks.patch_subscription(
        made.id, disabled=False, recover_since=since, event_types=["sync.failed"]
    )
    assert resumed.filter_types == ["sync.failed"]
    task = webhooks.recover_failed_messages(made.id, since=since)
    assert task.id.startswith("rcvr_")
    assert webhooks.delete_subscription(made.id).id == made.id
    with pytest.raises(NotFoundError):
        webhooks.get_subscription(made.id)


def _wait(found: Callable[[], Any], otherwise: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (result := found()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
    return result


async def test_the_async_client_does_the_same(
    async_sdk: AsyncAirweaveSDK, synced: Any, mailbox: Mailbox
) -> None:
    sdk = async_sdk
    sources, collections, connections, subscriptions = await asyncio.gather(
        sdk.sources.list(),
        sdk.collections.list(),
        sdk.source_connections.list(collection="for-clients"),
        sdk.webhooks.get_subscriptions(),
    )
    assert "stub" in [one.short_name for one in sources]
    assert "for-clients" in [one.readable_id for one in collections]
    assert [one.id for one in connections] == [synced.id]
    assert isinstance(subscriptions, list)
    made = await sdk.collections.create(name="Made by the async client")
    assert (await sdk.collections.get(made.readable_id)).id == made.id
    assert (await sdk.collections.update(made.readable_id, name="Anew")).name == "Anew"
    connection = await sdk.source_connections.create(
        short_name="stub",
        readable_collection_id=made.readable_id,
        authentication=STUB,
        sync_immediately=False,
    )
    assert connection.schedule is not None, "a daily one, as nothing was said"
    renamed = await sdk.source_connections.update(connection.id, name="Another name")
    assert renamed.name == "Another name"
    job = await sdk.source_connections.run(connection.id)
    jobs = await sdk.source_connections.get_source_connection_jobs(connection.id)
    assert [one.id for one in jobs] == [job.id]
    assert (await sdk.source_connections.get(connection.id)).id == connection.id
    assert (await sdk.source_connections.delete(connection.id)).id == connection.id
    assert (await sdk.collections.delete(made.readable_id)).id == made.id
    assert (await sdk.sources.get("stub")).short_name == "stub"
    search = sdk.collections.search
    assert (await search.instant("for-clients", query="the", limit=2)).results
    assert (await search.classic("for-clients", query="the", limit=2)).results
    events = [one async for one in search.stream_agentic("for-clients", query="the")]
    assert events[-1].type == "error"
    hook = await sdk.webhooks.create_subscription(
        url=mailbox.url, event_types=["collection.created"], secret="x" * 32
    )
    assert (await sdk.webhooks.get_subscription(hook.id)).id == hook.id
    assert (await sdk.webhooks.delete_subscription(hook.id)).id == hook.id
    assert await sdk.webhooks.get_messages()


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize("tier", ["classic", "instant"])
def test_what_the_mcp_server_sends_finds_what_it_shows(
    served_to_clients, tier: str
) -> None:
    """Its own requests, sent by httpx: the program itself cannot be had from npm.

    The key comes as a bearer token only, and a base URL with a slash at its end makes
    two of them in the path.
    """
    url = f"{served_to_clients.served['url']}//collections/for-clients/search"
    body = {"query": "the", "limit": 100, "offset": 0}
    answer = httpx.post(
        f"{url}/{tier}",
        json=body,
        headers={"Authorization": f"Bearer {served_to_clients.key}"},
        timeout=SECONDS,
    )

    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert results
    for result in results:
        assert isinstance(result["relevance_score"], float | int)
        assert isinstance(result["textual_representation"], str)
        assert isinstance(result["web_url"], str)
        assert isinstance(result["breadcrumbs"], list)
        assert result["name"]
        assert result["airweave_system_metadata"]["source_name"] == "stub"


def test_the_hosted_mcp_server_finds_collections_by_a_bearer_key(
    served_to_clients, synced: Any
) -> None:
    answer = httpx.get(
        f"{served_to_clients.served['url']}/collections",
        params={"limit": 25},
        headers={"Authorization": f"Bearer {served_to_clients.key}"},
        timeout=SECONDS,
    )

    assert answer.status_code == 200
    found = [one["readable_id"] for one in answer.json()]
    assert synced.readable_collection_id in found
