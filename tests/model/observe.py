"""Looking at the ledger, the index and a search at once: are they one?"""

from collections import defaultdict
from typing import Any
from uuid import UUID

from tests.bench import Bench
from tests.model.oracle import Seen
from tests.model.world import State, Teller

from wellhead.sync import diff
from wellhead.sync.storable import canonical_text
from wellhead.worker.scrub import Damage, scrub

Visible = dict[str, tuple[int, str]]
"""Chunk count and name of every entity that no rollback hides."""


class Observer:
    """Checks what must be true at every moment, and tells what is shown."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def check(self) -> dict[str, Seen]:
        """I1, I2: all that is committed is there; nothing else is shown, none twice.

        Returns what a search shows, by entity.
        """
        rows = await self._bench.rows(
            "SELECT source_id, version, chunk_count, meta->>'name', content_hash"
            " FROM entity WHERE connection_id = :c",
            c=self._bench.connection_id,
        )
        stored = await self._bench.stored_versions()
        for key, version, chunks, _, _ in rows:
            assert not chunks or stored.get(version) == chunks, (
                f"I1: {key} is not whole"
            )
        texts, visible = await self._at_one_moment()
        for key, (chunks, _) in visible.items():
            assert len(texts.get(key, {})) == chunks, f"I1: {key} is not shown whole"
        assert set(texts) <= set(visible), "I2: shown, and not committed"
        shown: dict[str, Seen] = {}
        for key, (_, name) in visible.items():
            parts = texts.get(key, {})
            assert sorted(parts) == list(range(len(parts))), f"I2: parts of {key}"
            whole = "".join(parts[at] for at in sorted(parts))
            shown[key] = "".join(whole.split()), name
        await self._check_watched()
        return shown

    async def _at_one_moment(
        self,
    ) -> tuple[dict[str, dict[int, str]], dict[str, tuple[int, str]]]:
        """Search and look between two commits: a worker at a gate has others going."""
        while True:
            before = await self._state()
            texts = await self._search()
            visible = await self.visible()
            if await self._state() == before:
                return texts, visible

    async def _state(self) -> list[Any]:
        return await self._bench.rows(
            "SELECT j.id, j.status, j.rollback, j.inserted, j.updated, j.deleted,"
            " (SELECT sum(version) FROM entity WHERE connection_id = :c)"
            " FROM sync_job j WHERE j.connection_id = :c ORDER BY sequence",
            c=self._bench.connection_id,
        )

    async def _search(self) -> dict[str, dict[int, str]]:
        texts: dict[str, dict[int, str]] = defaultdict(dict)
        for hit in await self._bench.search("content"):
            parts = texts[hit.original_entity_id]
            assert hit.chunk_index not in parts, "I2: a chunk is shown twice"
            parts[hit.chunk_index] = hit.text
        return texts

    async def _check_watched(self) -> None:
        found = await self._bench.rows("SELECT what FROM watched ORDER BY at")
        assert not found, "; ".join(row[0] for row in found)

    async def visible(self) -> dict[str, tuple[int, str]]:
        """Return chunk count and name of every entity that no rollback hides."""
        rows = await self._bench.rows(
            "SELECT e.source_id, e.chunk_count, e.meta->>'name' FROM entity e"
            " WHERE e.connection_id = :c AND NOT EXISTS (SELECT FROM sync_job j"
            " WHERE j.id = e.inserted_by AND j.rollback = 'pending')",
            c=self._bench.connection_id,
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def live_versions(self) -> dict[int, int]:
        rows = await self._bench.rows(
            "SELECT version, chunk_count FROM entity WHERE connection_id = :c"
            " AND chunk_count > 0",
            c=self._bench.connection_id,
        )
        return {row[0]: row[1] for row in rows}

    async def failures(self, *, only: str = "%") -> set[str]:
        rows = await self._bench.rows(
            "SELECT source_id FROM failure WHERE connection_id = :c"
            " AND class LIKE :only",
            c=self._bench.connection_id,
            only=only,
        )
        return {row[0] for row in rows}

    async def poisoned(self, job_id: UUID) -> set[str]:
        """Return what is in quarantine because workers died over it."""
        rows = await self._bench.rows(
            "SELECT source_id FROM job_failure WHERE job_id = :j"
            " AND reason LIKE 'the worker died%'",
            j=job_id,
        )
        return {row[0] for row in rows}

    async def holds(self) -> dict[str, int]:
        rows = await self._bench.rows(
            "SELECT scope, held FROM scope_hold WHERE connection_id = :c",
            c=self._bench.connection_id,
        )
        return {row[0]: row[1] for row in rows}

    async def cursor(self) -> dict[str, Any] | None:
        found = await self._bench.scalar(
            "SELECT cursor FROM source_connection WHERE id = :c",
            c=self._bench.connection_id,
        )
        assert found is None or isinstance(found, dict)
        return found

    async def check_scrubbed(self) -> None:
        """I13: a scrub finds nothing to mend, whatever is under way."""
        report = await scrub(self._bench.parts, repair=False)
        found = [one for one in report.findings if one.damage is not Damage.OVERDUE]
        assert not found, f"I13: a scrub found {found}"

    async def check_prefix(self, job_id: UUID, teller: Teller) -> None:
        """I6: whatever was told before the checkpoint is committed, or failed."""
        job = await self._bench.job(job_id)
        token = job.checkpoint
        if not job.is_open or token is None or token["n"] not in teller.tokens:
            return
        rows = await self._bench.rows(
            "SELECT source_id, content_hash, meta->>'name' FROM entity"
            " WHERE connection_id = :c",
            c=job.connection_id,
        )
        ledger = {row[0]: (bytes(row[1]), row[2]) for row in rows}
        failures = await self.failures()
        for key, state in teller.tokens[token["n"]].items():
            states = teller.told[key]
            later = states[states.index(state) :]
            is_done = key in failures or any(
                _is_committed(one, ledger.get(key)) for one in later
            )
            assert is_done, f"I6: the checkpoint is past {key}, which is not committed"


def _is_committed(state: State | None, row: tuple[bytes, str] | None) -> bool:
    if state is None or row is None:
        return state is None and row is None
    digest, name = row
    if state.is_file:
        return name == state.name
    return name == state.name and digest == diff.text_digest(canonical_text(state.text))
