"""A demo source that spreads its entities evenly over a given time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import (
    TOPICS,
    date_of,
    numbers,
    paragraph,
    version_of,
)

_CHECKPOINTS = 100


class TimedConfig(Config):
    entity_count: int = Field(
        100,
        ge=1,
        le=10_000,
        title="Entity count",
        description="How many entities to generate.",
    )
    duration_seconds: float = Field(
        10.0,
        ge=0.1,
        le=600,
        title="Duration (seconds)",
        description="How long a run takes; the entities are spread evenly over it.",
    )
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )


class TimedCredentials(Config):
    timed_key: str = Field(
        "timed",
        title="Timed key",
        description="Any value: the demo source does not check it.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


class TimedSource(Source):
    """A full listing whose pace is known: for trying out progress and cancelling."""

    info = SourceInfo(
        short_name="timed",
        name="Timed",
        description="Generates entities evenly over a given time.",
        entity_types=("TimedContainerEntity", "TimedEntity"),
        labels=("Demo",),
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = TimedConfig
    credentials_model = TimedCredentials
    config: TimedConfig

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the container and the entities; a resumed run waits for the rest only.

        Entity i of n is due at (i + 1) / n of the duration.
        """
        count = self.config.entity_count
        done = min(int((cursor or {}).get("index", 0)), count)
        pause = self.config.duration_seconds / count
        clock = asyncio.get_running_loop().time
        start = clock() - done * pause
        every = max(1, count // _CHECKPOINTS)
        yield ScopeStart()
        if done == 0:
            yield Upsert(_container(self.config))
        for index in range(done, count):
            await asyncio.sleep(max(0.0, start + (index + 1) * pause - clock()))
            yield Upsert(_entity(self.config, index))
            if (index + 1) % every == 0:
                yield Checkpoint({"index": index + 1})
        yield ScopeEnd()


def _container(config: TimedConfig) -> Entity:
    return Entity(
        type="TimedContainerEntity",
        source_id=f"timed-{config.seed}",
        name="Timed container",
        text="Holds the entities of the timed demo source.",
        source_version="1",
        created_at=date_of(0),
        updated_at=date_of(0),
        raw={"seed": config.seed},
    )


def _entity(config: TimedConfig, index: int) -> Entity:
    chance = numbers(config.seed, "timed", index)
    topic = chance.choice(TOPICS)
    parent = f"timed-{config.seed}"
    return Entity(
        type="TimedEntity",
        source_id=f"{parent}-{index}",
        name=f"{topic} {index}",
        text=paragraph(chance, 3),
        source_version=version_of(config.seed),
        created_at=date_of(index),
        updated_at=date_of(index),
        breadcrumbs=(Breadcrumb(parent, "Timed container", "TimedContainerEntity"),),
        raw={"sequence_number": index, "seed": config.seed, "topic": topic},
    )
