"""From items to batches: look up, compare, read, split (sync protocol, P0)."""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import UUID

import structlog

from wellhead.domain.chunks import text_hash
from wellhead.domain.entities import Blob
from wellhead.domain.errors import (
    EntityError,
    FailureStage,
    RetryableError,
)
from wellhead.domain.files import TextKind
from wellhead.domain.items import Delete, Failure, Ref, Seen, Upsert
from wellhead.store import ledger, quarantine, tombstones
from wellhead.store.ledger import Change, Known
from wellhead.store.quarantine import Failed, OpenFailure
from wellhead.sync import diff
from wellhead.sync.batch import Batch, Loaded
from wellhead.sync.chunk import embedding_text, passages
from wellhead.sync.convert.converter import Converted, Converter
from wellhead.sync.diff import Verdict
from wellhead.sync.failing import crashed, failed, record_suspect, told
from wellhead.sync.intake import Page
from wellhead.sync.patience import in_own_thread, patience, while_moving
from wellhead.sync.run import MOST_MISSED, Run
from wellhead.sync.storable import (
    canonical_pieces,
    storable,
    stored_form,
    stored_version,
)

BATCH_CHUNKS = 5_000
BATCH_CHARACTERS = 8 * 1024 * 1024
BATCH_SECONDS = 2.0
READERS = 8
LONG_CHARACTERS = 100_000
PART_PASSAGES = 1_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the ledger says of a page's keys."""

    known: dict[bytes, Known]
    failures: dict[bytes, OpenFailure]
    changes: dict[bytes, Change]
    erased: set[bytes]
    """Whatever the source says of these, it is not synced again."""


async def batches(run: Run, page: Page) -> AsyncGenerator[Batch, None]:
    """Prepare a page; the last batch carries its scopes and its checkpoint."""
    facts = await _look_up(run, page)
    batch = Batch()
    to_read: list[tuple[Upsert, str]] = []
    for key, (item, scope) in page.items.items():
        if key not in facts.erased:
            _sort(run, batch, to_read, facts, item, scope)
    reading = _read_one_by_one if run.caution.is_on else _read_side_by_side
    since = time.monotonic()
    async with aclosing(reading(run, to_read, facts)) as outcomes:
        async for outcome in outcomes:
            _add(batch, outcome)
            del outcome  # it may be large: let it go with its batch
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
        return _Facts({}, {}, {}, set())
    async with run.tools.db.begin() as connection:
        known = await ledger.known(connection, run.connection_id, keys)
        failures = await quarantine.open_failures(connection, run.connection_id, keys)
        new = [key for key in keys if key not in known]
        changes = await ledger.changes_of(connection, run.job.id, new) if new else {}
        erased = await tombstones.among(connection, run.connection_id, keys)
    return _Facts(known, failures, changes, erased)


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
            _sort_failure(run, batch, facts, told(item, ref, scope))
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
    if _was_deadly(run, item, failure):
        batch.skips.append(key)
        batch.seen_in[key] = scope
        return False
    match diff.by_version(item.entity, known, failure, run.fingerprint):
        case Verdict.KEEP:
            batch.keeps[key] = None
        case Verdict.SKIP:
            batch.skips.append(key)
        case Verdict.LOOK | Verdict.WRITE:
            return True
    batch.seen_in[key] = scope
    return False


def _was_deadly(run: Run, item: Upsert, failure: OpenFailure | None) -> bool:
    """Tell whether workers died of it in this job; without a version, of any of it."""
    return (
        failure is not None
        and failure.was_death
        and failure.job_id == run.job.id
        and failure.source_version == stored_version(item.entity.source_version)
    )


def _sort_failure(run: Run, batch: Batch, facts: _Facts, found: Failed) -> None:
    """Pass over what the source refused before, in this very version."""
    before = facts.failures.get(found.entity_key)
    if before is not None and diff.stands(
        before, found.source_version, run.fingerprint
    ):
        batch.skips.append(found.entity_key)
        batch.seen_in[found.entity_key] = found.scope
    else:
        batch.failed.append(found)


def _sort_seen(run: Run, batch: Batch, facts: _Facts, ref: Ref, scope: str) -> None:
    """Keep what is known; what is not, and has not failed, the cursor has missed."""
    batch.seen_in[ref.key] = scope
    if ref.key in facts.failures:
        batch.skips.append(ref.key)
    elif ref.key in facts.known:
        batch.keeps[ref.key] = None
    elif len(run.missed) < MOST_MISSED:
        run.missed[ref] = scope


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
            batch.write(result)
            if had_failure:
                batch.healed.append(result.key)
        case _Kept(key, scope, source_version):
            batch.keeps[key] = source_version
            batch.seen_in[key] = scope
        case Failed():
            batch.failed.append(result)


def _is_full(run: Run, batch: Batch) -> bool:
    return (
        run.caution.is_on
        or batch.chunks >= min(BATCH_CHUNKS, run.pace.chunks)
        or batch.characters >= BATCH_CHARACTERS
    )


async def _read_side_by_side(
    run: Run, to_read: Sequence[tuple[Upsert, str]], facts: _Facts
) -> AsyncGenerator[_Outcome, None]:
    """Read a few entities ahead of the consumer; yields them in the order they came.

    A large one is read alone: there is memory for one of them only.
    """
    ahead: deque[asyncio.Task[_Outcome]] = deque()
    try:
        for item, scope in to_read:
            is_large = _is_large(item)
            while ahead and is_large:
                yield await _first(ahead)
            ahead.append(asyncio.create_task(_read_or_fail(run, item, scope, facts)))
            if is_large or len(ahead) >= READERS:
                yield await _first(ahead)
        while ahead:
            yield await _first(ahead)
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _first(ahead: deque[asyncio.Task[_Outcome]]) -> _Outcome:
    outcome = await ahead[0]
    ahead.popleft()
    return outcome


