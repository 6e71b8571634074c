"""Writing a batch so that nothing is lost or half-shown: T1, append, T2.

Sync protocol, section 4. Order of locks everywhere: connection, job, entities by key.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.chunks import EntityChunks
from wellhead.domain.errors import (
    EntityError,
    ErrorCategory,
    FailureStage,
    JobError,
    RetryableError,
    SyncError,
)
from wellhead.domain.items import Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.store import garbage, jobs, ledger, may_see, quarantine, scopes
from wellhead.store.ledger import Change, EntityRow
from wellhead.store.quarantine import Failed
from wellhead.sync import counting, erased
from wellhead.sync.batch import Batch, Loaded, Part, parts_of
from wellhead.sync.embedding import vectors_of
from wellhead.sync.failing import failed, transient
from wellhead.sync.patience import index_patience
from wellhead.sync.run import Matrix, Run
from wellhead.sync.storable import stored_token

APPEND_TRIES = 3
APPEND_WAIT_SECONDS = 0.2
INDEXED_NAME_CHARACTERS = 4_096
"""The ledger has longer names whole."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An entity whose chunks are in the index under a version not yet committed."""

    loaded: Loaded
    version: int


class _AppendError(SyncError):
    """Nobody knows whether the chunks arrived; their versions were given up."""


async def store(
    run: Run, writes: Sequence[Loaded]
) -> tuple[list[Stored], list[Failed]]:
    """Embed and append; trouble with a batch is narrowed down to single entities."""
    if not writes:
        return [], []
    try:
        return await _append(run, writes), []
    except (EntityError, RetryableError, _AppendError) as error:
        if len(writes) == 1:
            return [], [_failure(writes[0], error)]
    middle = len(writes) // 2
    first, first_failed = await store(run, writes[:middle])
    second, second_failed = await store(run, writes[middle:])
    return first + second, first_failed + second_failed


def _failure(loaded: Loaded, error: SyncError) -> Failed:
    if isinstance(error, _AppendError):
        error = transient(str(error), FailureStage.INDEX)
    elif not isinstance(error, EntityError):
        error = transient(str(error), FailureStage.EMBED)
    # it is in its stored form already
    named = failed(Upsert(loaded.entity), loaded.scope, error)
    entity = loaded.entity
    return replace(
        named,
        entity_key=loaded.key,
        type=entity.type,
        source_id=entity.source_id,
        source_version=entity.source_version,
        access=entity.access,
    )


async def _append(run: Run, writes: Sequence[Loaded]) -> list[Stored]:
    """T1 and the append; one that was not acknowledged is never repeated."""
    parts = parts_of(writes, run.tools.embedder.dimension)
    # most batches are one part: nothing is declared before it is embedded
    first = await vectors_of(run, parts[0]) if parts else None
    for attempt in range(APPEND_TRIES):
        check_disk(run)
        versions = await declare(run, [len(loaded.texts) for loaded in writes])
        try:
            numbers = dict(zip(map(id, writes), versions, strict=True))
            await _append_parts(run, parts, numbers, first)
        except (EntityError, RetryableError):
            await _give_up(run, versions)
            raise
        except (RuntimeError, ValueError, OSError) as error:
            await _give_up(run, versions)
            if attempt == APPEND_TRIES - 1:
                raise _AppendError(f"the index refused: {error}") from error
            await asyncio.sleep(APPEND_WAIT_SECONDS * 4**attempt)
        else:
            return [
                Stored(loaded, version)
                for loaded, version in zip(writes, versions, strict=True)
            ]
    raise _AppendError("the index was never asked")


async def _append_parts(
    run: Run,
    parts: Sequence[Sequence[Part]],
    versions: Mapping[int, int],
    first: Matrix | None,
) -> None:
    """Embed and append part after part; all but the first say that they go on."""
    tools = run.tools
    for some in parts:
        vectors, first = first, None
        if vectors is None:
            await _note_progress(run)
            vectors = await vectors_of(run, some)
        chunks = _chunks(run, some, versions, vectors)
        async with index_patience():
            await tools.index.append(run.table_id, tools.embedder.dimension, chunks)


async def _note_progress(run: Run) -> None:
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        await jobs.patch(connection, job, {"progress_at": run.tools.clock.now()})


def check_disk(run: Run) -> None:
    """Raise JobError when too little disk is free to begin another batch."""
    require_disk(run.tools.data_dir, run.tools.min_free_bytes)


