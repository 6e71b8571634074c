"""From items to batches: look up, compare, read, split (sync protocol, P0)."""

import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from wellhead.domain.items import Delete, Failure, OfEntity, Ref, Seen, Shown, Upsert
from wellhead.store import lookup
from wellhead.store.lookup import Facts
from wellhead.store.quarantine import Failed, OpenFailure
from wellhead.sync import diff, reading
from wellhead.sync.batch import Batch, Loaded
from wellhead.sync.diff import Verdict
from wellhead.sync.failing import told
from wellhead.sync.intake import Page
from wellhead.sync.loading import Kept, ToRead
from wellhead.sync.reading import Outcome
from wellhead.sync.run import MOST_MISSED, Run
from wellhead.sync.storable import version_of, version_with

BATCH_CHUNKS = 5_000
BATCH_CHARACTERS = 8 * 1024 * 1024
BATCH_SECONDS = 2.0


async def batches(run: Run, page: Page) -> AsyncGenerator[Batch, None]:
    """Prepare a page; the last batch carries its scopes and its checkpoint."""
    batch = Batch()
    to_read = await _sort_page(run, batch, page) if page.items else []
    ill = {one.key for one in to_read if one.facts.failure is not None}
    read = reading.one_by_one if run.caution.is_on else reading.side_by_side
    since = time.monotonic()
    async with aclosing(read(run, to_read)) as outcomes:
        async for outcome in outcomes:
            _add(batch, outcome, ill)
            del outcome  # it may be large: let it go with its batch
            if _is_full(run, batch) or time.monotonic() - since > BATCH_SECONDS:
                yield batch
                batch, since = Batch(), time.monotonic()
    batch.scopes = list(page.scopes)
    batch.checkpoint = page.checkpoint
    batch.ends_page = bool(page.items)
    yield batch


async def _sort_page(run: Run, batch: Batch, page: Page) -> list[ToRead]:
    """Put into the batch what is clear already; returns what must be looked at."""
    async with run.tools.db.begin() as connection:
        changed = await lookup.changed(
            connection,
            run.connection_id,
            run.job.id,
            {key: _version(item) for key, (item, _) in page.items.items()},
        )
    batch.keep_all(
        (key, scope) for key, (_, scope) in page.items.items() if key not in changed
    )
    to_read: list[ToRead] = []
    for key in filter(changed.__contains__, page.items):
        facts, (item, scope) = changed[key], page.items[key]
        if facts.is_erased:
            continue
        if not isinstance(item, Shown):
            _sort(run, batch, item, scope, facts)
        else:
            one = ToRead(key, Upsert(item.entity), scope, facts)
            if _must_be_read(run, batch, one):
                to_read.append(one)
    return to_read


def _version(item: OfEntity) -> str | None:
    if isinstance(item, Shown):
        return version_with(item.version, item.access)
    return None


def _sort(
    run: Run, batch: Batch, item: Delete | Seen | Failure, scope: str, facts: Facts
) -> None:
    match item:
        case Seen(ref):
            _sort_seen(run, batch, ref, scope, facts)
        case Delete():
            batch.deletes.append(item.key)
            if facts.failure is not None:
                batch.healed.append(item.key)
        case Failure(ref=Ref() as ref):
            _sort_failure(run, batch, told(item, ref, scope), facts.failure)
        case Failure():
            pass  # without a ref it concerns its scope, not an entity


def _must_be_read(run: Run, batch: Batch, one: ToRead) -> bool:
    entity, facts = one.item.entity, one.facts
    if _was_deadly(run, one.item, facts.failure):
        batch.skips[one.key] = one.scope
        return False
    match diff.by_version(entity, facts.known, facts.failure, run.fingerprint):
        case Verdict.KEEP:
            batch.keep(one.key, one.scope)
        case Verdict.SKIP:
            batch.skips[one.key] = one.scope
        case Verdict.LOOK | Verdict.WRITE:
            return True
    return False


def _was_deadly(run: Run, item: Upsert, failure: OpenFailure | None) -> bool:
    """Tell whether workers died of it in this job; without a version, of any of it."""
    return (
        failure is not None
        and failure.was_death
        and failure.job_id == run.job.id
        and failure.source_version == version_of(item.entity)
    )


def _sort_failure(
    run: Run, batch: Batch, found: Failed, before: OpenFailure | None
) -> None:
    """Pass over what the source refused before, in this very version."""
    if before is not None and diff.stands(
        before, found.source_version, run.fingerprint
    ):
        batch.skips[found.entity_key] = found.scope
    else:
        batch.failed.append(found)


def _sort_seen(run: Run, batch: Batch, ref: Ref, scope: str, facts: Facts) -> None:
    """Keep what is known; what is not, and has not failed, the cursor has missed."""
    if facts.failure is not None:
        batch.skips[ref.key] = scope
    elif facts.known is not None:
        batch.keep(ref.key, scope)
    elif len(run.missed) < MOST_MISSED:
        run.missed[ref] = scope


def _add(batch: Batch, outcome: Outcome, ill: Collection[bytes]) -> None:
    match outcome:
        case Loaded():
            batch.write(outcome)
            if outcome.key in ill:
                batch.healed.append(outcome.key)
        case Kept(key, scope, source_version):
            batch.keep(key, scope, source_version)
        case Failed():
            batch.failed.append(outcome)


def _is_full(run: Run, batch: Batch) -> bool:
    return (
        run.caution.is_on
        or batch.chunks >= min(BATCH_CHUNKS, run.pace.chunks)
        or batch.characters >= BATCH_CHARACTERS
    )
