"""One random life of a connection: what happens to it, and what must be true of it."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.model import oracle
from tests.model.fate import ENDS_TASK, Fate, Misfortune
from tests.model.faults import Gate, lost_answer
from tests.model.scene import Scene, new_connection, reached
from tests.model.world import KEYS, Plan, Source, Teller

from wellhead.domain.entities import entity_key
from wellhead.domain.errors import ConflictError, NotFoundError
from wellhead.domain.jobs import JobMode, JobStatus, SyncJob
from wellhead.services import connections
from wellhead.worker.maintain import flush_garbage
from wellhead.worker.purge import purge_connection


@dataclass
class History:
    """Lives what its fate draws, on the shipped code."""

    scene: Scene
    fate: Fate
    folder: Path
    holds: oracle.Holds = field(default_factory=oracle.Holds)
    source: Source = field(init=False)

    async def live(self) -> None:
        await self.move_in()
        chance = self.fate.chance
        for _ in range(chance.randint(2, 4)):
            for _ in range(chance.randint(0, 2)):
                self.fate.change_world(self.source)
            await self.live_one_job(self.fate.branch())
        if chance.random() < 0.15:
            await self.die(self.fate)
        else:
            await self.end_well()
        await self.scene.observer.check_scrubbed()
        await self.scene.clear_away()

    async def move_in(self) -> None:
        bench, chance = self.scene.bench, self.fate.chance
        kind = chance.choice(("full", "log", "log", "ids"))
        self.source = Source(
            is_incremental=kind != "full",
            yields_deletes=kind == "log",
            can_fetch=chance.random() < 0.7,
            folder=self.folder,
        )
        self.say(f"a source that is {kind}, can_fetch={self.source.can_fetch}")
        bench.script.info = replace(
            bench.script.info,
            is_incremental=self.source.is_incremental,
            yields_deletes=self.source.yields_deletes,
        )
        await new_connection(bench)
        for _ in range(2):
            self.fate.change_world(self.source)

    def say(self, what: str) -> None:
        self.scene.story.append(what)

    # --- one job ----------------------------------------------------------------------

    async def live_one_job(self, fate: Fate) -> None:
        scene, chance, bench = self.scene, fate.chance, self.scene.bench
        plan = fate.new_plan()
        misfortunes = [
            fate.new_misfortune() for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))
        ]
        scene.forgets_crashes = chance.random() < 0.5
        await self.unpause()
        await bench.execute(
            "UPDATE failure SET next_retry_at = now() WHERE class = 'transient'"
            " AND connection_id = :c",
            c=bench.connection_id,
        )
        told = await self.tell(plan)
        if chance.random() < 0.3:
            await scene.begin_search(chance.choice(("before", "after")))
        scene.index.faults = chance.choices(
            ("", "refuse", "lose", "slow"), (20, 1, 1, 1), k=40
        )
        scene.index.refused = frozenset(
            entity_key("Thing", key) for key in plan.unindexable
        )
        job = await bench.start(
            force_full=plan.force_full, confirm_deletes=plan.confirm_deletes
        )
        self.say(f"the world: {' '.join(sorted(self.source.world))}")
        self.say(f"its scopes: {sorted(self.source.scopes)}")
        self.say(f"shown: {' '.join(sorted(told.before))}")
        self.say(f"job {job.mode.value}: {plan}")
        await self.live_through(told, job, misfortunes)
        await self.check_ended(told, job)
        await scene.end_search()
        if chance.random() < 0.5:
            await scene.collect_garbage()
        if chance.random() < 0.7:
            await scene.wake_sleepers()
        await scene.observer.check()

    async def unpause(self) -> None:
        await self.scene.bench.execute(
            "UPDATE source_connection SET paused_reason = NULL WHERE id = :c",
            c=self.scene.bench.connection_id,
        )

    async def tell(self, plan: Plan) -> oracle.Job:
        """Let the source show the world by this plan from now on."""
        scene, script = self.scene, self.scene.bench.script
        teller = Teller(self.source, plan, lambda: scene.gates.pass_by("item", "after"))
        script.items = teller.items
        script.fetched = teller.fetched if self.source.can_fetch else None
        script.ids = teller.ids if self.source.lists_ids else None
        shown = await scene.observer.check()
        cursor = await scene.observer.cursor()
        return oracle.Job(
            source=self.source,
            plan=plan,
            teller=teller,
            before=shown,
            failures=await scene.observer.failures(),
            due=await scene.observer.failures(only="transient"),
            log_from=None if cursor is None else cursor["log"],
            worlds=[dict(self.source.world)],
            plan_failing=plan.failing,
            plan_once=frozenset(plan.failing_once),
        )

    async def live_through(
        self, told: oracle.Job, job: SyncJob, misfortunes: list[Misfortune]
    ) -> None:
        scene = self.scene
        task: asyncio.Task[None] | None = None
        standing: Gate | None = None
        for misfortune in misfortunes:
            scene.gates.close(misfortune.gate)
            if standing is not None:
                standing.go.set()
                standing = None
            if task is None or task.done():
                task = scene.begin(job)
            if not await reached(task, misfortune.gate):
                continue
            standing = misfortune.gate
            self.say(f"{misfortune.deed} {standing.when} {standing.name}")
            await self.befall(told, job, task, misfortune)
            if misfortune.deed in ENDS_TASK:
                await scene.run_out(job)
                task = standing = None
        scene.gates.close(None)
        if standing is not None:
            standing.go.set()
        if task is not None:
            await scene.see_end(task)
        await scene.drain(job)

    async def befall(
        self,
        told: oracle.Job,
        job: SyncJob,
        task: asyncio.Task[None],
        misfortune: Misfortune,
    ) -> None:
        scene, gate = self.scene, misfortune.gate
        match misfortune.deed:
            case "kill":
                await scene.kill(task)
                gate.go.set()  # if it was a batch of an earlier sleeper that stood here
            case "sleep":
                scene.fall_asleep(task, gate)
            case "shut down":
                await scene.shut_down(task)
                gate.go.set()
            case "cut off":
                await scene.cut_off()
            case "lose answer":
                gate.error = lost_answer()
            case "change the world":
                misfortune.fate.change_world(self.source)
                told.worlds.append(dict(self.source.world))
                self.holds.is_sure = False
            case other:
                await self.befall_beside(other, job)
        if misfortune.deed in {"kill", "sleep", "lose answer", "look"}:
            await scene.observer.check_prefix(job.id, told.teller)

    async def befall_beside(self, deed: str, job: SyncJob) -> None:
        """What others do while the worker stands; it goes on afterwards."""
        match deed:
            case "cancel":
                await self.scene.cancel(job, keep_data=False)
            case "cancel and keep":
                await self.scene.cancel(job, keep_data=True)
            case "second worker":
                await self.scene.try_second_worker(job)
            case "collect garbage":
                await self.scene.collect_garbage()
            case "look":
                await self.scene.observer.check()
            case "scrub":
                await self.scene.observer.check_scrubbed()
            case _:
                raise ValueError(deed)

    # --- what must be true ------------------------------------------------------------

    async def check_ended(self, told: oracle.Job, job: SyncJob) -> None:
        done = await self.scene.bench.job(job.id)
        shown = await self.scene.observer.check()
        self.say(f"{done.status.value} {done.mode.value} {done.counts}")
        assert done.completed_at is not None
        assert done.started_at is None or done.started_at <= done.completed_at
        held: int | None = None
        match done.status:
            case JobStatus.COMPLETED:
                was_full = done.mode is JobMode.FULL
                wanted, held = oracle.after_completed(
                    told,
                    self.holds,
                    was_full=was_full,
                    swept=was_full or self.source.lists_ids,
                    shown=shown,
                )
                self.check_counts(told, done, shown)
            case JobStatus.CANCELLED:
                wanted = oracle.after_cancelled(told)
                self.holds.is_sure = False
                if not done.keep_data:
                    new = set(shown) - set(told.before)
                    assert not new, f"I14: shown after a rollback: {new}"
            case _:
                assert done.error_category == "api_key_invalid", done.error
                wanted = oracle.after_failed(told)
                self.holds.is_sure = False
        for key in await self.scene.observer.poisoned(job.id):
            wanted[key] |= {told.before.get(key)}
        for key in KEYS:
            assert shown.get(key) in wanted[key], (
                f"I4, I9: {key} is {shown.get(key)}, and ought to be one of"
                f" {wanted[key]}; it was {told.before.get(key)}"
            )
        if held is not None:
            details = done.error_details or {}
            assert details.get("deletes_held", 0) == held, f"held: {details}"
        await self.check_holds()
        await self.check_failures(told, done, shown)

    async def check_holds(self) -> None:
        waiting = await self.scene.observer.holds()
        if self.holds.is_sure:
            assert waiting == {s: len(k) for s, k in self.holds.missing.items()}
        elif not waiting:
            self.holds = oracle.Holds()

    def check_counts(
        self, told: oracle.Job, done: SyncJob, shown: oracle.Shown
    ) -> None:
        before, counts = told.before, done.counts
        assert counts.inserted == len(set(shown) - set(before)), "I5: inserted"
        assert counts.deleted == len(set(before) - set(shown)), "I5: deleted"
        changed = {k for k in set(before) & set(shown) if before[k] != shown[k]}
        assert counts.updated >= len(changed), "I5: updated"
        if told.is_still and not told.failures and not told.plan.twice:
            rewritten = {k for k in told.teller.told if len(told.teller.told[k]) > 1}
            rewritten |= told.plan_failing | told.plan_once | told.plan.unindexable
            assert counts.updated <= len(changed | rewritten), "I5: updated too often"

    async def check_failures(
        self, told: oracle.Job, done: SyncJob, shown: oracle.Shown
    ) -> None:
        """I8: what was refused is in quarantine, and nothing else is counted."""
        failures = await self.scene.observer.failures()
        if done.status is not JobStatus.COMPLETED or not told.is_still:
            return
        for key, state in self.source.world.items():
            is_new = shown.get(key) == oracle.seen(state)
            if told.plan.shows(key) and done.mode is JobMode.FULL and not is_new:
                assert key in failures, f"I8: {key} is old and not in quarantine"

    async def end_well(self) -> None:
        """I11, I13: a clean job converges, and the index holds just what is live."""
        self.scene.gates.close(None)
        await self.scene.wake_sleepers()
        self.scene.index.faults, self.scene.index.refused = [], frozenset()
        for key, state in list(self.source.world.items()):
            if state.bad is not None:
                self.source.put(
                    key,
                    replace(self.fate.new_state(key), bad=None, text=f"content {key}"),
                )
        await self.unpause()
        told = await self.tell(Plan())
        last = await self.scene.bench.sync(force_full=True, confirm_deletes=len(KEYS))
        assert last.status is JobStatus.COMPLETED, last.error
        shown = await self.scene.observer.check()
        world = {key: oracle.seen(state) for key, state in told.source.world.items()}
        assert shown == world, "I11: it does not converge"
        assert not await self.scene.observer.failures()
        for _ in range(3):
            await self.scene.bench.ripen_garbage()
            await flush_garbage(self.scene.bench.parts)
        assert (
            await self.scene.bench.stored_versions()
            == await self.scene.observer.live_versions()
        ), "I13: the index is not what is committed"

    async def die(self, fate: Fate) -> None:
        """The connection is deleted, while a job runs or between two."""
        bench = self.scene.bench
        job: SyncJob | None = None
        task: asyncio.Task[None] | None = None
        gate = Gate("finish", fate.chance.choice(("before", "after")), 1)
        if fate.chance.random() < 0.7:
            await self.unpause()
            await self.tell(Plan())
            self.scene.gates.close(gate)
            job = await bench.start(force_full=True)
            task = self.scene.begin(job)
            await reached(task, gate)
        await connections.delete_connection(
            bench.parts, bench.organization_id, bench.connection_id
        )
        self.say("the connection is deleted")
        assert await bench.search("content") == [], "shown after the delete"
        try:
            await bench.start()
        except (NotFoundError, ConflictError):
            pass
        else:
            raise AssertionError("a job of a deleted connection")
        gate.go.set()
        self.scene.gates.close(None)
        if task is not None:
            await task
        await self.purge()

    async def purge(self) -> None:
        bench = self.scene.bench
        for _ in range(3):
            await purge_connection(bench.parts, bench.connection_id)
            assert await bench.search("content") == []
            await self.scene.wake_sleepers()
            await bench.execute(
                "UPDATE source_connection SET purged_at = purged_at"
                " - interval '16 minutes' WHERE id = :c",
                c=bench.connection_id,
            )
        for table in ("entity", "intent", "garbage", "failure", "sync_job"):
            left = await bench.scalar(
                f"SELECT count(*) FROM {table} WHERE connection_id = :c",  # noqa: S608
                c=bench.connection_id,
            )
            assert left == 0, f"{left} rows left in {table}"
        assert await bench.stored_versions() == {}, (
            "chunks left of a deleted connection"
        )
