"""Running one job from claim to end: the only place that ends a running job."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
import structlog
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.contextvars import bound_contextvars

from wellhead.domain.embedding import IndexTable
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EmbedderError,
    ErrorCategory,
    FencedError,
    JobError,
    NotFoundError,
    SyncError,
)
from wellhead.domain.jobs import JobMode, JobStatus, SyncJob
from wellhead.domain.ports import Embedder
from wellhead.engine.procrastinate import Task
from wellhead.services import definitions, runs, tokens
from wellhead.services.parts import Parts
from wellhead.sources.base import Source
from wellhead.store import connections, cursors, index_tables, jobs
from wellhead.store.cursors import Turn
from wellhead.store.database import is_gone
from wellhead.store.jobs import Claim
from wellhead.store.outbox import write_job_event
from wellhead.sync import pipeline
from wellhead.sync.convert.converter import Converter
from wellhead.sync.failing import reason
from wellhead.sync.run import Caution, Run, Tools
from wellhead.worker import endings
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.surroundings import surroundings

CRASHES_UNTIL_FAILED = 5
DEATHS_UNTIL_FAILED = 12
"""So many without any progress, at whichever entities and in between."""
CLOSE_SECONDS = 10.0
"""How long a source may take to close; what lasts longer holds nobody up."""
DOOR_SECONDS = 2
"""How often a job asks whether it may write again, while its table is being left."""
FORMER_SECONDS = 30
"""How often it asks for an embedder that is out of reach, until another replaces it."""
GIVE_BACK_SECONDS = 0.5
GIVE_BACK_TRIES = 120

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker process has beyond the parts every process has."""

    parts: Parts
    converter: Converter
    leases: LeaseKeeper


async def run_job(desk: Desk, job_id: UUID) -> None:
    """Claim a job, run it, and end it truthfully.

    Comes to nothing when the job is not to be had. When the database goes away the
    job is left as it is: its lease runs out and it resumes from its checkpoint.
    """
    claimed = await _claim(desk.parts, job_id)
    if claimed is None:
        return
    held = desk.leases.hold(claimed.claim.job)
    job = claimed.claim.job
    about = {"job_id": str(job.id), "connection_id": str(job.connection_id)}
    try:
        with bound_contextvars(**about):  # whoever writes a line while it runs
            await _run(desk, claimed, held.stop)
    finally:
        desk.leases.drop(job)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claim, and the table that it may write until its fence moves on."""

    claim: Claim
    turn: Turn
    table: IndexTable
    embedder: Embedder | None
    """None where it is out of reach, which does not matter to a cancelled job."""


async def _claim(parts: Parts, job_id: UUID) -> _Claimed | None:
    await definitions.look(parts)  # it may have been replaced a moment ago
    async with parts.db.begin() as connection:
        found = await jobs.get(connection, job_id)
        if found is None or not found.is_open:
            return None
        turn = await cursors.take_turn(connection, found.connection_id)
        if turn is None:
            return None
        door = await index_tables.door(connection, turn.collection_id)
        embedder = parts.embedders.of(door.table)
        may_write = embedder is not None and not door.is_closed
        if not may_write and found.status is not JobStatus.CANCELLING:
            await _wait_for_table(parts, connection, job_id)
            return None
        now = parts.clock.now()
        claim = await jobs.claim(connection, job_id, fence=turn.fence, now=now)
        if claim is None:
            return None
        if claim.suspect_key is not None:
            # a worker that dies before it touches an entity blames none
            await jobs.patch(connection, claim.job, {"suspect_key": None})
        if claim.job.generation == 0:
            job = await _begin(connection, parts, claim.job, turn)
            if found.status is JobStatus.PENDING:
                await write_job_event(connection, job, now)
            claim = replace(claim, job=job)
        return _Claimed(claim, turn, door.table, embedder)


async def _wait_for_table(
    parts: Parts, connection: AsyncConnection, job_id: UUID
) -> None:
    """Come again: another embedder's table is about to take the place of this one."""
    await parts.engine.defer(
        connection, Task.RUN_JOB, job_id, after_seconds=DOOR_SECONDS
    )


