"""Hits of the index, checked against one snapshot of the ledger."""

from collections.abc import Callable, Hashable, Sequence
from uuid import UUID

from wellhead.domain.chunks import Hit
from wellhead.domain.principals import Principal
from wellhead.store.reading import Reads
from wellhead.store.visible import EntityId, verified_versions

Chunk = tuple[int, int]
"""A version and an ordinal: what names a chunk in the index."""
Name = Callable[[Hit], Hashable]
"""What tells a hit from others: of those that bear one name the best is shown."""


class Verifier:
    """Remembers which version of each entity may be shown in one search."""

    def __init__(
        self, reads: Reads, collection_id: UUID, principal: Principal | None
    ) -> None:
        self._reads = reads
        self._collection_id = collection_id
        self._principal = principal
        self._versions: dict[EntityId, int | None] = {}

    async def look_up(self, hits: Sequence[Hit]) -> None:
        """Ask the ledger for the entities of these hits that it was not asked for."""
        unknown = {entity_of(hit) for hit in hits} - self._versions.keys()
        if not unknown:
            return
        found = await verified_versions(
            self._reads, self._collection_id, unknown, principal=self._principal
        )
        self._versions |= {entity: found.get(entity) for entity in unknown}

    def live(self, hits: Sequence[Hit], name: Name | None = None) -> list[Hit]:
        """Return the hits of live versions, best first, one for each name.

        They must have been looked up. A hit is named by its chunk unless told
        otherwise. Equal scores are put in order of the chunk, so that every search of
        the same state ranks them alike.
        """
        named: dict[Hashable, Hit] = {}
        for hit in sorted(hits, key=_best_first):
            if self._versions[entity_of(hit)] == hit.version:
                named.setdefault((name or chunk_of)(hit), hit)
        return list(named.values())


def chunk_of(hit: Hit) -> Chunk:
    return hit.version, hit.ordinal


def entity_of(hit: Hit) -> EntityId:
    return hit.connection_id, hit.entity_key


def _best_first(hit: Hit) -> tuple[float, int, int]:
    return -hit.score, hit.version, hit.ordinal
