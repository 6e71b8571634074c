"""A demo source of very many small entities, each made in microseconds."""

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import DID, WHAT, WHO, WHY, StubCredentials, date_of

_CHECKPOINT_EVERY = 500
_SHARES = 2**32
_MINUTES_OF_A_YEAR = 365 * 24 * 60


class BulkStubConfig(Config):
    entity_count: int = Field(
        1_000,
        ge=1,
        le=10_000_000,
        title="Entity count",
        description="How many entities to generate.",
    )
    sentences: int = Field(
        1,
        ge=1,
        le=1_000,
        title="Sentences",
        description="How long the text of each entity is.",
    )
    revision: int = Field(
        0,
        ge=0,
        le=1_000,
        title="Revision",
        description="Raise it by one to change some of the entities.",
    )
    changed_percent: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Changed (percent)",
        description="How many of the entities each revision changes.",
    )
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )


class BulkStubSource(Source):
    """A full listing in every run; a resumed one goes on at its checkpoint."""

    info = SourceInfo(
        short_name="bulk_stub",
        name="Bulk stub",
        description="Generates very many small entities, very quickly.",
        entity_types=("BulkStubEntity",),
        labels=("Demo",),
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = BulkStubConfig
    credentials_model = StubCredentials
    config: BulkStubConfig

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the entities, from where the token says."""
        done = int((cursor or {}).get("index", 0))
        yield ScopeStart()
        for index in range(done, self.config.entity_count):
            yield Upsert(_entity(self.config, index))
            if (index + 1) % _CHECKPOINT_EVERY == 0:
                yield Checkpoint({"index": index + 1})
        yield ScopeEnd()


def _entity(config: BulkStubConfig, index: int) -> Entity:
    chance = _chance(config.seed, index, 0)
    revision = _last_change(config, index)
    moment = date_of(0) + timedelta(minutes=index % _MINUTES_OF_A_YEAR)
    return Entity(
        type="BulkStubEntity",
        source_id=f"bulk-{config.seed}-{index}",
        name=f"Note {index}",
        text=" ".join(
            [
                f"Note {index}, revision {revision}.",
                *(_sentence(chance >> 12 * n) for n in range(config.sentences)),
            ]
        ),
        source_version=f"{revision}-{config.sentences}",
        created_at=moment,
        updated_at=moment + timedelta(days=revision),
        raw={"sequence_number": index, "revision": revision},
    )


def _last_change(config: BulkStubConfig, index: int) -> int:
    """Return the last revision that changed this entity, 0 if none did."""
    limit = config.changed_percent / 100 * _SHARES
    for revision in range(config.revision, 0, -1):
        if _chance(config.seed, index, revision) % _SHARES < limit:
            return revision
    return 0


def _chance(seed: int, index: int, revision: int) -> int:
    digest = blake2b(f"{seed} {index} {revision}".encode(), digest_size=64).digest()
    return int.from_bytes(digest)


def _sentence(chance: int) -> str:
    """Pick by twelve bits; past the last bit it is always the same sentence."""
    picks = (choices[chance >> 3 * n & 7] for n, choices in enumerate(_PARTS))
    return f"{' '.join(picks)}."


_PARTS = (WHO, DID, WHAT, WHY)