async def _begin(
    connection: AsyncConnection, parts: Parts, job: SyncJob, turn: Turn
) -> SyncJob:
    """Fix the mode and the generation at the first claim; they stay for all others."""
    mode = runs.mode_of(
        parts,
        turn.short_name,
        has_cursor=turn.cursor is not None,
        must_be_full=turn.needs_full or job.force_full,
    )
    await jobs.patch(
        connection, job, {"mode": mode.value, "generation": turn.generation}
    )
    if mode is JobMode.FULL:
        await cursors.begin_full(connection, job.connection_id)
    begun = await jobs.get(connection, job.id)
    if begun is None:
        raise FencedError(f"job {job.id} has gone")
    return begun


async def _run(desk: Desk, claimed: _Claimed, stop: asyncio.Event) -> None:
    claim, turn, parts = claimed.claim, claimed.turn, desk.parts
    job = claim.job
    _log.info("job claimed", attempt=job.attempt, mode=job.mode.value)
    began = time.process_time()
    source: Source | None = None
    try:
        _refuse_cancelled(job)
        _refuse_hopeless(claim)
        source = await _source(parts, job)
        run = _compose(desk, claimed, source)
        await _until_stopped(pipeline.sync(run), stop)
        await endings.complete(parts, job, turn.collection_id)
    except asyncio.CancelledError:
        await _whatever_comes(_stopped(parts, job, turn))
        raise
    except Exception as error:  # a job must end, whatever is wrong in a connector
        if is_gone(error):
            await _give_back(parts, job)
            raise
        await _end_with(parts, claimed, error)
    finally:
        if source is not None:
            await _close(source)
            await tokens.settle(source.tokens)
        _log.info("job left", cpu_seconds=round(time.process_time() - began, 3))


def _refuse_cancelled(job: SyncJob) -> None:
    if job.status is JobStatus.CANCELLING:
        raise FencedError("the job was cancelled before it was claimed again")


def _refuse_hopeless(claim: Claim) -> None:
    """A job whose workers die before they have anything to commit must end, too."""
    is_hopeless = claim.crashes >= CRASHES_UNTIL_FAILED
    if is_hopeless or claim.deaths >= DEATHS_UNTIL_FAILED:
        raise JobError(
            f"the worker died {claim.deaths} times in a row while it ran this job,"
            " without any progress in between; the logs of the workers may say why"
        )


async def _close(source: Source) -> None:
    """Close a source whose job is over: neither a hang nor a bug of it matters now."""
    closing = asyncio.ensure_future(source.close())
    try:
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    finally:
        closing.cancel()
    if not closing.done():
        _log.warning("a source does not close", waited_seconds=CLOSE_SECONDS)
    elif not closing.cancelled() and closing.exception() is not None:
        _log.warning("a source did not close", exc_info=closing.exception())


def _compose(desk: Desk, claimed: _Claimed, source: Source) -> Run:
    parts, claim, turn = desk.parts, claimed.claim, claimed.turn
    if claimed.embedder is None:
        raise FencedError("a cancelled job writes nothing")
    return Run(
        tools=Tools(
            db=parts.db,
            index=parts.index,
            embedder=claimed.embedder,
            converter=desk.converter,
            clock=parts.clock,
            data_dir=parts.limits.data_dir,
            min_free_bytes=parts.limits.min_free_bytes,
        ),
        job=claim.job,
        source=source,
        collection_id=turn.collection_id,
        table_id=claimed.table.id,
        connection_id=claim.job.connection_id,
        source_name=turn.short_name,
        caution=Caution(crashes=claim.crashes, suspect=claim.suspect_key),
    )


async def _source(parts: Parts, job: SyncJob) -> Source:
    """Build the source; what is wrong with its configuration is the owner's to mend."""
    async with parts.db.connect() as connection:
        row = await connections.get(connection, job.connection_id)
        sealed = await connections.ciphertext(connection, job.connection_id)
    if row is None:
        raise FencedError(f"connection {job.connection_id} has gone")
    try:
        source = tokens.open_source(parts, row, sealed)
    except NotFoundError as error:
        raise ConfigError(str(error)) from error
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ConfigError(
            "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
        ) from error
    source.surroundings = surroundings(parts, job, source.info)
    return source


