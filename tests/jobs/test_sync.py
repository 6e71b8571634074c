"""What one job after another does to the ledger and the index."""

from wellhead.domain.jobs import JobStatus


async def test_a_first_job_inserts_everything(bench) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}

    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert (job.counts.inserted, job.counts.updated, job.counts.deleted) == (2, 0, 0)
    assert await bench.world() == {"a": "content one", "b": "content two"}
    assert await bench.scalar("SELECT count(*) FROM intent") == 0
    assert await bench.scalar("SELECT count(*) FROM job_change") == 0


async def test_later_jobs_count_what_changed(bench) -> None:
    bench.script.world = {"a": "content one", "b": "content two", "c": "content three"}
    await bench.sync()
    bench.script.world = {
        "a": "content one",
        "b": "content changed",
        "d": "content new",
    }

    job = await bench.sync()

    assert (job.counts.inserted, job.counts.updated, job.counts.deleted) == (1, 1, 1)
    assert job.counts.kept == 1
    assert await bench.world() == bench.script.world


async def test_nothing_changed_writes_nothing(bench) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(50)}
    await bench.sync()
    versions = await bench.stored_versions()

    job = await bench.sync()

    assert (job.counts.inserted, job.counts.updated, job.counts.deleted) == (0, 0, 0)
    assert job.counts.kept == 50
    assert await bench.stored_versions() == versions
