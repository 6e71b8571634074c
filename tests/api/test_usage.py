"""Usage, which here is told and never limited."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from wellhead.services.usage import month_of

ACTIONS = ["entities", "queries", "tokens", "source_connections", "team_members"]


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_action_is_allowed(client: httpx.AsyncClient, action: str) -> None:
    answer = await client.get(
        "/usage/check-action", params={"action": action, "amount": 9}
    )

    assert answer.json() == {
        "allowed": True,
        "action": action,
        "reason": None,
        "details": None,
    }


async def test_several_actions_are_checked_at_once(client: httpx.AsyncClient) -> None:
    body = {"actions": dict.fromkeys(ACTIONS, 1)}
    answer = (await client.post("/usage/check-actions/", json=body)).json()

    assert set(answer["results"]) == set(ACTIONS)
    assert all(one["allowed"] for one in answer["results"].values())


async def test_an_unknown_action_is_refused(client: httpx.AsyncClient) -> None:
    asked = await client.get("/usage/check-action", params={"action": "flying"})
    assert asked.status_code == 422
    body = {"actions": {"flying": 1}}
    answer = await client.post("/usage/check-actions", json=body)
    assert answer.status_code == 422


async def test_the_dashboard_tells_what_the_ledger_holds(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    given: Any,
    put_entity: Any,
    set_job: Any,
    still_clock: Any,
) -> None:
    made = await given.connection()
    await put_entity(made["id"], "one", "text")
    await put_entity(made["id"], "two", "text")
    await set_job(
        made["sync"]["last_job"]["id"],
        status="completed",
        started_at=still_clock.now(),
        inserted=3,
        deleted=1,
    )

    told = (await client.get("/usage/dashboard")).json()
    theirs = (await stranger.get("/usage/dashboard")).json()

    period = told["current_period"]
    assert (period["period_start"], period["period_end"]) == (
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    )
    usage = period["usage"]
    assert (usage["entities"], usage["source_connections"]) == (2, 1)
    assert usage["entities_synced"] == 4
    assert (usage["queries"], usage["max_entities"]) == (None, None)
    assert told["total_entities_all_time"] == 2
    assert theirs["total_entities_all_time"] == 0
    assert theirs["current_period"]["usage"]["source_connections"] == 0


def test_a_year_ends_in_december() -> None:
    december = month_of(datetime(2026, 12, 31, 23, tzinfo=UTC))

    assert december.begins == datetime(2026, 12, 1, tzinfo=UTC)
    assert december.ends == datetime(2027, 1, 1, tzinfo=UTC)
