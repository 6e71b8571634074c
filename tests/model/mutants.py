"""Planted mistakes: each breaks one rule of the protocol, and the model must notice.

A mutant is a replacement in one file of the product. If its text is no longer there
once, the test says so: mutants are kept up with the code.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`equivalent` says why nobody can notice it, where that is so."""

    name: str
    file: str
    old: str
    new: str
    equivalent: str = ""
    times: int = 1
    """How often the text stands in the file; all of them are replaced."""


MUTANTS = (
    Mutant(
        "old chunks are deleted before the commit of the new ones",
        "sync/commit.py",
        "        check_disk(run)\n        versions = await declare(",
        "        await run.tools.index.delete_versions(run.collection_id,"
        " [w.known.version for w in writes if w.known is not None])\n"
        "        versions = await declare(",
    ),
    Mutant(
        "versions are derived from the rows and used again",
        "store/ledger.py",
        "\"SELECT nextval('version_seq') FROM generate_series(1, :count)\"",
        '"SELECT (SELECT coalesce(max(version), 0) FROM entity) + n'
        ' FROM generate_series(1, :count) AS n"',
    ),
    Mutant(
        "batches commit in any order, so a checkpoint may pass what is not committed",
        "sync/pipeline.py",
        "            await asyncio.shield(before)\n",
        "            pass\n",
    ),
    Mutant(
        "no fence: whoever wakes up may write",
        "store/jobs.py",
        " AND fence = %(fence)s AND status = ANY(%(allowed)s)\n    FOR UPDATE",
        " AND status = ANY(%(allowed)s)\n    FOR UPDATE",
    ),
    Mutant(
        "the hash is stored although the append failed",
        "sync/commit.py",
        "            await _give_up(run, versions)\n"
        "            if attempt == APPEND_TRIES - 1:\n",
        "            return [Stored(one, v) for one, v in"
        " zip(writes, versions, strict=True)]\n"
        "            if attempt == APPEND_TRIES - 1:\n",
    ),
    Mutant(
        "an append without an answer is repeated under the same versions",
        "sync/commit.py",
        "            await _give_up(run, versions)\n"
        "            if attempt == APPEND_TRIES - 1:\n",
        "            try:\n"
        "                await _append_parts(run, parts, numbers, first)\n"
        "                return [Stored(one, v) for one, v in"
        " zip(writes, versions, strict=True)]\n"
        "            except OSError:\n"
        "                await _give_up(run, versions)\n"
        "            if attempt == APPEND_TRIES - 1:\n",
    ),
    Mutant(
        "a sweep after an incomplete listing",
        "sync/sweep.py",
        "            return listed[at].state == COMPLETE\n",
        "            return True\n",
    ),
    Mutant(
        "no guard over great deletes",
        "sync/sweep.py",
        "    guarded = [one for one in whole if"
        " exceeds_guard(one, listed.get(one.scope))]\n",
        "    guarded: list[ScopeCount] = []\n",
    ),
    Mutant(
        "a resumed job gets a new generation",
        "worker/run_job.py",
        "        if claim.job.generation == 0:\n",
        "        if True:\n",
    ),
    Mutant(
        "a refused cursor: the checkpoint is kept",
        "sync/recover.py",
        '{"mode": JobMode.FULL.value, "checkpoint": None}',
        '{"mode": JobMode.FULL.value}',
    ),
    Mutant(
        "what a cancelled job inserted is shown until it is removed",
        "store/visible.py",
        "job.rollback = 'pending'",
        "job.rollback = 'never'",
        times=2,
    ),
    Mutant(
        "a cancel that removed something does not make the next job full",
        "worker/endings.py",
        "            moved = replace(moved, rollback=Rollback.PENDING)\n"
        "            await cursors.require_full(connection, job.connection_id)\n",
        "            moved = replace(moved, rollback=Rollback.PENDING)\n",
    ),
    Mutant(
        "the cursor moves with a job that failed",
        "worker/endings.py",
        "        if category is not None:\n"
        '            details["category"] = category\n',
        "        await cursors.advance(connection, job.connection_id,"
        " cursor=job.checkpoint, reconciled=None, was_full=False)\n"
        "        if category is not None:\n"
        '            details["category"] = category\n',
    ),
    Mutant(
        "old versions are not thrown away",
        "sync/commit.py",
        "    if existing:\n        await garbage.discard(",
        "    if False:\n        await garbage.discard(",
    ),
    Mutant(
        "garbage does not wait for searches",
        "store/garbage.py",
        "GRACE_SECONDS = 60\n",
        "GRACE_SECONDS = 0\n",
    ),
    Mutant(
        "a search opens the index before it has its snapshot",
        "search/instant.py",
        "                async with reader.snapshot() as reads:\n"
        "                    seen = await horizon(reads, query.collection_id)\n",
        "                early = await index.reader(table.id)\n"
        "                class Early:\n"
        "                    async def reader(self, _):\n"
        "                        return early\n"
        "                index = Early()\n"
        "                async with reader.snapshot() as reads:\n"
        "                    seen = await horizon(reads, query.collection_id)\n",
    ),
    Mutant(
        "a paused writer's late append is not looked for again",
        "store/garbage.py",
        "connection_id, found, passes=passes)",
        "connection_id, found)",
    ),
    Mutant(
        "recovery leaves intents",
        "sync/pipeline.py",
        "    await recover.discard_intents(run)\n",
        "",
        equivalent="each ending discards all intents of the connection, and nothing"
        " else looks at them: chunks of a crashed attempt only wait longer",
    ),
    Mutant(
        "counts are added up by event, not by entity",
        "sync/commit.py",
        "    return counting.tally(earlier, merged)\n",
        "    return counting.tally({}, merged)\n",
    ),
    Mutant(
        "a change of metadata alone is kept",
        "sync/diff.py",
        " and known.meta_hash == meta_hash\n",
        "\n",
    ),
    Mutant(
        "a failure is not written down",
        "sync/commit.py",
        "    if failures:\n        await quarantine.record(",
        "    if False:\n        await quarantine.record(",
    ),
    Mutant(
        "a cancelled job goes on to its sweep",
        "sync/sweep.py",
        "            job = await jobs.lock(connection, run.job, JobStatus.RUNNING)\n"
        "            keys = await scopes.missing_page(",
        "            job = await jobs.lock(connection, run.job, JobStatus.RUNNING,"
        " JobStatus.CANCELLING)\n"
        "            keys = await scopes.missing_page(",
        equivalent="it deletes only what a whole listing lacked, and pages that were"
        " swept before the cancel stay deleted too: the source has none of it",
    ),
)
