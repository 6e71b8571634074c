"""Scrubbing: what the index holds is compared with the ledger, and mended.

Safe while jobs and searches run. The index is read before the ledger, and whatever
looks wrong then is looked up again, index first: a version never leaves the index while
it is live, and is never known again once the ledger has forgotten it.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.chunks import StoredVersion
from wellhead.services.parts import Parts
from wellhead.store import audit, connections, garbage, index_tables, jobs, lost
from wellhead.store.audit import Committed
from wellhead.store.locks import Lock
from wellhead.worker.maintain import flush_garbage, maintainer

PAGE = 1_000
LOAD = 5_000

_log = structlog.get_logger(__name__)


class Damage(StrEnum):
    """What a scrub can find."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    FOREIGN = "foreign"
    DOUBLED = "doubled"
    MISLABELLED = "mislabelled"
    STRAY = "stray"
    NO_TABLE = "no_table"
    UNREADABLE = "unreadable"
    STRAY_TABLE = "stray_table"
    OWNERLESS = "ownerless"
    CONDEMNED = "condemned"
    STRANDED = "stranded"
    OVERDUE = "overdue"
    SEQUENCE = "sequence"


STILL_WHOLE = frozenset({Damage.DOUBLED, Damage.MISLABELLED})
"""Search shows all of such an entity, and goes on doing so until it is written anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """So many things of one kind; `collection` is the readable id, if in one."""

    damage: Damage
    count: int
    collection: str | None = None
    is_repaired: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What was compared and found; `waiting` entities come with the next job."""

    entities: int
    versions: int
    waiting: int
    to_run: tuple[UUID, ...]
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        return all(one.is_repaired for one in self.findings)


async def scrub(parts: Parts, *, repair: bool) -> ScrubReport:
    """Compare every collection's index with the ledger; mend what is wrong if told to.

    Raises what the database raises. An index table that cannot be read is a finding.
    """
    findings = [*await _scrub_ledger(parts, repair=repair)]
    entities = versions = waiting = 0
    async with parts.db.connect() as connection:
        known = await audit.all_collections(connection)
    tables = await parts.index.tables()
    for row in known:
        if row.is_deleting:
            continue  # the purge has it in hand
        one = _Collection(parts, row.id, row.readable_id, repair=repair)
        if await one.find_table() not in tables:
            findings += await one.note_missing_table()
        findings += await one.compare()
        entities, versions = entities + one.entities, versions + one.versions
        waiting += one.waiting
    findings += await _drop_stray_tables(parts, tables, repair=repair)
    async with parts.db.connect() as connection:
        to_run = await audit.to_run(connection)
    for found in findings:
        _log.warning(
            "scrub found damage",
            damage=found.damage.value,
            collection=found.collection,
            count=found.count,
            repaired=found.is_repaired,
        )
    return ScrubReport(
        entities=entities,
        versions=versions,
        waiting=waiting,
        to_run=tuple(to_run),
        findings=tuple(findings),
    )


async def _scrub_ledger(parts: Parts, *, repair: bool) -> list[Finding]:
    """Find what the ledger alone shows to be wrong."""
    async with parts.db.begin() as connection:
        ownerless = await audit.drop_ownerless(connection, repair=repair)
        condemned = await audit.deny_live(connection, repair=repair)
        stranded = await audit.stranded_intents(connection)
        overdue = await audit.count_overdue(connection)
    if repair:
        for row in stranded:
            await _collect_stranded(parts, row.connection_id, row.collection_id)
        if overdue:
            await flush_garbage(parts)
    counts = {
        Damage.OWNERLESS: ownerless,
        Damage.CONDEMNED: condemned,
        Damage.STRANDED: sum(row.intents for row in stranded),
        Damage.OVERDUE: overdue,
    }
    return [
        Finding(damage=damage, count=count, is_repaired=repair)
        for damage, count in counts.items()
        if count
    ]


async def _collect_stranded(
    parts: Parts, connection_id: UUID, collection_id: UUID
) -> None:
    async with parts.db.begin() as connection:
        # no job can be started while the connection is held
        await connections.get(connection, connection_id, lock=Lock.CHANGE)
        if await jobs.open_job(connection, connection_id) is None:
            await garbage.discard_intents(connection, collection_id, connection_id)


async def _drop_stray_tables(
    parts: Parts, tables: list[UUID], *, repair: bool
) -> list[Finding]:
    """Drop tables of collections that are gone; a new one's was not listed yet."""
    found = 0
    async with parts.db.connect() as connection:
        known = await index_tables.known(connection)
    now = set(await parts.index.tables())
    for table_id in tables:
        if table_id in known or table_id not in now:
            continue
        found += 1
        if repair:
            async with maintainer(parts.db, table_id, waits=True):
                async with parts.db.connect() as connection:
                    is_known = table_id in await index_tables.known(connection)
                if not is_known:
                    await parts.index.drop(table_id)
    if not found:
        return []
    return [Finding(damage=Damage.STRAY_TABLE, count=found, is_repaired=repair)]


class _SwappedError(Exception):
    """Another table took the place of the one that was compared."""


