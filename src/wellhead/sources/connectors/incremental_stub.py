"""A demo source that continues where its last run ended."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
    Upsert,
)
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import (
    TOPICS,
    StubCredentials,
    date_of,
    numbers,
    paragraph,
    version_of,
)

_CHECKPOINT_EVERY = 100
_CONTAINER = "IncrementalStubContainerEntity"
_ENTITY = "IncrementalStubEntity"


class IncrementalStubConfig(Config):
    entity_count: int = Field(
        5,
        ge=0,
        le=100_000,
        title="Entity count",
        description="How many entities exist; raise it to see an incremental run.",
    )
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )


class IncrementalStubSource(Source):
    """Cursor {"last_index": n}: the next run begins with entity n + 1."""

    info = SourceInfo(
        short_name="incremental_stub",
        name="Incremental stub",
        description="Generates only what is new since its last run.",
        entity_types=(_CONTAINER, _ENTITY),
        labels=("Demo",),
        supports_continuous=True,
        is_incremental=True,
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = IncrementalStubConfig
    credentials_model = StubCredentials
    config: IncrementalStubConfig

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the container in every run, then the entities after the cursor.

        A token from the midst of a full listing says so, for that listing is
        complete at its end, whereas an incremental one never is.
        """
        count = self.config.entity_count
        is_full = cursor is None or bool(cursor.get("is_full"))
        last = int((cursor or {}).get("last_index", 0))
        yield ScopeStart()
        yield Upsert(self._container())
        for index in range(last + 1, count + 1):
            yield Upsert(self._entity(index))
            if index % _CHECKPOINT_EVERY == 0:
                yield Checkpoint(
                    {"last_index": index} | ({"is_full": True} if is_full else {})
                )
        yield ScopeEnd(complete=is_full)
        yield Checkpoint({"last_index": max(last, count)})

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Yield the named ones anew; what no longer exists as Delete."""
        known = {entity.source_id: entity for entity in map(self._entity, self._all())}
        known[self._parent] = self._container()
        for ref in refs:
            entity = known.get(ref.source_id)
            yield Upsert(entity) if entity else Delete(ref)

    async def ids(self) -> AsyncIterator[Item]:
        """Yield everything that exists."""
        yield ScopeStart()
        yield Seen(Ref(_CONTAINER, self._parent))
        for index in self._all():
            yield Seen(Ref(_ENTITY, f"{self._parent}-{index}"))
        yield ScopeEnd(confirmed_empty=False)

    def _all(self) -> range:
        return range(1, self.config.entity_count + 1)

    @property
    def _parent(self) -> str:
        return f"incremental-stub-{self.config.seed}"

    def _container(self) -> Entity:
        return Entity(
            type=_CONTAINER,
            source_id=self._parent,
            name="Incremental stub container",
            text="Holds the entities of the incremental demo source.",
            source_version="1",
            created_at=date_of(0),
            updated_at=date_of(0),
            raw={"seed": self.config.seed},
        )

    def _entity(self, index: int) -> Entity:
        chance = numbers(self.config.seed, "incremental", index)
        topic = chance.choice(TOPICS)
        return Entity(
            type=_ENTITY,
            source_id=f"{self._parent}-{index}",
            name=f"{topic} {index}",
            text=paragraph(chance, 3),
            source_version=version_of(self.config.seed),
            created_at=date_of(index),
            updated_at=date_of(index),
            breadcrumbs=(
                Breadcrumb(self._parent, "Incremental stub container", _CONTAINER),
            ),
            raw={"index": index, "seed": self.config.seed, "topic": topic},
        )
