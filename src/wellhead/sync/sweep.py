"""Deleting what a whole listing did not show (sync protocol, section 7)."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta

from wellhead.domain.items import parent_scope
from wellhead.domain.jobs import JobMode, JobStatus
from wellhead.store import cursors, jobs, quarantine, scopes
from wellhead.store.scopes import COMPLETE, ScopeCount, ScopeRun
from wellhead.sync import commit, counting, recover
from wellhead.sync.run import Run

PAGE = 500
GUARD_ENTITIES = 100
GUARD_SHARE = 0.25
RECONCILE_EVERY = timedelta(hours=24)


async def needs_ids(run: Run) -> bool:
    """Tell whether this job must list ids, because nothing else shows deletes."""
    info = run.source.info
    if not info.is_incremental or info.yields_deletes:
        return False
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        if job.mode is JobMode.FULL:
            return False
        last = await cursors.reconciled_at(connection, run.connection_id)
    return last is None or run.tools.clock.now() - last >= RECONCILE_EVERY


async def begin_ids(run: Run) -> None:
    """Forget scopes that an incremental read spoke of: only the id listing counts."""
    async with run.tools.db.begin() as connection:
        has_gaps = await scopes.has_gaps(connection, run.job.id)
    if has_gaps:
        await recover.require_full(run)  # first, so that no crash forgets it
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING)
        await scopes.forget(connection, run.job.id)


async def sweep(run: Run) -> None:
    """Delete from every scope that was listed whole what the listing did not show.

    Call it after a full listing or an id listing only: an incremental read shows
    what changed, not what lives.
    """
    async with run.tools.db.begin() as connection:
        job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
        await jobs.patch(connection, job, {"phase": "sweeping"})
        listed = await scopes.read(connection, run.job.id)
        if not listed:
            return
        held = await scopes.held(connection, run.connection_id)
        counts = await scopes.missing(connection, run.connection_id, run.job.generation)
    # a hold of this very generation is this job's own: no second listing
    held = {s: g for s, g in held.items() if g < run.job.generation}
    whole = [count for count in counts if is_whole(count.scope, listed)]
    guarded = [one for one in whole if exceeds_guard(one, listed.get(one.scope))]
    confirmed = run.job.confirm_deletes
    is_confirmed = (
        confirmed is not None and sum(one.missing for one in guarded) <= confirmed
    )
    waiting = set() if is_confirmed else {one.scope for one in guarded}
    for count in whole:
        if count.scope in waiting:
            await _hold(run, count.scope, held.get(count.scope))
        else:
            await _delete(run, count.scope, run.job.generation)
    await _forget_failures(run, listed)
    await _forget_holds(run, listed, held.keys() - waiting)


def is_whole(scope: str, listed: Mapping[str, ScopeRun]) -> bool:
    """Tell whether a scope's absence from a listing proves anything.

    A scope that this job never met counts as listed empty if its nearest known parent
    was listed whole: the scope itself has vanished.
    """
    at: str | None = scope
    while at is not None:
        if at in listed:
            return listed[at].state == COMPLETE
        at = parent_scope(at)
    return False


def exceeds_guard(count: ScopeCount, run: ScopeRun | None) -> bool:
    """Tell whether so much would go that a second listing has to agree first."""
    is_listed_empty = count.missing == count.live
    if is_listed_empty and count.live > GUARD_ENTITIES:
        return run is None or not run.confirmed_empty
    return count.missing > GUARD_ENTITIES and count.missing > GUARD_SHARE * count.live


async def _hold(run: Run, scope: str, held_at: int | None) -> None:
    generation = run.job.generation
    if held_at is not None:
        await _delete(run, scope, held_at)
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING)
        left = await scopes.count_missing_since(
            connection, run.connection_id, scope, generation
        )
        if left:
            await scopes.hold(connection, run.connection_id, scope, generation, left)
        else:
            await scopes.unhold(connection, run.connection_id, scope)


async def _delete(run: Run, scope: str, generation: int) -> None:
    """Delete rows of a scope not seen since a generation, 500 in a transaction."""
    after = b""
    while True:
        async with run.tools.db.begin() as connection:
            job = await jobs.lock(connection, run.job, JobStatus.RUNNING)
            keys = await scopes.missing_page(
                connection,
                run.connection_id,
                scope,
                generation,
                after=after,
                limit=PAGE,
            )
            if not keys:
                return
            tally = await commit.delete(run, connection, keys)
            counts = counting.add(job.counts, tally)
            await jobs.patch(
                connection,
                job,
                counting.columns(counts)
                | {"progress_at": run.tools.clock.now(), "crashes": 0, "deaths": 0},
            )
        after = keys[-1]


async def _forget_holds(
    run: Run, listed: Mapping[str, ScopeRun], held: AbstractSet[str]
) -> None:
    """What was missing once and is back, or deleted by now, is held no more."""
    for scope in held:
        if not is_whole(scope, listed):
            continue
        async with run.tools.db.begin() as connection:
            await jobs.lock(connection, run.job, JobStatus.RUNNING)
            await scopes.unhold(connection, run.connection_id, scope)


async def _forget_failures(run: Run, listed: Mapping[str, ScopeRun]) -> None:
    """What failed in an earlier job and is no longer listed is not tried again."""
    async with run.tools.db.begin() as connection:
        await jobs.lock(connection, run.job, JobStatus.RUNNING)
        known = await quarantine.scopes_of(connection, run.connection_id)
        await quarantine.forget_vanished(
            connection,
            run.connection_id,
            run.job.generation,
            scopes=[scope for scope in known if is_whole(scope, listed)],
        )
