"""From items to batches: look up, compare, read, split (sync protocol, P0)."""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from wellhead.domain.chunks import text_hash
from wellhead.domain.entities import Blob
from wellhead.domain.errors import (
    EntityError,
    FailureStage,
    RetryableError,
)
from wellhead.domain.files import TextKind
from wellhead.domain.items import Delete, Failure, Ref, Seen, Upsert
from wellhead.store import ledger, quarantine
from wellhead.store.ledger import Change, Known
from wellhead.store.quarantine import Failed, OpenFailure
from wellhead.sync import diff
from wellhead.sync.batch import Batch, Loaded
from wellhead.sync.chunk import embedding_text, split
from wellhead.sync.convert.converter import Converted, Converter
from wellhead.sync.diff import Verdict
from wellhead.sync.failing import (
    crashed,
    failed,
    reason,
    record_suspect,
    storable,
    transient,
)
from wellhead.sync.intake import Page
from wellhead.sync.run import MOST_MISSED, Run

BATCH_CHUNKS = 5_000
BATCH_CHARACTERS = 8 * 1024 * 1024
BATCH_SECONDS = 2.0
STUCK_SECONDS = 15 * 60
"""An entity that makes no progress for this long is given up, not the job."""
READERS = 8


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the ledger says of a page's keys."""

    known: dict[bytes, Known]
    failures: dict[bytes, OpenFailure]
    changes: dict[bytes, Change]


async def batches(run: Run, page: Page) -> AsyncIterator[Batch]:
    """Prepare a page; the last batch carries its scopes and its checkpoint."""
    facts = await _look_up(run, page)
    batch = Batch()
    to_read: list[tuple[Upsert, str]] = []
    for item, scope in page.items.values():
        _sort(run, batch, to_read, facts, item, scope)
    reading = _read_one_by_one if run.cautious else _read_side_by_side
    since = time.monotonic()
    async for outcome in reading(run, to_read, facts):
        _add(batch, outcome)
        if _is_full(run, batch) or time.monotonic() - since > BATCH_SECONDS:
            yield batch
            batch, since = Batch(), time.monotonic()
    batch.scopes = list(page.scopes)
    batch.checkpoint = page.checkpoint
    batch.ends_page = bool(page.items)
    yield batch


async def _look_up(run: Run, page: Page) -> _Facts:
    keys = list(page.items)
    if not keys:
        return _Facts({}, {}, {})
    async with run.tools.db.begin() as connection:
        known = await ledger.known(connection, run.connection_id, keys)
        failures = await quarantine.open_failures(connection, run.connection_id, keys)
        new = [key for key in keys if key not in known]
        changes = await ledger.changes_of(connection, run.job.id, new) if new else {}
    return _Facts(known, failures, changes)


def _sort(
    run: Run,
    batch: Batch,
    to_read: list[tuple[Upsert, str]],
    facts: _Facts,
    item: Upsert | Delete | Seen | Failure,
    scope: str,
) -> None:
    match item:
        case Seen(ref):
            _sort_seen(run, batch, facts, ref, scope)
        case Delete():
            batch.deletes.append(item.key)
            if item.key in facts.failures:
                batch.healed.append(item.key)
        case Failure(ref=Ref() as ref):
            batch.failed.append(_source_failure(item, ref, scope))
        case Failure():
            pass  # without a ref it concerns its scope, not an entity
        case Upsert():
            if _must_be_read(run, batch, facts, item, scope):
                to_read.append((item, scope))


def _must_be_read(
    run: Run, batch: Batch, facts: _Facts, item: Upsert, scope: str
) -> bool:
    key = item.key
    known, failure = facts.known.get(key), facts.failures.get(key)
    match diff.by_version(item.entity, known, failure, run.fingerprint):
        case Verdict.KEEP:
            batch.keeps[key] = None
        case Verdict.SKIP:
            batch.skips.append(key)
        case Verdict.LOOK | Verdict.WRITE:
            return True
    batch.seen_in[key] = scope
    return False


def _sort_seen(run: Run, batch: Batch, facts: _Facts, ref: Ref, scope: str) -> None:
    """Keep what is known; what is not, and has not failed, the cursor has missed."""
    if ref.key in facts.known:
        batch.keeps[ref.key] = None
        batch.seen_in[ref.key] = scope
    elif ref.key not in facts.failures and len(run.missed) < MOST_MISSED:
        run.missed[ref] = scope


