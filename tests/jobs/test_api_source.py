"""Jobs of a source of an API: a real worker, a real server in the vendor's place."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import stamina
from tests.bench import Bench
from tests.vendors.github import TOKEN, Account

from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.services.parts import Parts
from wellhead.sources.connectors.github import GitHubSource
from wellhead.sources.registry import Registry
from wellhead.sources.testing.faults import Reply, Trouble, status
from wellhead.sources.testing.server import VendorServer
from wellhead.store import connections


class Hello:
    """A connection to the repository in memory."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.account = Account()
        self.trouble = Trouble()

    def respond(self, request: object) -> Reply:
        return self.trouble(request, self.account.answer(request))  # type: ignore[arg-type]


@pytest.fixture
async def hello(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hello]:
    found = Hello(bench)
    found.bench = replace(
        bench, desk=replace(bench.desk, parts=_with_all_sources(bench))
    )
    found.bench = replace(found.bench, parts=found.bench.desk.parts)
    await bench.configure("github", repo_name="octo/hello")
    async with bench.parts.db.begin() as connection:
        sealed = bench.parts.cipher.encrypt({"personal_access_token": TOKEN})
        await connections.save_credential(
            connection, bench.connection_id, sealed, at=bench.parts.clock.now()
        )
    async with VendorServer(found.respond) as server:
        local = replace(GitHubSource.api, base_url=f"http://127.0.0.1:{server.port}")
        monkeypatch.setattr(GitHubSource, "api", local)
        with stamina.set_testing(True, attempts=2):
            yield found


def _with_all_sources(bench: Bench) -> Parts:
    return replace(bench.parts, sources=Registry.load(include_demo=False))


async def test_what_was_said_is_found(hello: Hello) -> None:
    hello.account.add(5)
    hello.account.say(hello.account.issues[2], "It is the carburettor.")

    job = await hello.bench.sync()

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.FULL)
    assert job.counts.inserted == 6
    assert await hello.bench.found("carburettor") == {"2"}


async def test_the_next_job_asks_only_for_what_changed(hello: Hello) -> None:
    account = hello.account
    account.add(5)
    await hello.bench.sync()
    account.requests.clear()
    account.say(account.issues[1], "It is the gearbox.")

    job = await hello.bench.sync()

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert (job.counts.inserted, job.counts.updated) == (0, 1)
    assert await hello.bench.found("gearbox") == {"1"}
    asked = [one.url.path for one in account.requests if "comments" in one.url.path]
    assert asked == ["/repos/octo/hello/issues/1/comments"]


async def test_what_was_deleted_is_noticed_by_the_daily_comparison(
    hello: Hello,
) -> None:
    hello.account.add(5)
    await hello.bench.sync()
    gone = hello.account.remove()
    await hello.bench.execute(
        "UPDATE source_connection SET reconciled_at = now() - interval '25 hours'"
    )

    job = await hello.bench.sync()

    assert (job.status, job.mode) == (JobStatus.COMPLETED, JobMode.INCREMENTAL)
    assert job.counts.deleted == 1
    assert gone.source_id not in await hello.bench.found("should work")


async def test_a_revoked_token_fails_the_job_and_deletes_nothing(hello: Hello) -> None:
    hello.account.add(5)
    await hello.bench.sync()
    before = await hello.bench.found("should work")
    hello.trouble = Trouble(status(401), times=None)

    job = await hello.bench.sync(force_full=True)

    assert job.status is JobStatus.FAILED
    assert job.error_category == "api_key_invalid"
    assert job.error is not None
    assert TOKEN not in job.error
    assert await hello.bench.found("should work") == before


async def test_a_listing_that_breaks_off_deletes_nothing(
    hello: Hello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wellhead.sync.pipeline.SOURCE_WAIT_SECONDS", 0.01)
    hello.account.add(150)
    await hello.bench.sync()
    hello.trouble = Trouble(status(502), at=2, times=None)

    job = await hello.bench.sync(force_full=True)

    assert job.status is JobStatus.FAILED
    assert "GitHub answered 502 to GET /repos/octo/hello" in str(job.error)
    live = await hello.bench.scalar("SELECT count(*) FROM entity")
    assert live == 151


@pytest.mark.parametrize("force_full", [True, False])
async def test_a_list_that_is_gone_fails_the_job_and_deletes_nothing(
    hello: Hello, force_full: bool
) -> None:
    hello.account.add(5)
    await hello.bench.sync()
    gone = status(410)
    hello.trouble = Trouble(
        lambda request, reply: (
            gone(request, reply) if request.url.path.endswith("/issues") else reply
        ),
        times=None,
    )

    job = await hello.bench.sync(force_full=force_full)

    assert job.status is JobStatus.FAILED
    assert "Switch issues on" in str(job.error)
    assert await hello.bench.scalar("SELECT count(*) FROM entity") == 6


async def test_jobs_take_their_turns_from_the_ledger(hello: Hello) -> None:
    hello.account.add(1)
    await hello.bench.sync()

    rows = await hello.bench.rows("SELECT short_name, owner_id FROM rate_limit")
    assert rows == [("github", hello.bench.organization_id)]
