"""Entities by type, as consoles ask for them; and whether a server is ready."""

from typing import Any

import httpx


async def test_entities_are_counted_by_type(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    given: Any,
    put_entity: Any,
) -> None:
    made = await given.connection()
    for name, kind in (("a", "Note"), ("b", "Note"), ("c", "File")):
        await put_entity(made["id"], name, "text", entity_type=kind)

    path = f"/entity-counts/syncs/{made['sync_id']}"
    counts = (await client.get(f"{path}/counts")).json()
    total = (await client.get(f"{path}/total-count")).json()

    assert [(one["entity_definition_name"], one["count"]) for one in counts] == [
        ("File", 1),
        ("Note", 2),
    ]
    assert total == 3
    assert (await stranger.get(f"{path}/counts")).status_code == 404
    assert (await stranger.get(f"{path}/total-count")).status_code == 404


async def test_types_of_a_source_are_told_to_anyone(anyone: httpx.AsyncClient) -> None:
    for path in ("by-source", "by-source/"):
        found = await anyone.get(
            f"/entities/definitions/{path}", params={"source_short_name": "stub"}
        )
        assert "SmallStubEntity" in [one["name"] for one in found.json()]

    unknown = await anyone.get(
        "/entities/definitions/by-source", params={"source_short_name": "none"}
    )
    assert unknown.status_code == 404
    assert unknown.json() == {"detail": "Source not found: none"}


async def test_readiness_names_what_is_not_used(anyone: httpx.AsyncClient) -> None:
    told = (await anyone.get("/health/ready")).json()

    skipped = {"status": "skipped", "latency_ms": None, "error": None}
    assert told["status"] == "ready"
    assert told["checks"].pop("postgres")["status"] == "up"
    assert told["checks"] == {"redis": skipped, "temporal": skipped}
