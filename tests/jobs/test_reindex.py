"""What was cut otherwise is read anew when that is asked for, and not before."""

from dataclasses import replace

from tests.bench import Bench

from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.embed.null import NullEmbedder
from wellhead.services.reindex import cost_of, reindex

LONG = "content " + "words and more words. " * 100


class Wide(NullEmbedder):
    """Reads longer passages."""

    chunk_characters = 1_500


class Counting(Wide):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def embed(self, texts) -> memoryview:
        self.texts += texts
        return await super().embed(texts)


async def test_the_cost_is_told_first_and_then_everything_is_cut_anew(
    bench: Bench,
) -> None:
    bench.script.world = {"short": "content", "long": LONG}
    await bench.sync()
    assert (await cost_of(bench.parts)).connections == []
    before = await bench.scalar("SELECT chunk_count FROM entity WHERE source_id='long'")
    wide = Counting()
    bench.parts = replace(bench.parts, embedder=wide)
    bench.desk = replace(bench.desk, parts=bench.parts)
    assert (await bench.sync()).counts.kept == 2, "nothing is done by itself"

    cost = await cost_of(bench.parts)
    assert (cost.entities, cost.passages) == (2, before + 1)
    assert await bench.found("content") == {"short", "long"}
    [job_id] = await reindex(bench.parts, cost)
    assert await bench.found("content") == {"short", "long"}, "shown until rewritten"
    done = await bench.run(await bench.job(job_id))

    assert (done.status, done.mode) == (JobStatus.COMPLETED, JobMode.FULL)
    assert done.counts.updated == 2
    after = await bench.scalar("SELECT chunk_count FROM entity WHERE source_id='long'")
    assert after < before
    assert len(wide.texts) == after + 1, "no vector of before was used again"
    assert (await cost_of(bench.parts)).entities == 0
    assert await bench.found("content") == {"short", "long"}


async def test_an_open_job_is_not_in_the_way(bench: Bench) -> None:
    bench.script.world = {"short": "content", "long": LONG}
    await bench.sync()
    bench.parts = replace(bench.parts, embedder=Wide())
    bench.desk = replace(bench.desk, parts=bench.parts)
    open_job = await bench.start()

    assert await reindex(bench.parts, await cost_of(bench.parts)) == []
    done = await bench.run(open_job)

    assert done.counts.updated == 2
    assert (await cost_of(bench.parts)).entities == 0
