"""Whole jobs with an embedder behind HTTP that stumbles."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from tests.bench import Bench, thing
from tests.scripted_embedder import DIMENSION, ScriptedEmbedder, embedding, refuses

from wellhead.domain.items import Item, Ref, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.embed import remote
from wellhead.embed.names import RemoteModel
from wellhead.embed.remote import Access, RemoteEmbedder


@pytest.fixture
async def server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScriptedEmbedder]:
    """The bench's collection belongs to a remote embedder that answers."""
    monkeypatch.setattr(remote, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(remote, "LONGEST_WAIT_SECONDS", 0.05)
    async with embedding(refused="poison") as server:
        embedder = RemoteEmbedder(
            RemoteModel("openai", "m-1", DIMENSION), Access(url=server.url, key="k")
        )
        bench.parts = replace(bench.parts, embedder=embedder)
        bench.desk = replace(bench.desk, parts=bench.parts)
        async with bench.parts.db.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE collection SET embedding_model_name = 'openai:m-1',"
                    " vector_size = :d"
                ),
                {"d": DIMENSION},
            )
        yield server
        await embedder.close()


async def test_a_refused_text_costs_its_entity_and_nobody_else(
    bench: Bench, server: ScriptedEmbedder
) -> None:
    bench.script.world = {f"{n:03}": f"content number {n}" for n in range(300)}
    bench.script.world |= {"bad": "content that is poison", "worse": "more poison"}

    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.inserted, job.counts.failed) == (300, 2)
    failures = (job.error_details or {})["failures"]
    assert {(one["source_id"], one["stage"]) for one in failures} == {
        ("bad", "embed"),
        ("worse", "embed"),
    }
    assert "openai:m-1 answered 400" in failures[0]["reason"]
    assert await bench.found("content") == {f"{n:03}" for n in range(300)}
    assert set(Counter(server.answered).values()) == {1}, "a text was paid twice"


async def test_what_was_refused_for_good_is_not_asked_for_again(
    bench: Bench, server: ScriptedEmbedder
) -> None:
    async def items(_: Any) -> AsyncIterator[Item]:
        for name, said in bench.script.world.items():
            yield Upsert(replace(thing(name, said), source_version=said))

    bench.script.items = items
    bench.script.world = {"good": "content", "bad": "poison"}
    await bench.sync()
    server.asked.clear()

    again = await bench.sync()

    assert (again.counts.failed, server.asked) == (0, [])
    bench.script.world["bad"] = "content that was mended"
    mended = await bench.sync()
    assert mended.counts.inserted == 1
    assert await bench.found("content") == {"good", "bad"}


async def test_a_text_on_which_the_server_fails_in_passing_is_tried_again(
    bench: Bench, server: ScriptedEmbedder
) -> None:
    async def fetched(refs: Sequence[Ref]) -> AsyncIterator[Item]:
        server.refused = "\0"  # it has recovered
        for ref in refs:
            yield Upsert(thing(ref.source_id, bench.script.world[ref.source_id]))

    server.refusal = 500
    bench.script.fetched = fetched
    bench.script.world = {f"{n:03}": f"content number {n}" for n in range(20)}
    bench.script.world["bad"] = "content that is poison"

    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED
    assert (job.counts.inserted, job.counts.failed) == (21, 0)


async def test_a_server_that_stays_away_fails_the_job_and_loses_nothing(
    bench: Bench, server: ScriptedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script.world = {"one": "content at first"}
    await bench.sync()
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.2)
    server.troubles = itertools.repeat(refuses(503))
    bench.script.world = {"two": "content that is new"}

    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "openai:m-1 answered 503" in str(job.error)
    assert await bench.found("content") == {"one"}
    server.troubles = iter(())
    assert (await bench.sync()).status is JobStatus.COMPLETED
    assert await bench.found("content") == {"two"}


async def test_a_wrong_dimension_fails_the_job_and_says_what_to_set(
    bench: Bench, server: ScriptedEmbedder
) -> None:
    server.dimension = 12
    bench.script.world = {"one": "content"}

    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "set WELLHEAD_EMBEDDER_DIMENSION to 12" in str(job.error)
    assert await bench.stored_versions() == {}
