"""A demo source that generates text and files of several sizes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from pydantic import Field, model_validator

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Blob, Breadcrumb, Entity
from wellhead.domain.errors import JobError
from wellhead.domain.items import Checkpoint, Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source, SourceInfo
from wellhead.sources.demo import (
    TOPICS,
    StubCredentials,
    TemporaryFiles,
    date_of,
    numbers,
    paragraph,
    sentence,
    version_of,
)

_CHECKPOINT_EVERY = 100
_SPECIAL_TOKENS = "<|endoftext|> <|im_start|> [CLS] [SEP] <s> </s> <pad>"
_SENTENCES = {
    "SmallStubEntity": 2,
    "MediumStubEntity": 12,
    "LargeStubEntity": 80,
    "SmallStubFileEntity": 10,
    "LargeStubFileEntity": 400,
    "CodeStubFileEntity": 6,
}


def _weight(default: int, what: str) -> Any:
    return Field(
        default,
        ge=0,
        le=1_000,
        title=f"{what[0].upper()}{what[1:]} weight",
        description=f"How often a {what} is generated, relative to the others.",
    )


class StubConfig(Config):
    entity_count: int = Field(
        10,
        ge=1,
        le=100_000,
        title="Entity count",
        description="How many entities to generate.",
    )
    seed: int = Field(
        42, title="Seed", description="The same seed gives the same content."
    )
    generation_delay_ms: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Delay (milliseconds)",
        description="How long to wait before each entity.",
    )
    small_entity_weight: int = _weight(30, "small entity")
    medium_entity_weight: int = _weight(30, "medium entity")
    large_entity_weight: int = _weight(10, "large entity")
    small_file_weight: int = _weight(15, "small file")
    large_file_weight: int = _weight(5, "large file")
    code_file_weight: int = _weight(10, "code file")
    inject_special_tokens: bool = Field(
        default=False,
        title="Inject special tokens",
        description="Mix the special tokens of language models into the text.",
    )
    custom_content_prefix: str | None = Field(
        None,
        title="Content prefix",
        description="Put in front of the content of every entity.",
    )
    fail_after: int = Field(
        -1,
        ge=-1,
        title="Fail after",
        description="Fail the run after this many entities; -1 means never.",
    )

    @model_validator(mode="after")
    def _weighs_something(self) -> "StubConfig":
        if not any(self.weights):
            raise ValueError("at least one weight must be above 0")
        return self

    @property
    def weights(self) -> list[int]:
        """The weights, in the order of the entity types."""
        return [
            self.small_entity_weight,
            self.medium_entity_weight,
            self.large_entity_weight,
            self.small_file_weight,
            self.large_file_weight,
            self.code_file_weight,
        ]


class StubSource(Source):
    """A full listing in every run; the nth entity depends on seed and n only."""

    info = SourceInfo(
        short_name="stub",
        name="Stub",
        description="Generates text and files of several sizes.",
        entity_types=("StubContainerEntity", *_SENTENCES),
        labels=("Demo",),
        tested=Tested.FAKE,
        is_demo=True,
    )
    config_model = StubConfig
    credentials_model = StubCredentials
    config: StubConfig

    def __init__(self, config: StubConfig, credentials: StubCredentials) -> None:
        super().__init__(config, credentials)
        self._files = TemporaryFiles()

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield the container and the entities, from where the token says."""
        done = int((cursor or {}).get("index", 0))
        fail_after = self.config.fail_after
        yield ScopeStart()
        if done == 0:
            yield Upsert(_container(self.config))
        for index in range(done, self.config.entity_count):
            if index == fail_after:
                raise JobError(f"the stub failed after {index} entities, as configured")
            # also without a delay others get their turn
            await asyncio.sleep(self.config.generation_delay_ms / 1000)
            yield Upsert(_entity(self.config, index, self._files))
            if (index + 1) % _CHECKPOINT_EVERY == 0:
                yield Checkpoint({"index": index + 1})
        yield ScopeEnd()

    async def close(self) -> None:
        await asyncio.to_thread(self._files.close)


def _container(config: StubConfig) -> Entity:
    return Entity(
        type="StubContainerEntity",
        source_id=f"stub-{config.seed}",
        name="Stub container",
        text="Holds the entities of the stub demo source.",
        source_version="1",
        created_at=date_of(0),
        updated_at=date_of(0),
        raw={"seed": config.seed},
    )


def _entity(config: StubConfig, index: int, files: TemporaryFiles) -> Entity:
    chance = numbers(config.seed, "stub", index)
    kind = chance.choices(list(_SENTENCES), config.weights)[0]
    topic = chance.choice(TOPICS)
    parent = f"stub-{config.seed}"
    content = partial(_content, config, kind, index)
    blob = _blob(files, kind, index, content)
    return Entity(
        type=kind,
        source_id=f"{parent}-{index}",
        name=blob.name if blob else f"{topic} {index}",
        text=None if blob else content(),
        blob=blob,
        source_version=version_of(
            config.seed, config.custom_content_prefix, config.inject_special_tokens
        ),
        created_at=date_of(index),
        updated_at=date_of(index),
        breadcrumbs=(Breadcrumb(parent, "Stub container", "StubContainerEntity"),),
        raw={"sequence_number": index, "seed": config.seed, "topic": topic},
    )


def _blob(
    files: TemporaryFiles, kind: str, index: int, content: Callable[[], str]
) -> Blob | None:
    if "File" not in kind:
        return None
    ending = "py" if kind.startswith("Code") else "md"
    return files.blob(f"stub-{index}.{ending}", lambda: content().encode())


def _content(config: StubConfig, kind: str, index: int) -> str:
    chance = numbers(config.seed, kind, index)
    count = _SENTENCES[kind]
    text = _code(chance, count) if kind.startswith("Code") else paragraph(chance, count)
    comment = "# " if kind.startswith("Code") else ""
    if config.custom_content_prefix:
        text = f"{comment}{config.custom_content_prefix}\n\n{text}"
    if config.inject_special_tokens:
        text = f"{text}\n\n{comment}{_SPECIAL_TOKENS}\n"
    return text


def _code(chance: Any, functions: int) -> str:
    return "\n\n".join(
        f'def step_{number}(flow: float) -> float:\n    """{sentence(chance)}"""\n'
        f"    return flow * {chance.randint(2, 99)}\n"
        for number in range(functions)
    )