def require_disk(folder: Path | None, least: int) -> None:
    """Raise JobError when less is free where the index is, if that is known."""
    if folder is None or not least:
        return
    free = shutil.disk_usage(folder).free
    if free < least:
        raise JobError(
            f"disk full: {free // 2**20} MB are free, {least // 2**20}"
            " MB are needed. Free some space and run again; what was committed stays",
            category=ErrorCategory.DISK_FULL,
        )


async def declare(run: Run, chunk_counts: Sequence[int]) -> list[int]:
    """T1: as the fenced owner, draw versions and write them down as intents."""
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING)
        versions = await ledger.draw_versions(connection, len(chunk_counts))
        await ledger.write_intents(
            connection,
            run.connection_id,
            run.job.fence,
            dict(zip(versions, chunk_counts, strict=True)),
        )
    return versions


async def _give_up(run: Run, versions: Sequence[int]) -> None:
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING, JobStatus.CANCELLING)
        await garbage.discard_intents(
            connection, run.collection_id, run.connection_id, versions=versions
        )


def _chunks(
    run: Run, parts: Sequence[Part], versions: Mapping[int, int], vectors: Matrix
) -> list[EntityChunks]:
    made: list[EntityChunks] = []
    row = 0
    for part in parts:
        loaded, entity = part.loaded, part.loaded.entity
        made.append(
            EntityChunks(
                version=versions[id(loaded)],
                connection_id=run.connection_id,
                inserted_by=loaded.inserted_by,
                job_id=run.job.id,
                entity_key=loaded.key,
                entity_type=entity.type,
                source_name=run.source_name,
                source_id=entity.source_id,
                name=entity.name[:INDEXED_NAME_CHARACTERS],
                created_at=entity.created_at,
                updated_at=entity.updated_at,
                breadcrumbs=entity.breadcrumbs,
                texts=part.texts,
                text_hashes=part.text_hashes,
                vectors=vectors[row : row + len(part)].data,
                first_ordinal=part.start,
                access=entity.access,
            )
        )
        row += len(part)
    return made


async def finish(
    run: Run, batch: Batch, stored: Sequence[Stored], lost: Sequence[Failed]
) -> None:
    """T2: make the batch true, all of it or nothing, as the fenced owner."""
    failures = [*batch.failed, *lost]
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(
            connection, run.job, JobStatus.RUNNING, JobStatus.CANCELLING
        )
        stored, failures = await _not_erased(run, connection, stored, failures)
        tally = await _write(run, connection, stored)
        tally += await delete(run, connection, batch.deletes)
        kept = await _mark(run, connection, batch, failures)
        failed_delta = await _quarantine(run, connection, batch, failures)
        if batch.scopes:
            last = {scope.scope: scope for scope in batch.scopes}
            await scopes.write(connection, run.job.id, list(last.values()))
        now = run.tools.clock.now()
        counts = counting.add(job.counts, tally, kept=kept, failed=failed_delta)
        values = counting.columns(counts) | {"progress_at": now}
        if batch.checkpoint is not None:
            values["checkpoint"] = stored_token(batch.checkpoint)
        is_progress = counts != job.counts or (
            values.get("checkpoint", job.checkpoint) != job.checkpoint
        )
        written = [one.loaded.key for one in stored]
        was_careful = run.caution.is_on
        is_further = run.caution.note(
            [*written, *(one.entity_key for one in failures)], is_progress=is_progress
        )
        if is_progress or was_careful:
            values |= {"suspect_key": None, "crashes": run.caution.crashes}
        if is_further:
            values["deaths"] = 0
        chunks = sum(len(one.loaded.texts) for one in stored)
        await jobs.patch(connection, job, values, more_chunks=chunks)


async def _not_erased(
    run: Run,
    connection: AsyncConnection,
    stored: Sequence[Stored],
    failures: list[Failed],
) -> tuple[Sequence[Stored], list[Failed]]:
    """Leave out what somebody has erased since it was read; nothing counts it."""
    versions = {one.loaded.key: one.version for one in stored}
    failed_keys = [one.entity_key for one in failures]
    gone = await erased.give_up(run, connection, versions, failed_keys)
    if not gone:
        return stored, failures
    return (
        [one for one in stored if one.loaded.key not in gone],
        [one for one in failures if one.entity_key not in gone],
    )


