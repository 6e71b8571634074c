"""Collections over HTTP."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from wellhead.services.parts import Parts
from wellhead.store.schema import source_connection
from wellhead.store.schema_webhooks import event


async def test_a_new_collection_needs_a_source(given: Any, client: Any) -> None:
    made = await given.collection("My First_Collection (v2)")

    assert re.fullmatch(r"my-firstcollection-v2-[a-z0-9]{6}", made["readable_id"])
    assert made["status"] == "NEEDS SOURCE"
    assert made["vector_size"] == 384
    assert made["created_at"] == "2026-01-02T03:04:05Z"
    assert (await client.get(f"/collections/{made['readable_id']}")).json() == made


async def test_a_name_is_kept_without_the_spaces_around_it(
    given: Any, client: Any
) -> None:
    longest = "x" * 64
    made = await given.collection(f" {longest} ")

    renamed = await client.patch(
        f"/collections/{made['readable_id']}", json={"name": " Four "}
    )
    refused = await client.patch(
        f"/collections/{made['readable_id']}", json={"name": "    "}
    )

    assert made["name"] == longest
    assert renamed.json()["name"] == "Four"
    assert renamed.json()["readable_id"] == made["readable_id"]
    assert refused.status_code == 422


async def test_a_taken_readable_id_is_refused(given: Any, client: Any) -> None:
    await given.collection(readable_id="mine")

    response = await client.post(
        "/collections", json={"name": "Mine too", "readable_id": "mine"}
    )

    assert response.status_code == 400
    assert response.json() == {
        "detail": "Collection with readable_id 'mine' already exists"
    }


async def test_lists_are_newest_first_and_can_be_searched(
    given: Any, client: Any, still_clock: Any
) -> None:
    for name in ("Alpha one", "Beta 100%", "Alpha two"):
        await given.collection(name)
        still_clock.at += timedelta(seconds=1)

    async def names(**params: Any) -> list[str]:
        response = await client.get("/collections/", params=params)
        return [one["name"] for one in response.json()]

    assert await names() == ["Alpha two", "Beta 100%", "Alpha one"]
    assert await names(search="ALPHA") == ["Alpha two", "Alpha one"]
    assert await names(search="%") == ["Beta 100%"]
    assert await names(skip=1, limit=1) == ["Beta 100%"]
    count = await client.get("/collections/count", params={"search": "alpha"})
    assert count.json() == 2


async def test_a_patch_changes_the_name_and_an_empty_one_nothing(
    given: Any, client: Any, still_clock: Any
) -> None:
    made = await given.collection(readable_id="mine")
    still_clock.at += timedelta(hours=1)

    unchanged = await client.patch("/collections/mine", json={})
    changed = await client.patch(
        "/collections/mine",
        json={"name": "Renamed", "sync_config": {"cursor": {"skip_load": True}}},
    )

    assert unchanged.json() == made
    assert changed.json()["name"] == "Renamed"
    assert changed.json()["sync_config"]["cursor"]["skip_load"] is True
    assert changed.json()["modified_at"] > made["modified_at"]


async def test_a_patch_that_says_what_is_so_already_changes_nothing(
    given: Any, client: Any, parts: Parts, still_clock: Any
) -> None:
    made = await given.collection(
        readable_id="mine", sync_config={"cursor": {"skip_load": True}}
    )
    same = {"name": made["name"], "sync_config": made["sync_config"]}
    still_clock.at += timedelta(hours=1)

    for body in (same, {"name": None}, {"name": None, **same}):
        unchanged = await client.patch("/collections/mine", json=body)

        assert unchanged.json() == made
    async with parts.db.connect() as connection:
        told = await connection.scalar(
            text("SELECT count(*) FROM event WHERE event_type = 'collection.updated'")
        )
    assert told == 0


async def test_the_status_follows_the_connections(
    given: Any, client: Any, set_job: Any
) -> None:
    connection = await given.connection()
    readable_id = connection["readable_collection_id"]
    job_id = connection["sync"]["last_job"]["id"]

    async def status() -> str:
        response = await client.get(f"/collections/{readable_id}")
        return str(response.json()["status"])

    assert await status() == "NEEDS SOURCE"
    await set_job(job_id, status="completed")
    assert await status() == "ACTIVE"
    await set_job(job_id, status="failed", error="boom")
    assert await status() == "ERROR"
    [listed] = (await client.get("/collections")).json()
    assert listed["source_connection_summaries"] == [
        {"short_name": "stub", "name": connection["name"]}
    ]
    alone = (await client.get(f"/collections/{readable_id}")).json()
    assert alone["source_connection_summaries"] == []


async def test_a_deleted_collection_is_gone_with_its_connections(
    given: Any, client: httpx.AsyncClient, parts: Parts
) -> None:
    await given.collection(readable_id="mine")
    connection = await given.connection(readable_collection_id="mine")
    path = f"/source-connections/{connection['id']}"

    deleted = await client.delete("/collections/mine")

    assert deleted.status_code == 200
    assert deleted.json()["readable_id"] == "mine"
    for gone in (
        await client.get("/collections/mine"),
        await client.delete("/collections/mine"),
        await client.get(path),
        await client.post(f"{path}/run"),
        await client.get(f"{path}/jobs"),
    ):
        assert gone.status_code == 404
    async with parts.db.connect() as db:
        rows = await db.execute(select(source_connection.c.is_deleting))
        told = await db.execute(select(event.c.event_type).order_by(event.c.id))
        tasks = await db.exec_driver_sql("SELECT task_name FROM procrastinate_jobs")
    assert rows.scalars().all() == [True]
    assert told.scalars().all()[-1] == "collection.deleted"
    assert {"purge_connection", "drop_collection"} <= set(tasks.scalars())


async def test_the_connections_of_a_deleted_collection_are_purged_side_by_side(
    given: Any, client: httpx.AsyncClient, parts: Parts, set_job: Any
) -> None:
    await given.collection(readable_id="mine")
    made = [await given.connection(readable_collection_id="mine") for _ in range(3)]
    await set_job(made[1]["sync"]["last_job"]["id"], status="running")
    await set_job(made[2]["sync"]["last_job"]["id"], status="completed")
    async with parts.db.connect() as db:
        before = await db.scalar(select(func.max(event.c.id)))

    deleted = await client.delete("/collections/mine")

    assert deleted.json()["status"] == "ACTIVE"
    assert deleted.json()["source_connection_summaries"] == []
    async with parts.db.connect() as db:
        told = await db.execute(
            select(event.c.event_type).where(event.c.id > before).order_by(event.c.id)
        )
        tasks = await db.exec_driver_sql(
            "SELECT args->>'subject' FROM procrastinate_jobs"
            " WHERE task_name = 'purge_connection' AND status = 'todo'"
            " AND lock IS NULL AND scheduled_at IS NULL"
        )
    # nothing is told of each connection: the contract has one event for all
    assert sorted(told.scalars()) == [
        "collection.deleted",
        "sync.cancelled",
        "sync.cancelling",
    ]
    assert sorted(tasks.scalars()) == sorted(one["id"] for one in made)


async def test_the_readable_id_of_a_deleted_collection_is_free_at_once(
    given: Any, client: Any
) -> None:
    first = await given.collection(readable_id="mine")
    await client.delete("/collections/mine")

    second = await given.collection(readable_id="mine")

    assert second["id"] != first["id"]


async def test_collections_of_others_are_not_found(
    given: Any, stranger: httpx.AsyncClient
) -> None:
    await given.collection(readable_id="mine")

    for response in (
        await stranger.get("/collections/mine"),
        await stranger.patch("/collections/mine", json={"name": "Stolen"}),
        await stranger.delete("/collections/mine"),
    ):
        assert response.status_code == 404
        assert response.json() == {"detail": "Collection not found"}
    assert (await stranger.get("/collections")).json() == []
    taken = await stranger.post(
        "/collections", json={"name": "Mine", "readable_id": "mine"}
    )
    assert taken.status_code == 400


BAD_COLLECTIONS: list[Any] = [
    ({}, "body.name"),
    ({"name": None}, "body.name"),
    ({"name": "abc"}, "body.name"),
    ({"name": 12345}, "body.name"),
    ({"name": "x" * 65}, "body.name"),
    ({"name": "    "}, "body.name"),
    ({"name": " abc "}, "body.name"),
    ({"name": "Fine", "readable_id": "-fine"}, "body.readable_id"),
    ({"name": "Fine", "readable_id": "fine_1"}, "body.readable_id"),
    ({"name": "Fine", "readable_id": "Not Fine"}, "body.readable_id"),
    ({"name": "Fine", "sync_config": 1}, "body.sync_config"),
]


async def test_a_bad_collection_names_the_field(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for body, where in BAD_COLLECTIONS:
        with subtests.test(body=body, where=where):
            response = await client.post("/collections", json=body)

            assert response.status_code == 422
            assert [list(one) for one in response.json()["errors"]] == [[where]]
            assert response.json()["detail"][0]["loc"] == where.split(".")