async def _until_stopped(work: Awaitable[None], stop: asyncio.Event) -> None:
    """Run the pipeline; raises FencedError when it had to be stopped."""
    task = asyncio.ensure_future(work)
    watch = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise FencedError("the job was cancelled or is another worker's now")
        await task
    finally:
        watch.cancel()
        task.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _whatever_comes(work: Awaitable[None]) -> None:
    """See an ending through, also when we are told to stop a second time."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    await task


async def _stopped(parts: Parts, job: SyncJob, turn: Turn) -> None:
    """The engine aborted us: someone cancelled the job, or the worker shuts down."""
    async with parts.db.begin() as connection:
        row = await jobs.get(connection, job.id, for_update=True)
        if row is None or row.fence != job.fence:
            return
        if row.status is JobStatus.RUNNING:
            await jobs.release(connection, job)
            await parts.engine.defer(connection, Task.RUN_JOB, job.id)
            return
    await _cancel_if_asked(parts, job, turn)


async def _give_back(parts: Parts, job: SyncJob) -> None:
    """The database went away: once it is back, say that this was no crash of ours."""
    for _ in range(GIVE_BACK_TRIES):
        await asyncio.sleep(GIVE_BACK_SECONDS)
        try:
            async with parts.db.begin() as connection:
                if await jobs.release(connection, job):
                    await parts.engine.defer(connection, Task.RUN_JOB, job.id)
        except (SQLAlchemyError, OSError) as error:
            _log.info("waiting for the database", reason=str(error))
        else:
            return


async def _wait_for_former(parts: Parts, job: SyncJob, error: EmbedderError) -> None:
    """Hand the job over, at no cost: the embedder is about to be replaced anyway."""
    _log.info("former embedder away", job_id=str(job.id), reason=str(error))
    async with parts.db.begin() as connection:
        if await jobs.release(connection, job):
            await parts.engine.defer(
                connection, Task.RUN_JOB, job.id, after_seconds=FORMER_SECONDS
            )


async def _end_with(parts: Parts, claimed: _Claimed, error: Exception) -> None:
    job, turn = claimed.claim.job, claimed.turn
    if isinstance(error, EmbedderError) and claimed.embedder is not parts.embedder:
        await _wait_for_former(parts, job, error)
        return
    if isinstance(error, FencedError):
        await _cancel_if_asked(parts, job, turn)
        return
    try:
        await _fail(parts, job, turn, error)
    except FencedError:
        await _cancel_if_asked(parts, job, turn)


async def _cancel_if_asked(parts: Parts, job: SyncJob, turn: Turn) -> None:
    """End a CANCELLING job that is still ours; one that is another's is left alone."""
    try:
        await endings.cancel(parts, job, turn.collection_id)
    except FencedError as error:
        _log.info("job left to its owner", job_id=str(job.id), reason=str(error))
        async with parts.db.begin() as connection:
            await jobs.was_no_crash(connection, job)


async def _fail(parts: Parts, job: SyncJob, turn: Turn, error: Exception) -> None:
    category: ErrorCategory | None = None
    match error:
        case CredentialsError():
            category = await _category(parts, job, error)
            message, pauses = str(error), True
        case ConfigError(category=category):
            message, pauses = str(error), True
        case JobError(category=category):
            message, pauses = str(error), False
        case SyncError():
            message, pauses = str(error), False
        case _:
            _log.error("job broke", job_id=str(job.id), exc_info=error)
            message, pauses = _unexpected(error), False
    await endings.fail(
        parts,
        job,
        turn.collection_id,
        error=reason(message),
        category=category,
        pauses=pauses,
    )


async def _category(
    parts: Parts, job: SyncJob, error: CredentialsError
) -> ErrorCategory:
    async with parts.db.connect() as connection:
        about = await connections.get(connection, job.connection_id)
    return error.category if about is None else tokens.category_of(error, about)


def _unexpected(error: Exception) -> str:
    """Say what broke; the database's own words may repeat what was being stored."""
    kind = type(error).__name__
    if isinstance(error, SQLAlchemyError | psycopg.Error):
        return f"unexpected {kind}; the worker's log says more"
    return f"unexpected {kind}: {error}"