class _Collection:
    """The comparison of one collection."""

    def __init__(
        self, parts: Parts, collection_id: UUID, readable_id: str, *, repair: bool
    ) -> None:
        self._parts = parts
        self._id = self._table_id = collection_id
        self._readable_id = readable_id
        self._repair = repair
        self.entities = self.versions = self.waiting = 0

    async def find_table(self) -> UUID:
        """Return the table to compare, which another may replace at any time."""
        async with self._parts.db.connect() as connection:
            self._table_id = await index_tables.live_id(connection, self._id)
        return self._table_id

    async def note_missing_table(self) -> list[Finding]:
        """Tell that the table has gone, if there ought to be one."""
        async with self._parts.db.connect() as connection:
            is_needed = await audit.has_chunks(connection, self._id)
        if not is_needed or self._table_id in await self._parts.index.tables():
            return []
        return [self._finding(Damage.NO_TABLE, 1)]

    async def compare(self) -> list[Finding]:
        try:
            while True:
                await self.find_table()
                with suppress(_SwappedError):
                    async with audit.session(self._parts.db) as connection:
                        return await self._compare(connection)
        except (RuntimeError, ValueError, OSError) as error:
            _log.error("table cannot be read", table=str(self._id), exc_info=error)
            said = str(error).split("\n", 1)[0][:300]
            return [
                Finding(
                    damage=Damage.UNREADABLE,
                    count=1,
                    collection=self._readable_id,
                    said=f"{self._id.hex}.lance: {said}",
                )
            ]

    async def _compare(self, connection: AsyncConnection) -> list[Finding]:
        async for page in self._stored():
            await audit.load(connection, page)
            self.versions += len(page)
        highest = await audit.highest_stored(connection)
        behind = await self._mend_sequence(highest)
        self.entities, suspects, strays = await audit.compare(connection, self._id)
        counts: Counter[Damage] = Counter()
        if suspects:
            counts += await self._examine_suspects(connection)
        if strays:
            counts += await self._remove_strays(connection)
        self.waiting = await audit.count_waiting(connection, self._id)
        found = [self._finding(damage, count) for damage, count in counts.items()]
        return ([self._finding(Damage.SEQUENCE, behind)] if behind else []) + found

    async def _mend_sequence(self, highest: int) -> int:
        async with self._parts.db.connect() as connection:
            behind = await audit.raise_version_sequence(
                connection, highest, repair=False
            )
        if behind and self._repair:
            async with self._parts.db.begin() as connection:
                await audit.raise_version_sequence(connection, highest, repair=True)
        return behind

    def _finding(self, damage: Damage, count: int) -> Finding:
        return Finding(
            damage=damage,
            count=count,
            collection=self._readable_id,
            is_repaired=self._repair,
        )

    async def _stored(self) -> AsyncIterator[list[StoredVersion]]:
        page: list[StoredVersion] = []
        async for one in self._parts.index.stored(self._table_id):
            page.append(one)
            if len(page) == LOAD:
                yield page
                page = []
        yield page

    async def _examine_suspects(self, connection: AsyncConnection) -> Counter[Damage]:
        counts: Counter[Damage] = Counter()
        after = 0
        while page := await audit.suspects(connection, after=after, limit=PAGE):
            after = page[-1].version
            found = {
                one.version: one
                async for one in self._parts.index.stored(
                    self._table_id, [one.version for one in page]
                )
            }
            wrong = [
                (one, damage)
                for one in page
                if (damage := damage_of(one, found.get(one.version))) is not None
            ]
            live = await audit.still_committed(connection, [one for one, _ in wrong])
            wrong = [(one, damage) for one, damage in wrong if one.version in live]
            await self._stay()
            counts.update(damage for _, damage in wrong)
            if self._repair:
                await self._forget(wrong)
        return counts

    async def _stay(self) -> None:
        """What is not in a table that was replaced by now may be in its successor."""
        before = self._table_id
        if await self.find_table() != before:
            raise _SwappedError

    async def _forget(self, wrong: list[tuple[Committed, Damage]]) -> None:
        groups: dict[tuple[UUID, bool], dict[bytes, int]] = defaultdict(dict)
        for one, damage in wrong:
            group = groups[one.connection_id, damage not in STILL_WHOLE]
            group[one.entity_key] = one.version
        for (connection_id, hides), versions in groups.items():
            async with self._parts.db.begin() as connection:
                await lost.forget(connection, connection_id, versions, hides=hides)

    async def _remove_strays(self, connection: AsyncConnection) -> Counter[Damage]:
        """Delete at once: they were garbage for a minute, or never live."""
        counts: Counter[Damage] = Counter()
        after = 0
        while page := await audit.strays(connection, after=after, limit=PAGE):
            after = page[-1]
            found = self._parts.index.stored(self._table_id, page)
            there = [one.version async for one in found]
            counts[Damage.STRAY] += len(there)
            if self._repair and there:
                async with maintainer(self._parts.db, self._id, waits=True):
                    await self._parts.index.delete_versions(self._table_id, there)
        return +counts


def damage_of(one: Committed, found: StoredVersion | None) -> Damage | None:
    """Say what is wrong with the chunks of a committed version."""
    if found is None:
        return Damage.MISSING if one.chunk_count else None
    whose = (found.connection_id, found.entity_key)
    if not found.is_uniform or whose != (one.connection_id, one.entity_key):
        return Damage.FOREIGN
    if found.ordinals != one.chunk_count or found.highest != one.chunk_count - 1:
        return Damage.INCOMPLETE
    if found.chunks != found.ordinals:
        return Damage.DOUBLED
    return Damage.MISLABELLED if found.inserted_by != one.inserted_by else None
