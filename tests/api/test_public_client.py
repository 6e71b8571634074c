"""The public Python client, unchanged, against this server."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from airweave import AsyncAirweaveSDK, DirectAuthentication
from airweave.errors import ConflictError, NotFoundError, UnprocessableEntityError

BASE_URL = "http://wellhead"


@pytest.fixture
async def sdk(app: Any, key: str) -> AsyncIterator[AsyncAirweaveSDK]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as wire:
        yield AsyncAirweaveSDK(api_key=key, base_url=BASE_URL, httpx_client=wire)


async def _connected(sdk: AsyncAirweaveSDK, **more: Any) -> Any:
    collection = await sdk.collections.create(name="Through the client")
    return await sdk.source_connections.create(
        short_name="stub",
        readable_collection_id=collection.readable_id,
        authentication=DirectAuthentication(credentials={"stub_key": "stub"}),
        **more,
    )


async def test_it_walks_through_collections(sdk: AsyncAirweaveSDK) -> None:
    made = await sdk.collections.create(name="First one")
    assert made.status == "NEEDS SOURCE"

    renamed = await sdk.collections.update(made.readable_id, name="Renamed")
    assert renamed.name == "Renamed"
    assert [one.id for one in await sdk.collections.list(search="renam")] == [made.id]
    assert (await sdk.collections.get(made.readable_id)).id == made.id
    assert (await sdk.collections.delete(made.readable_id)).id == made.id
    with pytest.raises(NotFoundError):
        await sdk.collections.get(made.readable_id)


async def test_it_reads_the_catalogue(sdk: AsyncAirweaveSDK) -> None:
    listed = await sdk.sources.list()
    stub = await sdk.sources.get("stub")

    assert stub.short_name in [one.short_name for one in listed]
    assert stub.config_fields.fields


async def test_it_walks_through_connections_and_jobs(
    sdk: AsyncAirweaveSDK, set_job: Any
) -> None:
    made = await _connected(sdk, config={"entity_count": 2})
    [job] = await sdk.source_connections.get_source_connection_jobs(made.id)
    assert (job.status, job.entities_inserted) == ("pending", 0)
    with pytest.raises(ConflictError) as refused:
        await sdk.source_connections.run(made.id)
    assert "already pending" in str(refused.value)

    cancelled = await sdk.source_connections.cancel_job(made.id, job.id)
    assert cancelled.status == "cancelled"
    with pytest.raises(ConflictError):
        await sdk.source_connections.cancel_job(made.id, job.id)

    second = await sdk.source_connections.run(made.id, force_full_sync=True)
    await set_job(second.id, status="failed", error="boom")
    newest, oldest = await sdk.source_connections.get_source_connection_jobs(made.id)
    assert (newest.id, newest.status, newest.error) == (second.id, "failed", "boom")
    assert oldest.id == job.id

    changed = await sdk.source_connections.update(made.id, name="Renamed stub")
    assert changed.name == "Renamed stub"
    assert changed.status == "error"
    [listed] = await sdk.source_connections.list(collection=made.readable_collection_id)
    assert listed.name == "Renamed stub"
    assert (await sdk.source_connections.get(made.id)).id == made.id
    assert (await sdk.source_connections.delete(made.id)).id == made.id
    with pytest.raises(NotFoundError):
        await sdk.source_connections.get(made.id)


async def test_it_understands_what_was_wrong(sdk: AsyncAirweaveSDK) -> None:
    with pytest.raises(UnprocessableEntityError):
        await sdk.collections.create(name="abc")
    with pytest.raises(UnprocessableEntityError):
        await _connected(sdk, config={"nope": 1})


async def test_it_searches(sdk: AsyncAirweaveSDK) -> None:
    made = await sdk.collections.create(name="Searched one")

    answer = await sdk.collections.search.instant(
        made.readable_id, query="anything", retrieval_strategy="hybrid", limit=5
    )

    assert answer.results == []
