"""What is asked of a connection's failures, well and badly."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert

from wellhead.domain.entities import entity_key
from wellhead.domain.errors import FailureStage
from wellhead.services.parts import Parts
from wellhead.store.schema import failure


async def quarantine(parts: Parts, connection_id: str, *source_ids: str) -> None:
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        await connection.execute(
            insert(failure),
            [
                {
                    "connection_id": UUID(connection_id),
                    "entity_key": entity_key("File", one),
                    "scope": "",
                    "type": "File",
                    "source_id": one,
                    "source_version": "1",
                    "pipeline_fingerprint": "f",
                    "stage": "convert",
                    "class": "permanent",
                    "attempts": 1,
                    "error": "encrypted",
                    "first_failed_at": now,
                    "failed_at": now,
                    "job_id": uuid4(),
                }
                for one in source_ids
            ],
        )


async def test_a_connection_without_failures_has_an_empty_list(
    given: Any, client: Any
) -> None:
    made = await given.connection()

    answer = await client.get(f"/source-connections/{made['id']}/failures/")

    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["X-Total-Count"] == "0"
    assert "link" not in answer.headers


async def test_a_failure_belongs_to_one_connection(
    given: Any, client: Any, parts: Parts
) -> None:
    one = await given.connection()
    other = await given.connection()
    await quarantine(parts, one["id"], "a.pdf")
    path = f"/source-connections/{other['id']}/failures"

    assert (await client.get(path)).json() == []
    asked = (await client.post(f"{path}/retry", json={"source_ids": ["a.pdf"]})).json()
    assert (asked["entities"], asked["not_found"]) == (0, ["a.pdf"])


async def test_another_organization_sees_and_retries_nothing(
    given: Any, client: Any, stranger: httpx.AsyncClient, parts: Parts
) -> None:
    made = await given.connection(sync_immediately=False)
    await quarantine(parts, made["id"], "a.pdf")

    for one, ident in ((stranger, made["id"]), (client, str(uuid4()))):
        for answer in (
            await one.get(f"/source-connections/{ident}/failures"),
            await one.post(f"/source-connections/{ident}/failures/retry"),
            await one.post(
                f"/source-connections/{ident}/run", params={"confirm_deletes": 1}
            ),
        ):
            assert answer.status_code == 404
            assert answer.json() == {"detail": "SourceConnection not found"}
    [shown] = (await client.get(f"/source-connections/{made['id']}/failures")).json()
    assert shown["next_retry_at"] is None
    assert (await client.get(f"/source-connections/{made['id']}/jobs")).json() == []


async def test_a_deleted_connection_has_no_failures(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection()
    await quarantine(parts, made["id"], "a.pdf")
    path = f"/source-connections/{made['id']}"
    await client.delete(path)

    assert (await client.get(f"{path}/failures")).status_code == 404
    assert (await client.post(f"{path}/failures/retry")).status_code == 404


async def test_without_a_key_nothing_is_told(anyone: Any) -> None:
    path = f"/source-connections/{uuid4()}/failures"

    assert (await anyone.get(path)).status_code == 401
    assert (await anyone.post(f"{path}/retry")).status_code == 401


BAD_PARAMETERS: list[Any] = [
    ({"limit": 0}, "query.limit"),
    ({"limit": 1001}, "query.limit"),
    ({"after": "x"}, "query.after"),
    ({"after": "0" * 31 + "\x00"}, "query.after"),
    ({"stage": "READ"}, "query.stage"),
    ({"class": "forever"}, "query.class"),
]


async def test_a_bad_parameter_is_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for params, where in BAD_PARAMETERS:
        with subtests.test(params=params):
            answer = await client.get(
                f"/source-connections/{uuid4()}/failures", params=params
            )

            assert answer.status_code == 422
            assert [list(one) for one in answer.json()["errors"]] == [[where]]


BAD_BODIES: list[Any] = [
    ({"source_ids": []}, "body.source_ids"),
    ({"source_ids": [""]}, "body.source_ids.0"),
    ({"source_ids": ["a", "nul \x00 byte"]}, "body.source_ids.1"),
    ({"source_ids": ["lone \ud800 surrogate"]}, "body.source_ids.0"),
    ({"source_ids": ["a"] * 1001}, "body.source_ids"),
    ({"source_ids": "a"}, "body.source_ids"),
    ({"source_ids": [7]}, "body.source_ids.0"),
    ({"stage": "reading"}, "body.stage"),
    ({"class": "forever"}, "body.class"),
    ({"stages": "read"}, "body.stages"),
    (["a"], "body"),
]


async def test_a_bad_body_retries_nothing_and_names_what_is_wrong(
    given: Any, client: Any, parts: Parts, subtests: pytest.Subtests
) -> None:
    made = await given.connection(sync_immediately=False)
    await quarantine(parts, made["id"], "a")
    path = f"/source-connections/{made['id']}"
    for body, where in BAD_BODIES:
        with subtests.test(body=str(body)[:40]):
            answer = await client.post(
                f"{path}/failures/retry",
                content=json.dumps(body),
                headers={"content-type": "application/json"},
            )

            assert answer.status_code == 422
            assert [list(one) for one in answer.json()["errors"]] == [[where]]
    assert (await client.get(f"{path}/jobs")).json() == []


async def test_what_is_retried_is_chosen_as_what_is_listed(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection(sync_immediately=False)
    await quarantine(parts, made["id"], "a.pdf", "b.pdf")
    path = f"/source-connections/{made['id']}/failures"
    [shown, _] = (await client.get(path)).json()
    other = next(one for one in FailureStage if one != shown["stage"])

    for params, body, entities in (
        ({"stage": other}, None, 0),
        ({"class": "transient"}, None, 0),
        ({"stage": other}, {"source_ids": ["a.pdf"]}, 0),
        ({"class": shown["class"]}, {"source_ids": ["a.pdf"]}, 1),
        ({"stage": other}, {"stage": shown["stage"]}, 2),
        ({"stage": shown["stage"], "class": shown["class"]}, {"stage": None}, 2),
    ):
        asked = await client.post(f"{path}/retry", params=params, json=body)
        assert asked.json()["entities"] == entities, (params, body)
    refused = await client.post(f"{path}/retry", params={"stage": "READ"})
    assert [list(one) for one in refused.json()["errors"]] == [["query.stage"]]


async def test_asking_twice_starts_one_job(
    given: Any, client: Any, parts: Parts, set_job: Any
) -> None:
    made = await given.connection(sync_immediately=False)
    await quarantine(parts, made["id"], "a.pdf", "b.pdf")
    path = f"/source-connections/{made['id']}/failures/retry"

    first = (await client.post(path)).json()
    second = (await client.post(path, json={"class": "permanent"})).json()

    assert (first["entities"], first["is_started"]) == (2, True)
    assert first["job"]["status"] == "pending"
    assert second == {**first, "is_started": False}
    await set_job(first["job"]["id"], status="running", started_at=parts.clock.now())
    third = (await client.post(path)).json()
    assert (third["entities"], third["retried_in"]) == (2, "next_job")
    assert third["job"]["status"] == "running"


async def test_of_many_who_ask_at_once_one_starts_the_job(
    given: Any, client: Any, parts: Parts
) -> None:
    made = await given.connection(sync_immediately=False)
    await quarantine(parts, made["id"], "a.pdf")
    path = f"/source-connections/{made['id']}/failures/retry"

    answers = await asyncio.gather(*(client.post(path) for _ in range(4)))

    told = [one.json() for one in answers]
    assert [one.status_code for one in answers] == [200] * 4
    assert sorted(one["is_started"] for one in told) == [False, False, False, True]
    assert len({one["job"]["id"] for one in told}) == 1
