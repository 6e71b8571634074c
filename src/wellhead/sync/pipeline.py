"""One run of one job, from the source's first item to its last delete. Read this first.

Reading, preparing and writing overlap: up to three batches are embedded and appended
at once, but their T2 follow one another in the order of reading. So whatever T2 has
committed is a prefix of what was read, and a checkpoint in it is durable.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from wellhead.domain.errors import CursorInvalidError, JobError, RetryableError
from wellhead.domain.items import Item, Ref
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.store import jobs, quarantine
from wellhead.sync import commit, prepare, recover, sweep
from wellhead.sync.batch import Batch
from wellhead.sync.intake import Intake, Page, shortened
from wellhead.sync.quarantine import FailureRate
from wellhead.sync.run import MOST_MISSED, Run
from wellhead.sync.storable import original

BATCHES_IN_FLIGHT = 3
STOP_SECONDS = 1.5
"""How long batches in flight may still finish after a stop was asked for."""
SOURCE_TRIES = 5
SOURCE_WAIT_SECONDS = 2.0
RETRY_REFS = 1_000


async def sync(run: Run) -> None:
    """Bring the collection up to the source; returns when all of it is committed.

    Raises CredentialsError, ConfigError, JobError (the job failed), FencedError
    (someone else owns it), asyncio.CancelledError (it was told to stop; what was
    committed stays, the rest is collected by recovery).
    """
    await recover.finish_rollbacks(run)
    await recover.discard_intents(run)
    writer = _Writer(run)
    try:
        if not await _retry_all(run, writer, job_only=False):
            await recover.restart_as_full(run)
        await _phase(run, "syncing")
        await _read(run, writer)
        await _retry_all(run, writer, job_only=True)
        is_listed = await _is_full(run) or await _reconcile(run, writer)
    finally:
        await writer.close()
    if is_listed:
        await sweep.sweep(run)


async def _read(run: Run, writer: "_Writer") -> None:
    """Read the source to its end, over passing troubles of it."""
    tries = 0
    while True:
        cursor = await recover.position(run)
        broken = await recover.incomplete(run) if cursor is not None else {}
        try:
            items = run.source.read(cursor)
            await _drain(run, writer, _intake(run, items, incomplete=broken))
        except CursorInvalidError:
            await writer.flush()
            await recover.restart_as_full(run)
        except RetryableError as error:
            await writer.flush()
            # as text: a token may hold numbers that are not even equal to themselves
            moved = repr(await recover.position(run)) != repr(cursor)
            tries = 1 if moved else tries + 1
            if tries >= SOURCE_TRIES and error.after is None:
                raise JobError(f"the source does not answer: {error}") from error
            await _wait(run, error.after or SOURCE_WAIT_SECONDS * 2**tries)
        else:
            return


async def _wait(run: Run, seconds: float) -> None:
    """Sleep as told by the source, visibly; no watchdog counts this time."""
    seconds = shortened(seconds)
    await _announce_wait(run, seconds)
    await asyncio.sleep(seconds)
    await _announce_wait(run, 0)


async def _announce_wait(run: Run, seconds: float) -> None:
    async with run.tools.db.begin() as connection:
        await jobs.wait_until(connection, run.job, seconds)


async def _phase(run: Run, phase: str) -> None:
    async with run.tools.db.begin() as connection:
        await jobs.patch(connection, run.job, {"phase": phase})


def _intake(run: Run, items: AsyncIterator[Item], **about: Any) -> Intake:
    return Intake(items, waits=run.source.surroundings.waits, **about)


async def _drain(run: Run, writer: "_Writer", intake: Intake) -> None:
    async with aclosing(intake.pages()) as pages:
        async for page in pages:
            await _follow_wait(run, writer, page)
            await writer.clear_of(page)
            async with aclosing(prepare.batches(run, page)) as batches:
                async for batch in batches:
                    await writer.submit(batch)
    await writer.flush()


async def _follow_wait(run: Run, writer: "_Writer", page: Page) -> None:
    """Show a wait from the item that announced it to the next one."""
    seconds = page.waiting_seconds
    if seconds is not None or writer.is_source_waiting:
        await _announce_wait(run, seconds or 0)
    writer.is_source_waiting = bool(seconds)


async def _retry_all(run: Run, writer: "_Writer", *, job_only: bool) -> bool:
    """Retry what this job saw fail, or else what is due, however many these are."""
    run.refused.clear()  # what was refused in passing gets another try
    after = b""
    while rows := await _due(run, job_only=job_only, after=after):
        if not after:
            await _phase(run, "retrying")
        after = rows[-1][0]
        refs = {
            ref: scope
            for key, kind, ident, scope in rows
            # an id too long to be stored whole names nothing
            if (ref := Ref(original(kind), original(ident))).key == key
        }
        if not await _retry(run, writer, refs):
            return False
    return True


async def _due(
    run: Run, *, job_only: bool, after: bytes
) -> list[tuple[bytes, str, str, str]]:
    async with run.tools.db.begin() as connection:
        return await quarantine.retryable(
            connection,
            run.connection_id,
            job_id=run.job.id if job_only else None,
            after=after,
            limit=RETRY_REFS,
        )


async def _retry(
    run: Run, writer: "_Writer", refs: dict[Ref, str], *, is_optional: bool = True
) -> bool:
    """Fetch single entities anew; False if only a full listing can bring them."""
    if not refs:
        return True
    items: AsyncIterator[Item] | None = run.source.fetch(list(refs))
    if items is None:
        return await _is_full(run)
    scopes = {ref.key.hex(): scope for ref, scope in refs.items()}
    writer.is_retrying = True
    try:
        await _drain(run, writer, _intake(run, items, scopes=scopes))
    except RetryableError as error:
        await writer.flush()
        await _wait(run, error.after or 0)
        return is_optional
    finally:
        writer.is_retrying = False
    return True


async def _is_full(run: Run) -> bool:
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        return job.mode is JobMode.FULL


async def _reconcile(run: Run, writer: "_Writer") -> bool:
    """List ids only, where a cursor does not show deletes; False if not needed now."""
    if not await sweep.needs_ids(run):
        return False
    ids = run.source.ids()
    if ids is None:
        return False
    await _phase(run, "reconciling")
    await sweep.begin_ids(run)
    await _drain(run, writer, _intake(run, ids))
    is_too_much = len(run.missed) >= MOST_MISSED
    if is_too_much or not await _retry(run, writer, run.missed, is_optional=False):
        await recover.require_full(run)
    return True


class _Writer:
    """Embeds and appends batches side by side, commits them in order."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks: list[asyncio.Task[None]] = []
        self._keys: dict[asyncio.Task[None], set[bytes]] = {}
        self._rate = FailureRate()
        self.is_retrying = False
        """These failures were counted when they first failed."""
        self.is_source_waiting = False

    async def submit(self, batch: Batch) -> None:
        """Start a batch; waits while too many are under way, raises their errors."""
        if batch.is_empty:
            return
        limit = 1 if self._run.caution.is_on else BATCHES_IN_FLIGHT
        while len(self._tasks) >= limit:
            await self._oldest()
        before = self._tasks[-1] if self._tasks else None
        task = asyncio.create_task(
            self._write(batch, before, is_judged=not self.is_retrying)
        )
        self._tasks.append(task)
        self._keys[task] = batch.keys
        if self._run.caution.is_on or batch.is_large:
            await self.flush()

    async def clear_of(self, page: Page) -> None:
        """Wait until no batch under way touches a key of this page."""
        if any(keys & page.items.keys() for keys in self._keys.values()):
            await self.flush()

    async def flush(self) -> None:
        """Wait until every batch is committed."""
        while self._tasks:
            await self._oldest()

    async def close(self) -> None:
        """After a stop or an error: let batches finish shortly, then give them up."""
        if not self._tasks:
            return
        await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _oldest(self) -> None:
        task = self._tasks[0]
        await asyncio.shield(task)
        self._tasks.remove(task)
        del self._keys[task]

    async def _write(
        self, batch: Batch, before: asyncio.Task[None] | None, *, is_judged: bool
    ) -> None:
        stored, lost = await commit.store(self._run, batch.writes)
        if before is not None:
            await asyncio.shield(before)
        await commit.finish(self._run, batch, stored, lost)
        batch.writes.clear()  # their texts may be large, and others hold the batch
        if not is_judged:
            return
        failures = [*batch.failed, *lost]
        self._rate.add(well=len(stored) + batch.kept, failed=len(failures))
        if batch.ends_page:
            self._rate.judge([one.reason for one in failures])
