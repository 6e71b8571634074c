"""Reading anew what was cut into other passages than it would be now."""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from wellhead.domain.embedding import same_passages
from wellhead.domain.errors import ConflictError, NotFoundError
from wellhead.services import runs
from wellhead.services.parts import Parts
from wellhead.store import lost, reembeddings, stale_passages
from wellhead.store.reembeddings import Reembedding
from wellhead.store.stale_passages import StaleConnection

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a reindex would read and embed, and what is embedded anew anyway."""

    embedder: str
    connections: list[StaleConnection]
    under_way: list[Reembedding]

    @property
    def entities(self) -> int:
        return sum(one.entities for one in self.connections)

    @property
    def passages(self) -> int:
        return sum(one.passages for one in self.connections)


async def cost_of(parts: Parts) -> Cost:
    """Count before anything is done; passages as they are cut now."""
    same = same_passages(parts.embedder)
    return Cost(
        embedder=parts.embedder.name,
        connections=await stale_passages.by_connection(parts.reads, same),
        under_way=await reembeddings.under_way(parts.reads),
    )


async def reindex(parts: Parts, cost: Cost) -> list[UUID]:
    """Let full jobs read these connections and write all of it anew; returns the jobs.

    What is searched stays as it is until its entity is written. Where a job is open,
    or credentials are missing, the next job does it.
    """
    started: list[UUID] = []
    for one in cost.connections:
        await _forget_hashes(parts, one.connection_id)
        with suppress(ConflictError, NotFoundError):
            job = await runs.start_run(
                parts, one.organization_id, one.connection_id, force_full=True
            )
            started.append(job.id)
    return started


async def _forget_hashes(parts: Parts, connection_id: UUID) -> None:
    same = same_passages(parts.embedder)
    while True:
        async with parts.db.begin() as connection:
            found = await stale_passages.page(
                connection, connection_id, same, limit=PAGE
            )
            if not await lost.forget(connection, connection_id, found, hides=False):
                return