def _source_failure(item: Failure, ref: Ref, scope: str) -> Failed:
    return Failed(
        entity_key=ref.key,
        scope=scope,
        type=storable(ref.type),
        source_id=storable(ref.source_id),
        source_version=item.source_version,
        stage=item.stage,
        failure_class=item.failure_class,
        reason=reason(item.reason),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    key: bytes
    scope: str
    source_version: str | None


_Outcome = tuple[Loaded | _Kept | Failed, bool]


def _add(batch: Batch, outcome: _Outcome) -> None:
    result, had_failure = outcome
    match result:
        case Loaded():
            batch.writes.append(result)
            if had_failure:
                batch.healed.append(result.key)
        case _Kept(key, scope, source_version):
            batch.keeps[key] = source_version
            batch.seen_in[key] = scope
        case Failed():
            batch.failed.append(result)


def _is_full(run: Run, batch: Batch) -> bool:
    return (
        run.cautious
        or batch.chunks >= min(BATCH_CHUNKS, run.pace.chunks)
        or batch.characters >= BATCH_CHARACTERS
    )


async def _read_side_by_side(
    run: Run, to_read: Sequence[tuple[Upsert, str]], facts: _Facts
) -> AsyncIterator[_Outcome]:
    """Read a few entities ahead of the consumer; yields them in the order they came."""
    ahead: deque[asyncio.Task[_Outcome]] = deque()
    try:
        for item, scope in to_read:
            ahead.append(asyncio.create_task(_read_or_fail(run, item, scope, facts)))
            if len(ahead) >= READERS:
                yield await ahead[0]
                ahead.popleft()
        while ahead:
            yield await ahead[0]
            ahead.popleft()
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _read_one_by_one(
    run: Run, to_read: Sequence[tuple[Upsert, str]], facts: _Facts
) -> AsyncIterator[_Outcome]:
    """After crashes: write down each entity before it is touched."""
    for item, scope in to_read:
        if item.key == run.poison:
            yield crashed(item, scope), item.key in facts.failures
            continue
        await record_suspect(run.tools.db, run.job, item.key)
        yield await _read_or_fail(run, item, scope, facts)


async def _read_or_fail(run: Run, item: Upsert, scope: str, facts: _Facts) -> _Outcome:
    key = item.key
    had_failure = key in facts.failures
    try:
        async with asyncio.timeout(STUCK_SECONDS):
            return await _read(run, item, scope, facts), had_failure
    except TimeoutError:
        stuck = f"no progress for {STUCK_SECONDS // 60} minutes"
        error = transient(stuck, FailureStage.READ)
        return failed(item, scope, error), had_failure
    except (EntityError, RetryableError, OSError) as error:
        return failed(item, scope, error), had_failure


async def _read(run: Run, item: Upsert, scope: str, facts: _Facts) -> Loaded | _Kept:
    entity, key = item.entity, item.key
    known, failure = facts.known.get(key), facts.failures.get(key)
    meta = diff.meta_json(entity)
    meta_hash = diff.meta_digest(meta)
    converter = run.tools.converter
    if entity.blob is None:
        text = diff.canonical_text(entity.text or "")
        content_hash, converted = diff.text_digest(text), Converted(text, TextKind.TEXT)
        path = None
    else:
        path, content_hash = await asyncio.to_thread(_open, entity.blob)
        converted = None
    verdict = diff.by_content(known, failure, content_hash, meta_hash)
    if verdict is Verdict.KEEP:
        version = entity.source_version
        return _Kept(key, scope, None if version is None else storable(version))
    if converted is None:
        if entity.blob is None or path is None:
            raise TypeError("an entity has either a text or a blob")
        converted = await _convert(converter, entity.blob, path)
    name = diff.canonical_text(entity.name)
    texts, hashes = await asyncio.to_thread(_split, run, name, converted)
    return Loaded(
        entity=entity,
        key=key,
        scope=scope,
        known=known,
        inserted_by=_inserted_by(run, known, facts.changes.get(key)),
        content_hash=content_hash,
        meta=meta,
        meta_hash=meta_hash,
        texts=texts,
        text_hashes=hashes,
        characters=len(converted.text),
    )


def _inserted_by(run: Run, known: Known | None, change: Change | None) -> UUID | None:
    """Whose insert a rollback would take back: nobody's, if it existed before."""
    if known is not None:
        return known.inserted_by
    if change is not None and change.before:
        return None
    return run.job.id


def _open(blob: Blob) -> tuple[Path, bytes]:
    path = blob.open()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return path, digest.digest()


async def _convert(converter: Converter, blob: Blob, path: Path) -> Converted:
    converted = await converter.text_of(
        path, name=blob.name, media_type=blob.media_type
    )
    return Converted(diff.canonical_text(converted.text), converted.kind)


def _split(run: Run, name: str, converted: Converted) -> tuple[list[str], list[bytes]]:
    budget = run.tools.embedder.chunk_characters
    texts = split(converted.text, name=name, kind=converted.kind, budget=budget)
    return texts, [text_hash(embedding_text(name, text)) for text in texts]
