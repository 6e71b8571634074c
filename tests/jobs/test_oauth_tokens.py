"""Access tokens of jobs: renewed in time, by one process, and never lost."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import update
from tests.authorization_server import CLIENT, NOTES, AuthorizationServer, serve
from tests.bench import Bench
from tests.oauth_sources import notes_source, signed_source

from wellhead.domain.consents import Consent
from wellhead.domain.errors import CredentialsError, RetryableError
from wellhead.domain.jobs import JobStatus
from wellhead.domain.oauth import Grant, OAuthClient, OAuthPolicy
from wellhead.services import grants, runs
from wellhead.services.grants import Kept
from wellhead.services.tokens import StoredTokens, open_source
from wellhead.sources.oauth import oauth1, oauth2
from wellhead.sources.registry import Registry
from wellhead.store import connections, consents
from wellhead.store.schema import source_connection
from wellhead.store.secrets import Cipher
from wellhead.worker.reaper import reap
from wellhead.worker.run_job import Desk
from wellhead.worker.scheduler import tick
from wellhead.worker.watch import look

ROOT = Path(__file__).parents[2]
BACK = "http://wellhead/source-connections/callback"
WRONG = OAuthClient(CLIENT.id, "another secret")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with serve() as one:
        yield one


async def _back(url: str) -> dict[str, list[str]]:
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    return parse_qs(urlsplit(answer.headers["location"]).query)


@dataclass
class Account:
    """A bench whose connection reads what Ann granted."""

    bench: Bench
    server: AuthorizationServer
    key: str

    async def grant(self, *, client: OAuthClient | None = None) -> Grant:
        """Let Ann agree, and keep what she gives."""
        provider = self.server.provider()
        proof = "p" * 43
        url = oauth2.authorization_url(
            provider, CLIENT, back_to=BACK, state="s", proof=proof
        )
        code = (await _back(url))["code"][0]
        form = {"code": code, "redirect_uri": BACK, "code_verifier": proof}
        now = self.bench.parts.clock.now()
        grant = await oauth2.exchange(provider, CLIENT, form, now=now)
        await self.keep(Kept(grant=grant, client=client))
        return grant

    async def keep(self, kept: Kept, **columns: Any) -> None:
        parts = self.bench.parts
        values = {"short_name": "tracker", "auth_method": "oauth_browser", **columns}
        async with parts.db.begin() as connection:
            await connection.execute(update(source_connection).values(**values))
            await connections.save_credential(
                connection,
                self.bench.connection_id,
                grants.seal(parts.cipher, kept),
                at=parts.clock.now(),
            )

    async def kept(self) -> Grant:
        async with self.bench.parts.db.connect() as connection:
            sealed = await connections.ciphertext(connection, self.bench.connection_id)
        grant = grants.unseal(self.bench.parts.cipher, sealed).grant
        assert grant is not None
        return grant

    async def tokens(self) -> StoredTokens:
        parts, ident = self.bench.parts, self.bench.connection_id
        async with parts.db.connect() as connection:
            about = await connections.get(connection, ident)
            sealed = await connections.ciphertext(connection, ident)
        assert about is not None
        opened = open_source(parts, about, sealed).tokens
        assert isinstance(opened, StoredTokens)
        return opened

    async def paused(self) -> Any:
        return await self.bench.scalar("SELECT paused_reason FROM source_connection")


@pytest.fixture
def account(bench: Bench, server: AuthorizationServer) -> Account:
    sources = (notes_source(server), signed_source(server))
    key = Cipher.new_key()
    bench.parts = replace(
        bench.parts,
        sources=Registry({one.info.short_name: one for one in sources}),
        cipher=Cipher([key]),
        oauth=OAuthPolicy(clients={"tracker": CLIENT, "tracker1": CLIENT}),
    )
    bench.desk = Desk(bench.parts, bench.desk.converter, bench.desk.leases)
    return Account(bench, server, key)


def as_client(account: Account, client: OAuthClient) -> None:
    bench = account.bench
    policy = OAuthPolicy(clients={"tracker": client})
    bench.parts = replace(bench.parts, oauth=policy)
    bench.desk = Desk(bench.parts, bench.desk.converter, bench.desk.leases)


async def test_a_job_goes_on_with_a_new_token_when_the_old_one_is_refused(
    account: Account,
) -> None:
    first = await account.grant()
    account.server.expire()

    job = await account.bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert job.counts.inserted == len(NOTES)
    assert account.server.renewals == 1
    second = await account.kept()
    assert second.refresh_token != first.refresh_token
    assert (await account.bench.sync()).status is JobStatus.COMPLETED
    assert account.server.renewals == 1


async def test_a_token_is_renewed_before_it_ends_and_after_a_sleep(
    account: Account,
) -> None:
    grant = await account.grant()
    tokens = await account.tokens()
    assert await tokens.current() == grant.access_token

    await account.keep(Kept(grant=replace(grant, renew_at=LONG_AGO)))
    slept = await account.tokens()
    renewed = await slept.current()

    assert renewed != grant.access_token
    assert (await account.kept()).access_token == renewed
    assert await tokens.refresh(grant.access_token) == renewed, "it is there already"
    assert account.server.renewals == 1


async def test_a_token_without_another_is_used_as_long_as_it_is_taken(
    account: Account,
) -> None:
    grant = replace(await account.grant(), refresh_token=None, renew_at=LONG_AGO)
    await account.keep(Kept(grant=grant))

    assert (await account.bench.sync()).status is JobStatus.COMPLETED
    account.server.revoke()
    job = await account.bench.sync()
    assert (job.status, job.error_category) == (
        JobStatus.FAILED,
        "oauth_credentials_expired",
    )


async def test_many_processes_renew_once(
    account: Account, database_url: str, server: AuthorizationServer
) -> None:
    await account.grant()
    server.renewal_takes_seconds = 0.5
    arguments = (database_url, account.key, str(account.bench.connection_id))
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.renewing_process"),
            *(*arguments, str(server.port)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for one in running:
        assert one.stdout is not None
        assert await one.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(one.communicate(b"\n") for one in running))

    # the last line: before it stands what was logged
    told = {answer.decode().splitlines()[-1] for answer, _ in answers}
    assert told == {(await account.kept()).access_token}
    assert server.renewals == 1


async def test_a_process_that_dies_while_it_renews_holds_nobody_up(
    account: Account, database_url: str, server: AuthorizationServer
) -> None:
    grant = await account.grant()
    server.rotates, server.renewal_takes_seconds = False, 3
    dying = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.renewing_process", database_url, account.key),
        *(str(account.bench.connection_id), str(server.port)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert dying.stdout is not None
    assert dying.stdin is not None
    await dying.stdout.readline()
    dying.stdin.write(b"\n")
    await _until(lambda: server.renewals == 1)
    dying.kill()
    await dying.wait()
    server.renewal_takes_seconds = 0

    tokens = await account.tokens()
    renewed = await tokens.refresh(grant.access_token)

    assert renewed == (await account.kept()).access_token != grant.access_token
    assert server.renewals == 2


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # what is so is so in another thread
            await asyncio.sleep(0.01)


async def test_a_renewal_is_seen_through_when_the_job_is_cancelled(
    account: Account, server: AuthorizationServer
) -> None:
    grant = await account.grant()
    server.renewal_takes_seconds = 0.5
    tokens = await account.tokens()

    asking = asyncio.create_task(tokens.refresh(grant.access_token))
    await _until(lambda: server.renewals == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await account.kept()).refresh_token == grant.refresh_token
    await tokens.settle()

    assert (await account.kept()).refresh_token != grant.refresh_token
    assert (
        await (await account.tokens()).current() == (await account.kept()).access_token
    )


async def test_what_was_taken_back_pauses_and_deletes_nothing(
    account: Account, server: AuthorizationServer
) -> None:
    await account.grant()
    await account.bench.sync()
    server.revoke()

    job = await account.bench.sync()

    assert (job.status, job.error_category) == (
        JobStatus.FAILED,
        "oauth_credentials_expired",
    )
    assert "invalid_grant" in str(job.error)
    assert await account.paused() == "oauth_credentials_expired"
    assert await account.bench.found("note") == set(NOTES)
    await account.bench.execute(
        "UPDATE source_connection SET schedule_cron = '0 * * * *',"
        " next_run_at = now() - interval '1 minute'"
    )
    assert await tick(account.bench.parts) == 0


async def test_a_provider_that_is_away_costs_nothing(
    account: Account, server: AuthorizationServer
) -> None:
    grant = await account.grant()
    tokens = await account.tokens()
    server.broken_with = 503

    with pytest.raises(RetryableError):
        await tokens.refresh(grant.access_token)
    assert await account.kept() == grant
    server.broken_with = None
    assert await tokens.refresh(grant.access_token) != grant.access_token


async def test_the_operators_wrong_client_pauses_nobody(account: Account) -> None:
    await account.grant()
    as_client(account, WRONG)
    account.server.expire()

    job = await account.bench.sync()

    assert (job.status, job.error_category) == (JobStatus.FAILED, None)
    assert "invalid_client" in str(job.error)
    assert await account.paused() is None


async def test_an_owners_wrong_client_is_the_owners_to_mend(account: Account) -> None:
    await account.grant(client=WRONG)
    account.server.expire()

    job = await account.bench.sync()

    assert job.error_category == "oauth_credentials_expired"
    assert await account.paused() == "oauth_credentials_expired"


async def test_a_pasted_token_that_ended_is_told_as_such(account: Account) -> None:
    grant = await account.grant()
    parts = account.bench.parts
    async with parts.db.begin() as connection:
        await connection.execute(
            update(source_connection).values(auth_method="oauth_token")
        )
        await connections.save_credential(
            connection,
            account.bench.connection_id,
            parts.cipher.encrypt({"access_token": grant.access_token}),
            at=parts.clock.now(),
        )
    assert (await account.bench.sync()).status is JobStatus.COMPLETED
    account.server.revoke()

    job = await account.bench.sync()

    assert job.error_category == "oauth_credentials_expired"
    assert account.server.renewals == 0


async def test_oauth_1_reads_and_tells_when_it_was_taken_back(
    account: Account, server: AuthorizationServer
) -> None:
    provider = server.provider1()
    token, secret = await oauth1.request_token(provider, CLIENT, back_to=BACK)
    back = await _back(oauth1.authorization_url(provider, token))
    given = {"token": token, "secret": secret, "verifier": back["oauth_verifier"][0]}
    grant = await oauth1.exchange(provider, CLIENT, given)
    await account.keep(Kept(grant=grant), short_name="signed")

    assert (await account.bench.sync()).counts.inserted == len(NOTES)
    server.revoke()
    job = await account.bench.sync()
    assert job.error_category == "oauth_credentials_expired"


async def test_a_run_that_waits_for_its_claim_is_left_alone(account: Account) -> None:
    await account.grant()
    bench, parts = account.bench, account.bench.parts
    now = parts.clock.now()
    consent = Consent(
        connection_id=bench.connection_id,
        link_hash=b"link",
        state_hash=b"state",
        claim_hash=b"claim",
        sealed=b"",
        expires_at=now + timedelta(minutes=5),
        granted_at=now,
    )
    async with parts.db.begin() as connection:
        await consents.put(connection, consent)
        about = await connections.get(connection, bench.connection_id)
        assert about is not None
        await runs.prepare_verified_run(parts, connection, about)
    await bench.execute("UPDATE sync_job SET created_at = now() - interval '1 hour'")

    assert await reap(parts) == 0
    assert reap not in await look(parts)
    await bench.execute("UPDATE consent SET verified_at = now()")
    assert reap in await look(parts)
    assert await reap(parts) == 1, "as when it was verified and then not queued"


async def test_without_a_grant_there_is_nothing_to_read_with(account: Account) -> None:
    await account.keep(Kept())
    with pytest.raises(CredentialsError, match="consent"):
        await account.tokens()