async def _write(
    run: Run, connection: AsyncConnection, stored: Sequence[Stored]
) -> counting.Tally:
    if not stored:
        return counting.Tally()
    keys = [one.loaded.key for one in stored]
    existing = await ledger.lock_entities(connection, run.connection_id, keys)
    await ledger.write_entities(
        connection,
        connection_id=run.connection_id,
        job_id=run.job.id,
        generation=run.job.generation,
        now=run.tools.clock.now(),
        rows=[_row(run, one) for one in stored],
    )
    await ledger.remove_intents(
        connection, run.connection_id, [one.version for one in stored]
    )
    if existing:
        await garbage.discard(
            connection,
            run.collection_id,
            run.connection_id,
            [version for version, _ in existing.values()],
        )
    return await _note(
        run, connection, {key: Change(key in existing, after=True) for key in keys}
    )


def _row(run: Run, one: Stored) -> EntityRow:
    loaded = one.loaded
    return EntityRow(
        entity_key=loaded.key,
        scope=loaded.scope,
        type=loaded.entity.type,
        source_id=loaded.entity.source_id,
        source_version=loaded.entity.source_version,
        content_hash=loaded.content_hash,
        meta_hash=loaded.meta_hash,
        pipeline_fingerprint=run.fingerprint,
        version=one.version,
        chunk_count=len(loaded.texts),
        inserted_by=loaded.inserted_by,
        meta=loaded.meta,
    )


async def delete(
    run: Run, connection: AsyncConnection, keys: Sequence[bytes]
) -> counting.Tally:
    """Remove entities that exist; within a transaction that holds the job's lock."""
    if not keys:
        return counting.Tally()
    existing = await ledger.lock_entities(connection, run.connection_id, keys)
    if not existing:
        return counting.Tally()
    await ledger.remove_entities(connection, run.connection_id, existing)
    await garbage.discard(
        connection,
        run.collection_id,
        run.connection_id,
        [version for version, _ in existing.values()],
    )
    return await _note(
        run, connection, {key: Change(before=True, after=False) for key in existing}
    )


async def _note(
    run: Run, connection: AsyncConnection, changes: dict[bytes, Change]
) -> counting.Tally:
    earlier = await ledger.changes_of(connection, run.job.id, changes)
    merged = {
        key: replace(change, before=earlier[key].before) if key in earlier else change
        for key, change in changes.items()
    }
    await ledger.write_changes(connection, run.job.id, merged)
    return counting.tally(earlier, merged)


async def _mark(
    run: Run, connection: AsyncConnection, batch: Batch, failures: Sequence[Failed]
) -> int:
    """Mark what was listed as seen; returns how many unchanged ones were not yet."""
    where = (connection, run.connection_id, run.job.generation)
    kept = 0
    for scope, keys in batch.keeps.items():
        kept += await ledger.mark_seen(*where, scope, keys)
    if batch.versions:
        await ledger.move_versions(connection, run.connection_id, batch.versions)
    if batch.skips:
        await quarantine.mark_seen(*where, batch.skips)
    others = batch.skips | {one.entity_key: one.scope for one in failures}
    for scope, keys in _by_scope(others).items():
        await ledger.mark_seen(*where, scope, keys)
    if failures:
        stale = [one.entity_key for one in failures]
        await ledger.mark_stale(connection, run.connection_id, stale)
        told = {one.entity_key: one.access for one in failures if one.access}
        await may_see.let_in_fewer(connection, run.connection_id, told)
    return kept


def _by_scope(met: Mapping[bytes, str]) -> dict[str, list[bytes]]:
    scopes: dict[str, list[bytes]] = {}
    for key, scope in met.items():
        scopes.setdefault(scope, []).append(key)
    return scopes


async def _quarantine(
    run: Run, connection: AsyncConnection, batch: Batch, failures: Sequence[Failed]
) -> int:
    """Record failures and recoveries; returns by how much the count moves."""
    job_id = run.job.id
    healed = set(batch.healed) - {one.entity_key for one in failures}
    if not failures and not healed:
        return 0
    before = await quarantine.count_unresolved(connection, job_id)
    if healed:
        await quarantine.resolve(connection, run.connection_id, job_id, healed)
    if failures:
        await quarantine.record(
            connection,
            job=run.job,
            fingerprint=run.fingerprint,
            now=run.tools.clock.now(),
            failed=list({one.entity_key: one for one in failures}.values()),
        )
    return await quarantine.count_unresolved(connection, job_id) - before
