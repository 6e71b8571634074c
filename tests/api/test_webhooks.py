"""Subscriptions and messages as clients see them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from airweave import AsyncAirweaveSDK
from sqlalchemy import func, insert, select, update
from tests.receiver import Received, Receiver, answer, receiving

from wellhead.api.application import create_app
from wellhead.domain.webhooks import WebhookPolicy
from wellhead.services import webhooks
from wellhead.services.parts import Parts
from wellhead.store.schema_audit_log import audit_log
from wellhead.store.schema_webhooks import delivery, delivery_attempt, event

HOOKS = "/webhooks/subscriptions"
NOWHERE = "ep_00000000000000000000000000000000"


@pytest.fixture
def anywhere(parts: Parts) -> Parts:
    return replace(parts, webhooks=WebhookPolicy(allow_private=True))


@pytest.fixture
def app(anywhere: Parts) -> Any:
    return create_app(anywhere, auth=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


async def subscribe(client: httpx.AsyncClient, url: str, **more: Any) -> Any:
    body = {"url": url, "event_types": ["sync.completed", "sync.failed"], **more}
    response = await client.post(HOOKS, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_subscription_is_made_after_a_look_whether_it_is_there(
    client, receiver: Receiver
) -> None:
    async def sad(_: Received) -> bytes:
        return answer(503)

    receiver.react = sad

    made = await subscribe(client, receiver.url)

    assert [one.method for one in receiver.received] == ["HEAD"]
    assert made.pop("id").startswith("ep_")
    assert made == {
        "url": receiver.url,
        "filter_types": ["sync.completed", "sync.failed"],
        "disabled": False,
        "description": None,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "health_status": "unknown",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.url"),
        ({"url": "ftp://example.com"}, "body.url"),
        ({"url": "no url"}, "body.url"),
        ({"url": "http://example.com/" + "x" * 2083}, "body.url"),
        ({"event_types": []}, "body.event_types"),
        ({"event_types": ["sync.finished"]}, "body.event_types.0"),
        ({"event_types": "sync.failed"}, "body.event_types"),
        ({"secret": "x" * 23}, "body.secret"),
        ({"secret": "this is no base64 at all!"}, "body.secret"),
    ],
)
async def test_what_is_no_subscription_is_refused(
    client, body: dict[str, Any], field: str
) -> None:
    good = (
        {} if body == {} else {"url": "http://x.test", "event_types": ["sync.failed"]}
    )

    response = await client.post(HOOKS, json=good | body)

    assert response.status_code == 422
    assert field in {name for one in response.json()["errors"] for name in one}


async def test_ten_different_event_types_are_the_most(
    client, receiver: Receiver
) -> None:
    names = [
        *(f"sync.{one}" for one in ("pending", "running", "completed", "failed")),
        *(f"search.{one}" for one in ("started", "completed", "failed", "thinking")),
        "collection.created",
        "entity.erased",
    ]

    made = await subscribe(client, receiver.url, event_types=[*names, names[0]])
    refused = await client.post(
        HOOKS, json={"url": receiver.url, "event_types": [*names, "sync.cancelled"]}
    )

    assert made["filter_types"] == names
    assert refused.status_code == 422


async def test_nobody_there_is_told(client, receiver: Receiver) -> None:
    response = await client.post(
        HOOKS, json={"url": "http://127.0.0.1:1/", "event_types": ["sync.failed"]}
    )

    assert response.status_code == 400
    assert response.json()["detail"] == (
        "Could not connect to endpoint. Please check the URL is correct and the server "
        "is running."
    )
    assert (await client.get(HOOKS)).json() == []


async def test_one_who_does_not_answer_in_time_is_told(
    client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "PROBE_SECONDS", 0.05)

    async def late(_: Received) -> bytes:
        await asyncio.sleep(30)
        return b""

    receiver.react = late
    response = await client.post(
        HOOKS, json={"url": receiver.url, "event_types": ["sync.failed"]}
    )

    assert response.status_code == 400
    assert response.json() == {"detail": "Endpoint did not respond within 5 seconds."}


async def test_a_private_address_is_refused_unless_the_operator_allows_it(
    parts: Parts, key: str, receiver: Receiver
) -> None:
    careless = WebhookPolicy(verify_endpoints=False)
    for policy in (WebhookPolicy(), careless):
        app = create_app(replace(parts, webhooks=policy), auth=True)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://wellhead",
            headers={"x-api-key": key},
        ) as client:
            response = await client.post(
                HOOKS, json={"url": receiver.url, "event_types": ["sync.failed"]}
            )
            assert response.status_code == 400
            assert "WELLHEAD_WEBHOOKS_ALLOW_PRIVATE" in response.json()["detail"]

    assert receiver.received == []


async def test_the_look_can_be_switched_off(
    parts: Parts, key: str, receiver: Receiver
) -> None:
    policy = WebhookPolicy(allow_private=True, verify_endpoints=False)
    app = create_app(replace(parts, webhooks=policy), auth=True)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://wellhead",
        headers={"x-api-key": key},
    ) as client:
        await subscribe(client, receiver.url)
        await subscribe(client, "https://not-there-yet.invalid/hooks")

    assert receiver.received == []


async def test_a_secret_is_shown_only_when_it_is_asked_for(
    client, receiver: Receiver
) -> None:
    given = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    made = await subscribe(client, receiver.url)
    own = await subscribe(client, receiver.url, secret=given)

    plain = (await client.get(f"{HOOKS}/{made['id']}")).json()
    shown = (await client.get(f"{HOOKS}/{made['id']}?include_secret=true")).json()
    theirs = (await client.get(f"{HOOKS}/{own['id']}?include_secret=true")).json()

    assert plain == {**made, "delivery_attempts": [], "secret": None}
    assert shown["secret"].startswith("whsec_")
    assert len(shown["secret"]) == len(given)
    assert theirs["secret"] == given


async def test_a_subscription_is_changed_and_deleted_and_that_is_noted(
    client, receiver: Receiver, parts: Parts
) -> None:
    made = await subscribe(client, receiver.url)
    where = f"{HOOKS}/{made['id']}"

    changed = await client.patch(
        where,
        json={"url": f"{receiver.url}/new", "event_types": ["collection.created"]},
    )
    disabled = await client.patch(where, json={"disabled": True})
    same = await client.patch(where, json={})
    gone = await client.delete(where)

    assert changed.json()["url"] == f"{receiver.url}/new"
    assert changed.json()["filter_types"] == ["collection.created"]
    assert disabled.json()["disabled"] is True
    assert same.json() == disabled.json() == gone.json()
    assert (await client.get(where)).status_code == 404
    async with parts.db.connect() as connection:
        noted = await connection.scalars(
            select(audit_log.c.action)
            .where(audit_log.c.subject_id == made["id"])
            .order_by(audit_log.c.id)
        )
        assert [*noted] == [
            "subscription.created",
            "subscription.changed",
            "subscription.changed",
            "subscription.deleted",
        ]


@pytest.mark.parametrize("ident", [NOWHERE, "nonsense", "ep_" + "z" * 32])
async def test_an_unknown_subscription_is_not_found(client, ident: str) -> None:
    since = {"since": "2026-01-01T00:00:00Z"}
    for response in (
        await client.get(f"{HOOKS}/{ident}"),
        await client.patch(f"{HOOKS}/{ident}", json={"disabled": True}),
        await client.delete(f"{HOOKS}/{ident}"),
        await client.post(f"{HOOKS}/{ident}/recover", json=since),
    ):
        assert response.status_code == 404
        assert response.json()["detail"].startswith("Failed to get subscription: ")


async def test_strangers_see_nothing(
    client, stranger, given, receiver: Receiver
) -> None:
    made = await subscribe(client, receiver.url)
    await given.collection()
    [message] = (await client.get("/webhooks/messages")).json()

    assert (await stranger.get(HOOKS)).json() == []
    assert (await stranger.get("/webhooks/messages")).json() == []
    for response in (
        await stranger.get(f"{HOOKS}/{made['id']}"),
        await stranger.delete(f"{HOOKS}/{made['id']}"),
        await stranger.get(f"/webhooks/messages/{message['id']}"),
    ):
        assert response.status_code == 404


async def test_every_event_is_a_message_whether_or_not_anybody_asked(
    client, given
) -> None:
    made = await given.connection()
    await client.delete(f"/source-connections/{made['id']}")

    messages = (await client.get("/webhooks/messages")).json()

    told = {one["event_type"]: one for one in messages}
    assert {*told} >= {
        "collection.created",
        "source_connection.created",
        "source_connection.deleted",
        "sync.pending",
        "sync.cancelled",
    }
    gone = told["source_connection.deleted"]
    assert gone["id"].startswith("msg_")
    assert (gone["channels"], gone["tags"]) == (["source_connection.deleted"], None)
    common = {"timestamp": "2026-01-02T03:04:05Z"}
    common["organization_id"] = gone["payload"]["organization_id"]
    assert gone["timestamp"] == common["timestamp"]
    assert gone["payload"] == {
        **common,
        "event_type": "source_connection.deleted",
        "source_connection_id": made["id"],
        "collection_readable_id": made["readable_collection_id"],
        "source_type": "stub",
        "is_authenticated": False,
    }
    assert {*told["collection.created"]["payload"]} == {
        *common,
        "event_type",
        "collection_id",
        "collection_name",
        "collection_readable_id",
    }
    assert told["sync.pending"]["payload"]["source_type"] == "stub"


async def test_messages_are_listed_newest_first_by_type_and_page(client, given) -> None:
    for name in ("first", "second", "third"):
        made = await given.collection(name)
        await client.patch(f"/collections/{made['readable_id']}", json={"name": "new!"})

    async def names(**params: Any) -> list[str]:
        response = await client.get("/webhooks/messages", params=params)
        assert response.status_code == 200, response.text
        return [one["payload"]["collection_name"] for one in response.json()]

    created = await names(event_types="collection.created")
    assert created == ["third", "second", "first"]
    both = ["collection.created", "collection.updated"]
    assert len(await names(event_types=both)) == 6
    assert await names(event_types="sync.failed") == []
    page = await client.get("/webhooks/messages?event_types=collection.created&limit=2")
    rest = await client.get(page.links["next"]["url"])
    assert [one["payload"]["collection_name"] for one in rest.json()] == ["first"]
    assert "next" not in rest.links
    lost = await client.get("/webhooks/messages?before=msg_1")
    assert lost.status_code == 404


async def attempt(parts: Parts, subscription: str, **columns: Any) -> None:
    """Write what a worker would have."""
    async with parts.db.begin() as connection:
        event_id = await connection.scalar(select(func.max(event.c.id)))
        ident = UUID(subscription.removeprefix("ep_"))
        known = await connection.scalar(select(func.count()).select_from(delivery))
        if not known:
            await connection.execute(
                insert(delivery).values(
                    event_id=event_id, subscription_id=ident, state="delivered"
                )
            )
        await connection.execute(
            insert(delivery_attempt).values(
                id=func.gen_random_uuid(),
                event_id=event_id,
                subscription_id=ident,
                at=func.clock_timestamp(),
                url="http://x.test/",
                **columns,
            )
        )


async def test_attempts_and_health_are_shown(
    client, given, parts: Parts, receiver: Receiver
) -> None:
    made = await subscribe(client, receiver.url)
    await given.collection()
    seen = []
    for columns in (
        {"status": "success", "response_status": 204, "response": ""},
        {"status": "failed", "response_status": 500, "response": "oh"},
        {"status": "failed", "response": "No answer"},
        {"status": "failed", "response_status": 302},
        {"status": "pending"},
    ):
        await attempt(parts, made["id"], **columns)
        seen.append((await client.get(HOOKS)).json()[0]["health_status"])

    assert seen == ["healthy", "degraded", "degraded", "failing", "failing"]
    detail = (await client.get(f"{HOOKS}/{made['id']}")).json()
    assert detail["health_status"] == "failing"
    told = [
        (one["status"], one["response_status_code"], one["response"])
        for one in detail["delivery_attempts"]
    ]
    assert told == [
        ("pending", 0, None),
        ("failed", 302, None),
        ("failed", 0, "No answer"),
        ("failed", 500, "oh"),
        ("success", 204, ""),
    ]
    [message] = (await client.get("/webhooks/messages")).json()
    where = f"/webhooks/messages/{message['id']}"
    assert (await client.get(where)).json() == {**message, "delivery_attempts": None}
    shown = (await client.get(f"{where}?include_attempts=true")).json()
    assert shown["delivery_attempts"] == detail["delivery_attempts"]
    assert shown["delivery_attempts"][0]["endpoint_id"] == made["id"]
    assert shown["delivery_attempts"][0]["message_id"] == message["id"]


async def test_recovering_answers_whether_there_is_anything_to_do(
    client, given, receiver: Receiver, parts: Parts
) -> None:
    made = await subscribe(client, receiver.url, event_types=["collection.created"])
    await given.collection()
    where = f"{HOOKS}/{made['id']}/recover"

    async def recover(**body: str) -> Any:
        response = await client.post(where, json=body)
        assert response.status_code == 200, response.text
        assert response.json()["id"].startswith("rcvr_")
        return response.json()["status"]

    assert await recover(since="2027-01-01T00:00:00Z") == "completed"
    assert await recover(since="2025-01-01", until="2025-01-02T00:00:00") == "completed"
    assert await recover(since="2026-01-01T00:00:00+02:00") == "running"
    assert await recover(since="2026-01-01T00:00:00Z") == "completed"
    async with parts.db.begin() as connection:
        await connection.execute(
            update(delivery).values(state="failed", next_attempt_at=None)
        )
    assert await recover(since="2026-01-01T00:00:00Z") == "running"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": "soon"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    ],
)
async def test_a_time_that_is_none_is_refused(
    client, receiver: Receiver, body: dict[str, str]
) -> None:
    made = await subscribe(client, receiver.url)

    response = await client.post(f"{HOOKS}/{made['id']}/recover", json=body)

    assert response.status_code == 422


async def test_a_disabled_subscription_is_not_recovered(
    client, receiver: Receiver
) -> None:
    made = await subscribe(client, receiver.url)
    where = f"{HOOKS}/{made['id']}"
    await client.patch(where, json={"disabled": True})

    response = await client.post(
        f"{where}/recover", json={"since": "2026-01-01T00:00:00Z"}
    )

    assert response.status_code == 409


async def test_enabling_with_a_time_recovers(
    client, given, receiver: Receiver, parts: Parts
) -> None:
    made = await subscribe(client, receiver.url, event_types=["collection.created"])
    await given.collection()
    since = {"recover_since": "2026-01-01T00:00:00Z"}

    async def waiting() -> Any:
        async with parts.db.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(delivery))

    await client.patch(f"{HOOKS}/{made['id']}", json=since)
    assert await waiting() == 0
    await client.patch(f"{HOOKS}/{made['id']}", json={**since, "disabled": False})
    assert await waiting() == 1


async def test_both_forms_of_a_path_are_served(client, receiver: Receiver) -> None:
    made = await subscribe(client, receiver.url)

    for path in ("/webhooks/messages", HOOKS, f"{HOOKS}/{made['id']}"):
        assert (await client.get(path)).json() == (await client.get(f"{path}/")).json()


async def test_the_public_client_manages_subscriptions(
    client, key: str, given, receiver: Receiver
) -> None:
    sdk = AsyncAirweaveSDK(api_key=key, base_url="http://wellhead", httpx_client=client)

    made = await sdk.webhooks.create_subscription(
        url=receiver.url, event_types=["sync.completed", "collection.created"]
    )
    listed = await sdk.webhooks.get_subscriptions()
    detail = await sdk.webhooks.get_subscription(made.id, include_secret=True)
    changed = await sdk.webhooks.patch_subscription(made.id, disabled=True)
    again = await sdk.webhooks.patch_subscription(made.id, disabled=False)
    await given.collection()
    messages = await sdk.webhooks.get_messages(event_types=["collection.created"])
    message = await sdk.webhooks.get_message(messages[0].id, include_attempts=True)
    task = await sdk.webhooks.recover_failed_messages(
        made.id, since=messages[0].timestamp
    )
    gone = await sdk.webhooks.delete_subscription(made.id)

    assert [one.id for one in listed] == [made.id]
    assert cast("str", detail.secret).startswith("whsec_")
    assert (changed.disabled, again.disabled) == (True, False)
    assert message.delivery_attempts == []
    assert (task.status, gone.id) == ("running", made.id)
