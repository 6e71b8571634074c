"""The console before 10,000 connections and 1,000,000 jobs: each page in its time."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from tests.api.conftest import Given
from tests.api.console import browser_of, text_of

from wellhead.services.parts import Parts

CONNECTIONS, JOBS_EACH = 10_000, 100
MOST_CPU_SECONDS = 0.1
TRIES = 5

FILL = (
    """
    INSERT INTO source_connection (id, organization_id, collection_id, short_name,
      name, config, auth_method, created_at, modified_at)
    SELECT gen_random_uuid(), :o, :c, 'stub', 'Connection ' || n, '{}', 'direct',
      now() - n * interval '1 minute', now() FROM generate_series(1, :connections) n
    """,
    """
    INSERT INTO sync_job (id, sequence, organization_id, connection_id, status, mode,
      trigger, created_at, started_at, completed_at, inserted, error)
    SELECT gen_random_uuid(), n, :o, c.id,
      CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END, 'full', 'schedule',
      at, at, at + interval '3 seconds', n, CASE WHEN n % 50 = 0 THEN 'full disk' END
    FROM source_connection c CROSS JOIN generate_series(1, :jobs) n,
      LATERAL (SELECT now() - (:jobs - n) * interval '1 hour' AS at) AS moments
    WHERE c.name LIKE 'Connection %'
    """,
    """
    INSERT INTO entity (connection_id, entity_key, scope, type, source_id,
      content_hash, meta_hash, pipeline_fingerprint, version, chunk_count, updated_by,
      seen_generation, committed_at, meta)
    SELECT c.id, decode(md5(n::text), 'hex'), '', 'Note', n::text, 'x', 'x', '1',
      n, 1, gen_random_uuid(), 1, now(), '{}'
    FROM source_connection c CROSS JOIN generate_series(1, 20) n
    """,
    """
    INSERT INTO event (organization_id, event_type, payload, created_at)
    SELECT j.organization_id, 'sync.' || j.status, jsonb_build_object('sync_job_id',
      j.id, 'source_connection_id', j.connection_id, 'entities_inserted', 1,
      'entities_updated', 0, 'entities_deleted', 0, 'entities_skipped', 0),
      j.completed_at FROM sync_job j WHERE sequence > 70 AND status <> 'pending'
    """,
    "ANALYZE",
)


@pytest.mark.soak
async def test_pages_cost_little_however_much_there_is(
    app: Any, parts: Parts, given: Given, key: str, tell: Callable[[str], None]
) -> None:
    collection = await given.collection()
    one = await given.connection(readable_collection_id=collection["readable_id"])
    values = {
        "o": UUID(collection["organization_id"]),
        "c": UUID(collection["id"]),
        "connections": CONNECTIONS,
        "jobs": JOBS_EACH,
    }
    async with parts.db.begin() as connection:
        for statement in FILL:
            await connection.execute(text(statement), values)
        busiest = await connection.scalar(
            text("SELECT id FROM source_connection WHERE name = 'Connection 5000'")
        )
    lines, slow = [], []

    async with browser_of(app, key) as browser:
        home = text_of(await browser.get("/"))
        for path in (
            *("/", "/connections", "/connections?state=failed", "/jobs", "/audit"),
            *(
                "/connections?state=attention&search=77",
                "/webhooks",
                "/keys",
                "/system",
            ),
            f"/connections/{busiest}/jobs",
            f"/connections/{busiest}",
            f"/jobs/{one['sync']['last_job']['id']}",
            f"/collections/{collection['readable_id']}",
        ):
            cpu, wall = [], []
            for _ in range(TRIES):
                began = time.process_time(), time.perf_counter()
                response = await browser.get(path)
                assert response.status_code == 200, text_of(response)
                cpu.append(time.process_time() - began[0])
                wall.append(time.perf_counter() - began[1])
            shown = path.replace(str(busiest), "ID")
            lines.append(
                f"{shown[:44]:44} {min(cpu) * 1000:6.1f} ms CPU"
                f" {min(wall) * 1000:7.1f} ms in all {len(response.content):>9,} bytes"
            )
            if min(cpu) > MOST_CPU_SECONDS:
                slow.append(lines[-1])

    tell("\n".join(lines))
    assert "10,001 Connections" in home
    assert not slow
