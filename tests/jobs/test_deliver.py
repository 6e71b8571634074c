"""From an event to a subscriber's server, whatever that server and ours do."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import standardwebhooks
import svix.webhooks
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from tests.bench import Bench
from tests.receiver import Received, Receiver, answer, fine, hang, receiving
from tests.things import listing, thing

from wellhead.domain.events import EventType
from wellhead.domain.items import Failure, Ref, ScopeEnd, ScopeStart
from wellhead.domain.jobs import JobStatus
from wellhead.domain.webhooks import (
    GIVE_UP_AFTER,
    AttemptStatus,
    HealthStatus,
    WebhookPolicy,
    public_id,
)
from wellhead.engine.procrastinate import Task
from wellhead.services import webhooks
from wellhead.services.endpoints import Answer, Caller
from wellhead.services.parts import Parts
from wellhead.store import deliveries
from wellhead.store.outbox import fan_out, write_event
from wellhead.worker import outbox
from wellhead.worker.deliver import Courier, deliver
from wellhead.worker.outbox import publish, purge_messages


class Killed(BaseException):
    """What nobody expects."""


AT_ONCE = (timedelta(0),) * 4
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
EVERY_SYNC_EVENT = [one.value for one in EventType if one.value.startswith("sync.")]


@dataclass
class Post:
    """A bench whose events are delivered when the test says so."""

    bench: Bench
    parts: Parts
    courier: Courier

    async def subscribe(self, url: str, *event_types: str) -> str:
        made = await webhooks.create_subscription(
            self.parts,
            self.bench.organization_id,
            url=url,
            event_types=event_types or ("collection.created",),
            secret=None,
        )
        return public_id("ep", made.id)

    async def happen(self, *names: str) -> None:
        """Let a collection of each name be created, as far as events tell."""
        async with self.parts.db.begin() as connection:
            for name in names or ("one",):
                await write_event(
                    connection,
                    self.bench.organization_id,
                    EventType.COLLECTION_CREATED,
                    {"collection_name": name},
                    self.parts.clock.now(),
                )

    async def deliver(self) -> None:
        """Work as a worker does until nothing is due."""
        while True:
            await publish(self.parts)
            due = await self.due()
            if not due:
                return
            await asyncio.gather(*(deliver(self.courier, one) for one in due))

    async def due(self) -> list[UUID]:
        async with self.parts.db.connect() as connection:
            at = self.parts.clock.now()
            return list(await deliveries.due(connection, at=at))

    async def detail(self, subscription: str) -> webhooks.Detail:
        return await webhooks.get_subscription(
            self.parts,
            self.bench.organization_id,
            subscription,
            include_secret=True,
        )

    async def states(self) -> list[str]:
        rows = await self.bench.rows("SELECT state FROM delivery ORDER BY event_id")
        return [row.state for row in rows]

    async def recover(self, subscription: str, **when: Any) -> int:
        found = await webhooks.recover_messages(
            self.parts, self.bench.organization_id, subscription, until=None, **when
        )
        return found.messages


@pytest.fixture
async def post(bench: Bench) -> AsyncIterator[Post]:
    policy = WebhookPolicy(allow_private=True, verify_endpoints=False)
    parts = replace(bench.parts, webhooks=policy)
    async with Caller(policy) as caller:
        yield Post(bench, parts, Courier(parts, caller, schedule=AT_ONCE))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


def failing(times: int, status: int = 500) -> Any:
    """A reaction: so many failures, then success."""
    left = [times]

    async def react(request: Received) -> bytes:
        left[0] -= 1
        return answer(status, "no") if left[0] >= 0 else await fine(request)

    return react


async def test_a_message_can_be_verified_with_both_libraries(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    await post.happen("Ünïcode")
    await post.deliver()

    [got] = receiver.received
    secret = (await post.detail(subscription)).secret
    assert secret is not None
    svix.webhooks.Webhook(secret).verify(got.body, got.headers)
    payload = standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    assert (got.method, got.headers["content-type"]) == ("POST", "application/json")
    assert payload["collection_name"] == "Ünïcode"
    assert got.headers["svix-id"] == got.headers["webhook-id"]
    [message] = await webhooks.list_messages(
        post.parts,
        post.bench.organization_id,
        limit=9,
        before=None,
        event_types=None,
    )
    assert got.headers["svix-id"] == public_id("msg", message.id)
    assert json.loads(got.body) == message.payload


async def test_the_secret_is_not_stored_in_plain(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    secret = (await post.detail(subscription)).secret

    stored = await post.bench.scalar("SELECT secret FROM subscription")

    assert secret is not None
    assert secret.removeprefix("whsec_").encode() not in bytes(stored)


async def test_a_failed_message_is_tried_again_under_its_id(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    receiver.react = failing(2)
    await post.happen()
    await post.deliver()

    assert len(receiver.ids) == 3
    assert len({*receiver.ids}) == 1
    attempts = (await post.detail(subscription)).attempts
    assert [(one.response_status, one.response) for one in attempts] == [
        (200, "thanks"),
        (500, "no"),
        (500, "no"),
    ]
    assert await post.states() == ["delivered"]


async def test_five_attempts_are_made_and_then_it_has_failed(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    receiver.react = failing(99)
    await post.happen()
    await post.deliver()

    assert len(receiver.ids) == 5
    assert await post.states() == ["failed"]
    assert (await post.detail(subscription)).subscription.health is (
        HealthStatus.FAILING
    )


async def test_a_retry_waits_its_time(post: Post, receiver: Receiver) -> None:
    await post.subscribe(receiver.url)
    post.courier = replace(
        post.courier, schedule=(timedelta(minutes=5),), jitter=lambda: 0.5
    )
    receiver.react = failing(1)
    await post.happen()
    before = post.parts.clock.now()
    await post.deliver()

    assert len(receiver.ids) == 1
    when = await post.bench.scalar("SELECT next_attempt_at FROM delivery")
    assert timedelta(minutes=5, seconds=15) <= when - before < timedelta(minutes=6)


async def test_what_is_no_success_fails(post: Post, receiver: Receiver) -> None:
    subscription = await post.subscribe(receiver.url)
    post.courier = replace(post.courier, schedule=(), timeout_seconds=0.2)

    async def garbage(_: Received) -> bytes:
        return b"no HTTP at all\r\n\r\n"

    async def redirect(_: Received) -> bytes:
        return answer(302, location=receiver.url)

    for react in (redirect, garbage, hang):
        receiver.react = react
        await post.happen()
        await post.deliver()

    attempts = (await post.detail(subscription)).attempts
    assert [one.response_status for one in attempts] == [0, 0, 302]
    assert attempts[0].response == "No answer within 0.2 seconds"
    assert {one.status for one in attempts} == {AttemptStatus.FAILED}
    assert len(receiver.received) == 3


async def test_an_endpoint_on_a_private_address_is_not_called(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    async with Caller(WebhookPolicy()) as caller:
        post.courier = replace(post.courier, caller=caller, schedule=())
        await post.happen()
        await post.deliver()

    [attempt] = (await post.detail(subscription)).attempts
    assert "not on the internet" in (attempt.response or "")
    assert receiver.received == []


async def test_a_crash_before_the_answer_is_recorded_sends_the_message_again(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    await post.happen()
    await publish(post.parts)
    [endpoint] = await post.due()

    class Mortal(Caller):
        """Dies when it has the answer."""

        async def call(self, *args: Any, **more: Any) -> Answer:
            await super().call(*args, **more)
            raise Killed

    async with Mortal(post.parts.webhooks) as caller:
        with pytest.raises(Killed):
            await deliver(replace(post.courier, caller=caller), endpoint)

    await post.deliver()
    assert len(receiver.ids) == 1, "it is somebody's until the lease is over"
    pending = (await post.detail(subscription)).attempts
    assert [one.status for one in pending] == [AttemptStatus.PENDING]
    await post.bench.execute("UPDATE delivery SET next_attempt_at = now()")
    await post.deliver()

    assert len(receiver.ids) == 2
    assert len({*receiver.ids}) == 1
    attempts = (await post.detail(subscription)).attempts
    assert [one.status for one in attempts] == [
        AttemptStatus.SUCCESS,
        AttemptStatus.FAILED,
    ]
    assert attempts[1].response == deliveries.LOST


async def test_a_worker_that_is_stopped_hands_back_what_it_was_sending(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url)
    receiver.react = hang
    await post.happen()
    await publish(post.parts)
    [endpoint] = await post.due()
    stopped = asyncio.create_task(deliver(post.courier, endpoint))
    await receiver.wait_for(1)
    stopped.cancel()
    await asyncio.gather(stopped, return_exceptions=True)

    assert await post.due() == [endpoint]
    receiver.react = fine
    await post.deliver()
    assert await post.states() == ["delivered"]
    assert await post.bench.scalar("SELECT attempts FROM delivery") == 1


async def test_two_workers_at_once_make_each_delivery_once(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url)
    await post.happen(*map(str, range(40)))
    first_is_in, second_is_done = asyncio.Event(), asyncio.Event()

    async def first() -> int:
        async with post.parts.db.begin() as connection:
            now = post.parts.clock.now()
            found = await fan_out(connection, at=now, limit=25)
            first_is_in.set()
            await asyncio.wait_for(second_is_done.wait(), 30)
            return found.events

    async def second() -> int:
        await first_is_in.wait()
        try:
            return await publish(post.parts)
        finally:
            second_is_done.set()

    assert [*await asyncio.gather(first(), second())] == [25, 15]
    [endpoint] = await post.due()
    await asyncio.gather(*(deliver(post.courier, endpoint) for _ in range(3)))

    assert len(receiver.ids) == 40
    assert len({*receiver.ids}) == 40


async def test_deliveries_and_their_tasks_are_written_together_or_not_at_all(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url)
    await post.happen()
    await post.bench.execute("ALTER TABLE procrastinate_jobs RENAME TO away")

    with pytest.raises(ProgrammingError):
        await publish(post.parts)

    assert await post.states() == []
    await post.bench.execute("ALTER TABLE away RENAME TO procrastinate_jobs")
    await publish(post.parts)
    assert await post.states() == ["pending"]
    assert await post.bench.scalar("SELECT queue_name FROM procrastinate_jobs") == (
        "deliveries"
    )


async def test_a_lost_task_is_queued_again(post: Post, receiver: Receiver) -> None:
    await post.subscribe(receiver.url)
    await post.happen()
    await publish(post.parts)
    await post.bench.execute("DELETE FROM procrastinate_jobs")

    for _ in range(2):
        await publish(post.parts)

    assert await post.bench.scalar("SELECT count(*) FROM procrastinate_jobs") == 1


async def test_a_slow_endpoint_holds_up_neither_others_nor_sync_jobs(
    post: Post, receiver: Receiver
) -> None:
    """With the real engine: more messages hang than any one endpoint has places."""
    async with receiving() as slow:
        slow.react = hang
        await post.subscribe(slow.url)
        await post.subscribe(receiver.url)
        await post.happen(*map(str, range(20)))
        stop, ran = asyncio.Event(), asyncio.Event()

        async def run(_: UUID) -> None:
            ran.set()

        engine, courier = post.parts.engine, post.courier
        workers = [
            asyncio.create_task(
                engine.run(
                    {Task.DELIVER: lambda one: deliver(courier, one)},
                    concurrency=2,
                    stop=stop,
                )
            ),
            asyncio.create_task(
                engine.run({Task.RUN_JOB: run}, concurrency=1, stop=stop)
            ),
        ]
        await publish(post.parts)
        async with post.parts.db.begin() as connection:
            await engine.defer(connection, Task.RUN_JOB, uuid4())
        async with asyncio.timeout(30):
            await ran.wait()
        await receiver.wait_for(20)

        assert 0 < len(slow.received) <= 4
        stop.set()
        await asyncio.gather(*workers)


async def test_a_failing_endpoint_gets_one_message_at_a_time(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url)
    await post.bench.execute("UPDATE subscription SET failing_since = now()")
    post.courier = replace(post.courier, schedule=())
    receiver.react = failing(99)
    await post.happen(*"abc")
    await publish(post.parts)
    [endpoint] = await post.due()

    await deliver(post.courier, endpoint)

    assert len(receiver.ids) == 1


async def test_a_disabled_endpoint_gets_nothing(post: Post, receiver: Receiver) -> None:
    organization = post.bench.organization_id
    subscription = await post.subscribe(receiver.url)
    await post.happen("waiting")
    await publish(post.parts)

    await webhooks.change_subscription(
        post.parts, organization, subscription, {"disabled": True}
    )
    await post.happen("meanwhile")
    await post.deliver()
    assert receiver.received == []
    await webhooks.change_subscription(
        post.parts, organization, subscription, {"disabled": False}
    )
    await post.happen("after")
    await post.deliver()

    assert [json.loads(one.body)["collection_name"] for one in receiver.received] == [
        "after"
    ]


async def test_recovering_sends_what_failed_and_what_was_missed_once(
    post: Post, receiver: Receiver
) -> None:
    began = post.parts.clock.now()
    subscription = await post.subscribe(receiver.url)
    await post.happen("delivered")
    await post.deliver()
    receiver.react = failing(5)
    await post.happen("failed")
    await post.deliver()
    organization = post.bench.organization_id
    await webhooks.change_subscription(
        post.parts, organization, subscription, {"disabled": True}
    )
    await post.happen("missed")
    await publish(post.parts)
    receiver.received.clear()

    await webhooks.change_subscription(
        post.parts,
        organization,
        subscription,
        {"disabled": False},
        recover_since=began,
    )
    await post.deliver()

    names = {json.loads(one.body)["collection_name"] for one in receiver.received}
    assert names == {"failed", "missed"}
    assert len(receiver.received) == 2
    assert await post.recover(subscription, since=began) == 0
    later = post.parts.clock.now() + timedelta(days=1)
    await post.bench.execute("UPDATE delivery SET state = 'failed'")
    assert await post.recover(subscription, since=later) == 0
    assert await post.recover(subscription, since=began) == 3


async def test_an_endpoint_that_fails_for_days_is_switched_off(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    post.courier = replace(post.courier, schedule=())
    receiver.react = failing(99)
    await post.happen("first")
    await post.deliver()
    assert not (await post.detail(subscription)).subscription.disabled

    await post.bench.execute(
        "UPDATE subscription SET failing_since = failing_since - CAST(:d AS interval)",
        d=GIVE_UP_AFTER,
    )
    await post.happen("second")
    await post.deliver()

    found = (await post.detail(subscription)).subscription
    assert found.disabled
    assert found.gave_up_at is not None
    noted = await post.bench.scalar(
        "SELECT details ->> 'reason' FROM audit_log ORDER BY id DESC LIMIT 1"
    )
    assert noted == "nothing could be delivered for days"


async def test_one_success_begins_the_days_anew(post: Post, receiver: Receiver) -> None:
    subscription = await post.subscribe(receiver.url)
    await post.bench.execute(
        "UPDATE subscription SET failing_since = now() - interval '9 days'"
    )
    await post.happen()
    await post.deliver()

    found = (await post.detail(subscription)).subscription
    assert (found.failing_since, found.disabled) == (None, False)


async def test_a_subscription_that_is_deleted_while_it_is_told_ends_quietly(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    organization = post.bench.organization_id

    async def delete(_: Received) -> bytes:
        await webhooks.delete_subscription(post.parts, organization, subscription)
        return answer(200)

    receiver.react = delete
    await post.happen()
    await post.deliver()

    assert await post.states() == []


async def test_a_secret_whose_key_is_lost_fails_the_attempt_and_says_so(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    post.courier = replace(post.courier, schedule=())
    await post.bench.execute("UPDATE subscription SET secret = 'another'")
    await post.happen()
    await post.deliver()

    rows = await post.bench.rows("SELECT response FROM delivery_attempt")
    assert ["cannot be decrypted" in row.response for row in rows] == [True]
    assert receiver.received == []
    assert subscription


async def test_old_messages_are_forgotten_with_what_was_told_of_them(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url)
    await post.happen("old", "young")
    await post.deliver()
    await post.bench.execute(
        "UPDATE event SET created_at = created_at - interval '31 days'"
        " WHERE payload ->> 'collection_name' = 'old'"
    )

    assert await purge_messages(post.parts) == 1

    for table in ("event", "delivery", "delivery_attempt"):
        assert await post.bench.scalar(f"SELECT count(*) FROM {table}") == 1  # noqa: S608


@pytest.mark.parametrize(
    "busy",
    [
        "SELECT 1 FROM delivery WHERE event_id = :id FOR NO KEY UPDATE",
        "SELECT 1 FROM event WHERE id = :id FOR KEY SHARE",
    ],
)
async def test_forgetting_waits_for_nobody(
    post: Post, receiver: Receiver, busy: str
) -> None:
    await post.subscribe(receiver.url)
    await post.happen("one", "two")
    await post.deliver()
    await post.bench.execute("UPDATE event SET created_at = now() - interval '31 days'")
    first = await post.bench.scalar("SELECT min(id) FROM event")

    async with post.parts.db.begin() as connection:
        await connection.execute(text(busy), {"id": first})
        async with asyncio.timeout(20):
            assert await purge_messages(post.parts) == 1
    left = await post.bench.rows("SELECT event_id FROM delivery")

    assert [row.event_id for row in left] == [first]
    assert await purge_messages(post.parts) == 1


async def test_a_result_locks_its_delivery_before_its_attempt(
    post: Post, receiver: Receiver
) -> None:
    reached, answered = asyncio.Event(), asyncio.Event()

    async def slow(request: Received) -> bytes:
        reached.set()
        await answered.wait()
        return await fine(request)

    receiver.react = slow
    await post.subscribe(receiver.url)
    await post.happen()
    await publish(post.parts)
    [to] = await post.due()
    sending = asyncio.create_task(deliver(post.courier, to))
    await reached.wait()
    async with post.parts.db.begin() as connection:
        await connection.execute(text("SELECT 1 FROM delivery FOR UPDATE"))
        answered.set()
        while not await post.bench.scalar(WAITING):  # noqa: ASYNC110  # the database knows
            await asyncio.sleep(0.01)
        await connection.execute(
            text("SELECT 1 FROM delivery_attempt FOR UPDATE NOWAIT")
        )
    await sending

    assert await post.states() == ["delivered"]


def sent(receiver: Receiver) -> dict[str, Any]:
    """The payloads by type."""
    bodies = [json.loads(one.body) for one in receiver.received]
    assert len({one["event_type"] for one in bodies}) == len(bodies)
    return {one["event_type"]: one for one in bodies}


async def test_a_job_tells_of_its_states_with_true_counts(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url, *EVERY_SYNC_EVENT)
    bench = post.bench

    async def items(_: Any) -> Any:
        yield ScopeStart()
        for name in "abc":
            yield thing(name, "words " * 600)
        yield Failure(Ref("Thing", "d"), "broken")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()
    chunks = await bench.scalar("SELECT sum(chunk_count) FROM entity")
    await post.deliver()

    told = sent(receiver)
    assert {*told} == {"sync.pending", "sync.running", "sync.completed"}
    completed = told["sync.completed"]
    assert completed.pop("timestamp").endswith("Z")
    assert chunks > 3
    assert completed == {
        "event_type": "sync.completed",
        "organization_id": str(bench.organization_id),
        "sync_id": str(bench.connection_id),
        "sync_job_id": str(job.id),
        "source_connection_id": str(bench.connection_id),
        "collection_id": str(bench.collection_id),
        "collection_name": "Test",
        "collection_readable_id": "test",
        "source_type": "scripted",
        "entities_inserted": 3,
        "entities_updated": 0,
        "entities_deleted": 0,
        "entities_skipped": 1,
        "chunks_written": chunks,
        "error": None,
    }
    assert {*told["sync.pending"]} == {*completed, "timestamp"}
    assert told["sync.pending"]["chunks_written"] == 0


async def test_only_what_a_job_wrote_itself_counts_as_written(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url, "sync.completed")
    bench = post.bench
    bench.script.items = listing(*(thing(name, "words " * 600) for name in "abc"))
    await bench.sync()
    await post.deliver()
    receiver.received.clear()

    bench.script.items = listing(
        thing("a", "other"), *(thing(n, "words " * 600) for n in "bc")
    )
    await bench.sync()
    await post.deliver()

    told = sent(receiver)["sync.completed"]
    assert told["chunks_written"] == 1
    assert (told["entities_inserted"], told["entities_updated"]) == (0, 1)


async def test_cancelling_a_waiting_job_is_told(post: Post, receiver: Receiver) -> None:
    await post.subscribe(receiver.url, *EVERY_SYNC_EVENT)
    await post.bench.cancel(await post.bench.start())
    await post.deliver()

    assert {*sent(receiver)} == {"sync.pending", "sync.cancelled"}


async def test_cancelling_a_running_job_is_told_twice(
    post: Post, receiver: Receiver
) -> None:
    await post.subscribe(receiver.url, "sync.cancelling", "sync.cancelled")
    bench = post.bench

    async def items(_: Any) -> Any:
        yield ScopeStart()
        yield thing("a")
        await bench.cancel(job)
        yield thing("b")
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.start()
    ended = await bench.run(job)
    await post.deliver()

    assert ended.status is JobStatus.CANCELLED
    assert {*sent(receiver)} == {"sync.cancelling", "sync.cancelled"}


async def test_a_failed_job_tells_why(post: Post, receiver: Receiver) -> None:
    await post.subscribe(receiver.url, "sync.failed")

    async def items(_: Any) -> Any:
        yield ScopeStart()
        raise ValueError("the source is upside down")

    post.bench.script.items = items
    await post.bench.sync()
    await post.deliver()

    assert "upside down" in sent(receiver)["sync.failed"]["error"]


async def test_events_of_others_are_not_told(post: Post, receiver: Receiver) -> None:
    await post.subscribe(receiver.url)
    async with post.parts.db.begin() as connection:
        await write_event(
            connection,
            uuid4(),
            EventType.COLLECTION_CREATED,
            {},
            post.parts.clock.now(),
        )
    await post.deliver()

    assert receiver.received == []


async def test_an_endpoint_mended_during_its_last_failure_is_not_switched_off(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    post.courier = replace(post.courier, schedule=())
    await post.bench.execute(
        "UPDATE subscription SET failing_since = now() - interval '9 days'"
    )

    async def fail_while_it_is_mended(_: Received) -> bytes:
        await webhooks.change_subscription(
            post.parts,
            post.bench.organization_id,
            subscription,
            {"url": f"{receiver.url}/mended"},
        )
        return answer(500)

    receiver.react = fail_while_it_is_mended
    await post.happen()
    await post.deliver()

    found = (await post.detail(subscription)).subscription
    assert (found.disabled, found.failing_since) == (False, None)


async def test_two_publishers_queue_endpoints_in_the_same_order(
    post: Post, receiver: Receiver
) -> None:
    for _ in range(6):
        await post.subscribe(receiver.url)
    await post.happen("one", "two")
    async with post.parts.db.begin() as connection:
        found = await fan_out(connection, at=post.parts.clock.now(), limit=9)
    low, high = min(found.subscriptions), max(found.subscriptions)
    has_low = asyncio.Event()

    async def upwards() -> None:
        async with post.parts.db.begin() as connection:
            await post.parts.engine.defer(connection, Task.DELIVER, low)
            has_low.set()
            await asyncio.sleep(0.3)
            await post.parts.engine.defer(connection, Task.DELIVER, high)

    async def all_of_them() -> None:
        await has_low.wait()
        async with post.parts.db.begin() as connection:
            await outbox.queue(
                post.parts, connection, sorted(found.subscriptions, reverse=True)
            )

    await asyncio.gather(upwards(), all_of_them())


async def test_recovering_and_publishing_the_same_message_do_not_block_each_other(
    post: Post, receiver: Receiver
) -> None:
    subscription = await post.subscribe(receiver.url)
    await post.happen()
    one_event = "SELECT id FROM event WHERE event_type = 'collection.created'"
    event_id = await post.bench.scalar(one_event)
    ident = await post.bench.scalar("SELECT id FROM subscription")
    since = post.parts.clock.now() - timedelta(days=1)

    async with post.parts.db.begin() as connection:
        await connection.execute(text(f"{one_event} FOR UPDATE"))
        recovering = asyncio.create_task(post.recover(subscription, since=since))
        await asyncio.sleep(0.5)  # it waits for the event
        await connection.execute(
            text(
                "INSERT INTO delivery (event_id, subscription_id, next_attempt_at)"
                " VALUES (:e, :s, now()) ON CONFLICT DO NOTHING"
            ),
            {"e": event_id, "s": ident},
        )

    assert await recovering in (0, 1)
    await post.deliver()
    assert await post.states() == ["delivered"]