def _is_large(item: Upsert) -> bool:
    blob = item.entity.blob
    size = len(item.entity.text or "") if blob is None else blob.size
    return size > BATCH_CHARACTERS


async def _read_one_by_one(
    run: Run, to_read: Sequence[tuple[Upsert, str]], facts: _Facts
) -> AsyncGenerator[_Outcome, None]:
    """After crashes: write down each entity before it is touched."""
    for item, scope in to_read:
        if item.key == run.caution.poison:
            yield crashed(item, scope), item.key in facts.failures
            continue
        if run.caution.is_on:
            crashes = run.caution.crashes_at(item.key)
            await record_suspect(run.tools.db, run.job, item.key, crashes=crashes)
        yield await _read_or_fail(run, item, scope, facts)


async def _read_or_fail(run: Run, item: Upsert, scope: str, facts: _Facts) -> _Outcome:
    key = item.key
    had_failure = key in facts.failures
    try:
        return await _read(run, item, scope, facts), had_failure
    except Exception as error:  # noqa: BLE001  # one entity, whatever its source made of it
        if not isinstance(error, EntityError | RetryableError | OSError):
            _log.warning(
                "entity broke",
                source_id=storable(item.entity.source_id),
                exc_info=error,
            )
        return failed(item, scope, error), had_failure


async def _read(run: Run, item: Upsert, scope: str, facts: _Facts) -> Loaded | _Kept:
    blob, key = item.entity.blob, item.key
    known, failure = facts.known.get(key), facts.failures.get(key)
    entity = stored_form(item.entity)
    meta = diff.meta_json(entity)
    meta_hash = diff.meta_digest(meta)
    file: _File | None = None
    converted = Converted((item.entity.text or "",), TextKind.TEXT)
    if blob is None:
        content_hash = await _digest(converted)
    else:
        async with patience(FailureStage.READ):
            file = await in_own_thread(_open, blob)
        content_hash = file.digest
    verdict = diff.by_content(known, failure, content_hash, meta_hash)
    if verdict is Verdict.KEEP:
        return _Kept(key, scope, entity.source_version)
    if blob is not None and file is not None:
        converted = await _convert(run.tools.converter, blob, file.path)
    texts, hashes = await _split(run, entity.name, converted)
    if file is not None:
        content_hash = await asyncio.to_thread(file.digest_now)
    return Loaded(
        entity=replace(entity, raw={}),
        key=key,
        scope=scope,
        known=known,
        inserted_by=_inserted_by(run, known, facts.changes.get(key)),
        content_hash=content_hash,
        meta=meta,
        meta_hash=meta_hash,
        texts=texts,
        text_hashes=hashes,
        characters=sum(map(len, texts)) + len(meta),
    )


def _inserted_by(run: Run, known: Known | None, change: Change | None) -> UUID | None:
    """Whose insert a rollback would take back: nobody's, if it existed before."""
    if known is not None:
        return known.inserted_by
    if change is not None and change.before:
        return None
    return run.job.id


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was opened and read through once."""

    path: Path
    digest: bytes
    state: tuple[int, int]

    def digest_now(self) -> bytes:
        """Return the digest; if the file changed since, one that no content has.

        What was read meanwhile is stored, and compared anew by the next job.
        """
        now = _state(self.path)
        if now == self.state:
            return self.digest
        return hashlib.blake2b(
            self.digest + repr(now).encode(), digest_size=16
        ).digest()


def _open(blob: Blob) -> _File:
    path = blob.open()
    state = _state(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return _File(path, digest.digest(), state)


def _state(path: Path) -> tuple[int, int]:
    info = path.stat()
    return info.st_mtime_ns, info.st_size


async def _digest(converted: Converted) -> bytes:
    """Return the content hash of a text; a long one does not hold up others."""
    if sum(map(len, converted.pieces)) < LONG_CHARACTERS:
        return diff.text_digest(canonical_pieces(converted.pieces))
    return await asyncio.to_thread(
        lambda: diff.text_digest(canonical_pieces(converted.pieces))
    )


async def _convert(converter: Converter, blob: Blob, path: Path) -> Converted:
    reading = asyncio.create_task(
        converter.text_of(path, name=blob.name, media_type=blob.media_type)
    )
    return await while_moving(
        reading, lambda: converter.documents, FailureStage.CONVERT
    )


async def _split(
    run: Run, name: str, converted: Converted
) -> tuple[list[str], list[bytes]]:
    """Cut in a thread, a part at a time: between parts a stop is heard."""
    found = passages(
        canonical_pieces(converted.pieces),
        name=name,
        kind=converted.kind,
        budget=run.tools.embedder.chunk_characters,
    )
    texts: list[str] = []
    hashes: list[bytes] = []
    is_more = True
    while is_more:
        async with patience(FailureStage.CHUNK):
            part = await asyncio.to_thread(list, islice(found, PART_PASSAGES))
        texts += part
        hashes += [text_hash(embedding_text(name, text)) for text in part]
        is_more = len(part) == PART_PASSAGES
    return texts, hashes
