"""What must be shown after a job, told from the source's side alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.model.world import KEYS, SCOPE_OF, SCOPES, Plan, Source, State, Teller

from wellhead.domain.errors import FailureClass

Seen = tuple[str, str]
"""What a search shows of an entity: its whole text without spaces, and its name."""
Shown = Mapping[str, Seen]
GUARD = 2
"""In the model a scope with more entities than this is guarded."""
GUARD_SHARE = 0.25


def seen(state: State) -> Seen:
    return "".join(state.text.split()), state.name


@dataclass(slots=True)
class Job:
    """What the oracle knows of one job."""

    source: Source
    plan: Plan
    teller: Teller
    before: Shown
    """Shown when the job was started, after earlier rollbacks."""
    failures: set[str]
    """Keys that were in quarantine then."""
    due: set[str]
    """Those of them that are tried again first of all."""
    log_from: int | None
    worlds: list[dict[str, State]] = field(default_factory=list)
    """The world at the start, and after each change while the job ran."""
    plan_failing: frozenset[str] = frozenset()
    plan_once: frozenset[str] = frozenset()

    @property
    def is_still(self) -> bool:
        """Whether the world stood still, so that everything can be foretold."""
        return len(self.worlds) == 1

    def told_states(self, key: str) -> set[Seen | None]:
        return {
            None if state is None else seen(state)
            for state in self.teller.told.get(key, [])
        }


@dataclass(slots=True)
class Holds:
    """Deletes that the guard held back, by scope: what was missing then."""

    missing: dict[str, set[str]] = field(default_factory=dict)
    is_sure: bool = True

    def note_seen(self, keys: set[str]) -> None:
        for held in self.missing.values():
            held -= keys


def was_refused(job: Job, key: str, state: State) -> bool:
    """Tell whether this state of the entity could not be committed in this job."""
    is_unindexable = key in job.plan.unindexable and bool(state.text)
    return state.bad is not None or key in job.plan_failing or is_unindexable


def after_completed(
    job: Job, holds: Holds, *, was_full: bool, swept: bool, shown: Shown
) -> tuple[dict[str, set[Seen | None]], int | None]:
    """Return what each entity may look like now, and how many deletes were held.

    None for the number of held deletes when it cannot be foretold.
    """
    if not job.is_still:
        return {key: _anything(job, key) for key in KEYS}, None
    wanted = {key: _of_present(job, key, was_full=was_full) for key in KEYS}
    held: int | None = 0
    world = job.source.world
    holds.note_seen(
        {k for k in world if k in job.teller.told or (swept and job.plan.shows(k))}
    )
    if swept:
        held = _sweep(job, holds, wanted, shown)
    return wanted, held


def after_failed(job: Job) -> dict[str, set[Seen | None]]:
    """Each change was committed or not, but nothing was swept."""
    return {key: _anything(job, key, keeps=True) for key in KEYS}


def after_cancelled(job: Job) -> dict[str, set[Seen | None]]:
    """As after a failure; but what a whole listing lacked may be swept by then."""
    wanted = after_failed(job)
    for key in KEYS:
        is_swept = is_whole(job.source, job.plan, SCOPE_OF[key])
        if is_swept and any(key not in world for world in job.worlds):
            wanted[key] |= {None}
    return wanted


def _anything(job: Job, key: str, *, keeps: bool = False) -> set[Seen | None]:
    before = job.before.get(key)
    states = {seen(world[key]) if key in world else None for world in job.worlds}
    anything = {before} | job.told_states(key)
    if not keeps:
        anything |= states
    return anything


def _of_present(job: Job, key: str, *, was_full: bool) -> set[Seen | None]:
    """What one entity looks like, deletes by absence left aside."""
    before, state = job.before.get(key), job.source.world.get(key)
    can_retry = key in job.due and job.source.can_fetch
    if was_full:
        is_told = state is not None and job.plan.shows(key)
    else:
        since = job.log_from or 0
        is_told = any(name == key for name, _ in job.source.log[since:])
    if state is None:
        is_gone = (is_told and job.source.yields_deletes) or can_retry
        return {None} if is_gone else {before}
    wanted: set[Seen | None]
    if was_refused(job, key, state):
        # what it was before, or what was told of it before the bad one
        earlier = [one for one in job.teller.told.get(key, []) if one != state]
        return {before} | {None if one is None else seen(one) for one in earlier}
    wanted = {seen(state)}
    if key in job.plan_once:
        is_tried_again = (
            job.source.can_fetch and job.plan.failing_class is FailureClass.TRANSIENT
        )
        if not is_tried_again:
            wanted = wanted | {before} | job.told_states(key)
    if not is_told:
        wanted = wanted | {before} if can_retry or before is None else {before}
    return wanted


def is_whole(source: Source, plan: Plan, scope: str) -> bool:
    at = scope
    while at not in source.scopes:
        at = at.rpartition("/")[0]
    return at not in plan.cut


def _sweep(
    job: Job, holds: Holds, wanted: dict[str, set[Seen | None]], shown: Shown
) -> int | None:
    missing = _missing(job, wanted)
    guarded = {
        scope
        for scope, gone in missing.items()
        if gone and _is_guarded(job, scope, gone, shown)
    }
    confirmed = job.plan.confirm_deletes
    if confirmed is not None and sum(len(missing[s]) for s in guarded) <= confirmed:
        guarded = set()
    held = 0
    for scope, gone in missing.items():
        waiting = holds.missing.pop(scope, set())
        if scope in guarded:
            held += _hold(holds, scope, gone, waiting, wanted)
        else:
            wanted |= {key: {None} for key in gone}
    return held if holds.is_sure else None


def _missing(job: Job, wanted: dict[str, set[Seen | None]]) -> dict[str, set[str]]:
    """Return what scopes that were listed whole no longer showed."""
    return {
        scope: {
            key
            for key in keys
            if key in job.before
            and key not in job.source.world
            and wanted[key] != {None}
        }
        for scope, keys in SCOPES.items()
        if is_whole(job.source, job.plan, scope)
    }


def _hold(
    holds: Holds,
    scope: str,
    gone: set[str],
    waiting: set[str],
    wanted: dict[str, set[Seen | None]],
) -> int:
    """What was missing in an earlier listing too is deleted, the rest is held."""
    left = gone - waiting
    for key in gone & waiting:
        wanted[key] = {None} if holds.is_sure else wanted[key] | {None}
    for key in left if not holds.is_sure else ():
        wanted[key] = wanted[key] | {None}
    if left:
        holds.missing[scope] = left
    return len(left)


def _is_guarded(job: Job, scope: str, gone: set[str], shown: Shown) -> bool:
    live = gone | {k for k in shown if SCOPE_OF[k] == scope}
    if len(gone) == len(live) and len(live) > GUARD:
        return not (job.plan.confirmed_empty and scope in job.source.scopes)
    return len(gone) > GUARD and len(gone) > GUARD_SHARE * len(live)
