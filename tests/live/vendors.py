"""What tests of the vendors themselves share: they run for whoever gives an account."""

import os
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from wellhead.domain.entities import Entity
from wellhead.domain.errors import CredentialsError
from wellhead.domain.items import Checkpoint, Failure, Upsert
from wellhead.sources.base import Source


@dataclass
class Some:
    """What was read, the first few hundred at most."""

    entities: list[Entity] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    last: Checkpoint | None = None


def given(name: str, whom: str) -> str:
    """Return what somebody gave; else the test is skipped."""
    found = os.environ.get(name, "")  # noqa: TID251  # an opt-in of whoever runs it
    if not found:
        pytest.skip(f"{name} is not set: this asks {whom}")
    return found


async def read_some(source: Source, cursor: dict[str, Any] | None, most: int) -> Some:
    found = Some()
    async with aclosing(source.read(cursor)) as items:  # type: ignore[type-var]
        async for item in items:
            if isinstance(item, Checkpoint):
                found.last = item
            elif isinstance(item, Upsert):
                found.entities.append(item.entity)
            elif isinstance(item, Failure):
                found.failures.append(item)
            if len(found.entities) >= most:
                break
    return found


def content(entity: Entity) -> str:
    if entity.blob is None:
        return entity.text or ""
    return entity.blob.open().read_text()


async def check_is_refused(source: Source, match: str | None = None) -> None:
    """Hold that the vendor refuses these credentials."""
    try:
        with pytest.raises(CredentialsError, match=match):
            await source.check()
    finally:
        await source.close()
