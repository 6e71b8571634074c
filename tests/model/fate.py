"""What is drawn by lot: sources, changes of the world, plans and misfortunes."""

import random
from dataclasses import dataclass, replace

from tests.model.faults import NAMES, Gate
from tests.model.world import KEYS, REFUSED, SCOPE_OF, SCOPES, Plan, Source, State

from wellhead.domain.errors import FailureClass, FailureStage

DEEDS = (
    "kill",
    "kill",
    "sleep",
    "sleep",
    "shut down",
    "cut off",
    "lose answer",
    "cancel",
    "cancel and keep",
    "second worker",
    "collect garbage",
    "change the world",
    "look",
    "scrub",
)
ENDS_TASK = {"kill", "sleep", "shut down"}


@dataclass(slots=True)
class Misfortune:
    """What is done to a worker that stands at a gate; `fate` draws what follows."""

    gate: Gate
    deed: str
    fate: "Fate"


class Fate:
    """Draws from one seed. A branch draws by itself, however much others have drawn."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311

    def branch(self) -> "Fate":
        return Fate(self.chance.randrange(2**32))

    def change_world(self, source: Source) -> None:
        chance = self.chance
        for scope in SCOPES:
            if scope and chance.random() < 0.08:
                _toggle_scope(source, scope)
        for key in KEYS:
            fate = chance.random()
            if SCOPE_OF[key] not in source.scopes:
                continue
            if fate < 0.3:
                source.put(key, self.new_state(key))
            elif fate < 0.38 and key in source.world:
                old = source.world[key]
                version = old.version and f"{old.version}+"
                source.put(
                    key, replace(old, name=f"Thing {chance.random()}", version=version)
                )
            elif fate < 0.5:
                source.remove(key)

    def new_state(self, key: str) -> State:
        chance = self.chance
        mark = f"content {key} {chance.randrange(10**6)}"
        length = chance.choice((0, 1, 1, 1, 3, 7))
        text = "\n\n".join(f"{mark} {'part ' * 6}{at}" for at in range(length))
        bad = None
        if chance.random() < 0.08:
            bad = chance.choice((FailureStage.CONVERT, FailureStage.EMBED))
        if bad is FailureStage.EMBED:
            text = f"{mark} {REFUSED}"
        return State(
            text=text,
            name=f"Thing {key}",
            version=mark if self.chance.random() < 0.6 else None,
            bad=bad,
            is_file=bad is None and bool(text) and chance.random() < 0.15,
        )

    def new_plan(self) -> Plan:
        chance = self.chance

        def some(share: float) -> frozenset[str]:
            return frozenset(k for k in KEYS if chance.random() < share)

        plan = Plan(
            cut={
                scope: chance.randrange(len(keys))
                for scope, keys in SCOPES.items()
                if chance.random() < 0.1
            },
            cut_by_failure=chance.random() < 0.5,
            twice=some(0.06),
            checkpoint_every=chance.choice((1, 1, 2, 5)),
            compact_log=chance.random() < 0.5,
            force_full=chance.random() < 0.1,
            confirmed_empty=chance.random() < 0.3,
            confirm_deletes=chance.choice((None, None, None, 1, 3, 12)),
        )
        if chance.random() < 0.4:
            plan.failing, plan.failing_once = some(0.1), set(some(0.1))
            plan.failing_class = chance.choice(list(FailureClass))
        if chance.random() < 0.2:
            plan.unindexable = some(0.1)
        if chance.random() < 0.15:
            plan.break_at = chance.randrange(25)
        if chance.random() < 0.1:
            plan.credentials_at = chance.randrange(25)
        if chance.random() < 0.1:
            plan.waits_at = chance.randrange(25)
        plan.invalid_cursor = chance.random() < 0.15
        return plan

    def new_misfortune(self) -> "Misfortune":
        chance = self.chance
        gate = Gate(
            chance.choice(
                (*NAMES, "append", "append", "append", *("declare", "finish", "item"))
            ),
            chance.choice(("before", "after")),
            chance.choice((0, 0, 1, 2, 4)),
        )
        if gate.name == "item":
            gate.when = "after"
        deed = chance.choice(DEEDS)
        if deed == "sleep" and chance.random() < 0.5:
            # the worst place: what it appends later nobody expects any more
            gate = Gate("append", "before", chance.choice((0, 0, 1)))
        if gate.is_inner and deed != "kill":
            deed = "cut off"
        if deed == "lose answer" and (gate.when == "before" or gate.name == "item"):
            deed = "cut off"  # what a source raises is no answer of the ledger
        return Misfortune(gate, deed, self.branch())


def _toggle_scope(source: Source, scope: str) -> None:
    if scope not in source.scopes:
        source.scopes |= {scope, scope.partition("/")[0]}
        return
    for one in [s for s in source.scopes if s == scope or s.startswith(f"{scope}/")]:
        source.scopes.discard(one)
        for key in SCOPES[one]:
            source.remove(key)
