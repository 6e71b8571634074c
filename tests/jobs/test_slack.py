"""Jobs of Slack: what its history hides from a cursor is found once a day."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.bench import Bench
from tests.jobs.at_vendor import Vendor, connected
from tests.vendors.slack import GENERAL, TOKEN, Team, ref_of

from wellhead.domain.errors import ErrorCategory
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.sources.connectors.slack import SlackSource


@dataclass
class Office:
    """A connection to the workspace in memory."""

    bench: Bench
    team: Team

    async def a_day_later(self) -> None:
        await self.bench.execute(
            "UPDATE source_connection SET reconciled_at = now() - interval '25 hours'"
        )


@pytest.fixture
async def office(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    team = Team()
    vendor = Vendor(SlackSource, {"access_token": TOKEN}, "/api", team.answer)
    async with connected(bench, monkeypatch, vendor) as at_slack:
        yield Office(at_slack, team)


async def test_late_replies_edits_and_deletes_are_found_a_day_later(
    office: Office,
) -> None:
    team, bench = office.team, office.bench
    team.add(20)
    first = await bench.sync()
    answered, edited, deleted = team.messages[GENERAL][:3]
    team.reply(answered, "It was the carburettor.")
    team.edit(edited, "It was the gearbox.")
    team.messages[GENERAL].remove(deleted)

    soon = await bench.sync()
    await office.a_day_later()
    later = await bench.sync()

    assert (first.mode, first.counts.inserted) == (JobMode.FULL, 20)
    assert (soon.mode, soon.counts.updated, soon.counts.deleted) == (
        JobMode.INCREMENTAL,
        0,
        0,
    )
    assert (later.mode, later.counts.updated, later.counts.deleted) == (
        JobMode.INCREMENTAL,
        2,
        1,
    )
    assert await bench.found("carburettor") == {ref_of(answered).source_id}
    assert await bench.found("gearbox") == {ref_of(edited).source_id}


async def test_a_revoked_token_fails_the_job_and_deletes_nothing(
    office: Office,
) -> None:
    office.team.add(8)
    await office.bench.sync()
    office.team.complaints["auth.test"] = "token_revoked"

    job = await office.bench.sync()

    assert (job.status, job.counts.deleted) == (JobStatus.FAILED, 0)
    assert job.error_category == ErrorCategory.OAUTH_CREDENTIALS_EXPIRED
    assert "token_revoked" in (job.error or "")
    assert len(await office.bench.found("number")) == 8


async def test_a_channel_that_was_left_takes_its_messages_with_it(
    office: Office,
) -> None:
    office.team.add(9)
    await office.bench.sync()
    office.team.left.add(GENERAL)
    await office.a_day_later()

    job = await office.bench.sync()

    assert job.counts.deleted == 6
    assert len(await office.bench.found("number")) == 3
