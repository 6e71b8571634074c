"""`wellhead sync --dry-run`: lists a source from here and writes nothing."""

import asyncio
import math
import os
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from wellhead.app.cli.output import facts
from wellhead.app.cli.server import CommandError
from wellhead.app.cli.target import Target
from wellhead.app.settings import load
from wellhead.domain.entities import Entity
from wellhead.domain.errors import NotFoundError, SyncError
from wellhead.domain.files import DOCUMENT_SUFFIXES, readable_suffix
from wellhead.domain.items import Failure, Shown
from wellhead.sources.base import Source
from wellhead.sources.registry import Registry
from wellhead.sources.surroundings import Surroundings

CHUNK_CHARACTERS = 520
"""Passages end at good places, so they are shorter than the model could read."""
DOCUMENT_TEXT_SHARE = 0.05
CHUNKS_PER_CPU_SECOND = 24


def count(target: Target, data_dir: Path | None) -> dict[str, Any]:
    """Return how much there is, and about how long it would take."""
    settings = load(data_dir=data_dir)
    registry = Registry.load(include_demo=settings.enable_demo_sources)
    try:
        source = registry.get(target.short_name).create(
            target.config,
            target.credentials,
            Surroundings(allow_private=settings.sources_allow_private),
        )
        found = asyncio.run(_count(source))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        raise CommandError(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)
        ) from None
    except (SyncError, NotFoundError) as error:
        raise CommandError(str(error)) from error
    chunks = found["chunks"]
    seconds = chunks / CHUNKS_PER_CPU_SECOND / len(os.sched_getaffinity(0))
    return {
        "source": target.short_name,
        "items": found["items"],
        "bytes": found["bytes"],
        "failures": found["failures"],
        "unreadable": found["unreadable"],
        "by_type": dict(found["types"].most_common()),
        "estimated_chunks": chunks,
        "estimated_seconds": round(seconds, 1),
    }


async def _count(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(
        ("items", "bytes", "failures", "unreadable", "chunks"), 0
    )
    types: Counter[str] = Counter()
    try:
        await source.check()
        async for item in source.read(None):
            if isinstance(item, Failure):
                found["failures"] += 1
            if isinstance(item, Shown):
                entity = item.entity
                size, text = _size(entity)
                found["items"] += 1
                found["bytes"] += size
                found["chunks"] += math.ceil((text or 0) / CHUNK_CHARACTERS)
                found["unreadable"] += text is None
                types[_kind(entity)] += 1
    finally:
        await source.close()
    return found | {"types": types}


def _size(entity: Entity) -> tuple[int, float | None]:
    """Return bytes, and about how many of them are text; None if it is not read."""
    said = len((entity.text or "").encode("utf-8", "replace"))
    if entity.blob is None:
        return said, said
    suffix = readable_suffix(entity.blob.name, entity.blob.media_type)
    if suffix is None:
        return said + entity.blob.size, None
    share = DOCUMENT_TEXT_SHARE if suffix in DOCUMENT_SUFFIXES else 1
    return said + entity.blob.size, said + entity.blob.size * share


def _kind(entity: Entity) -> str:
    if entity.blob is None:
        return entity.type
    return PurePosixPath(entity.blob.name).suffix.lower() or "(no suffix)"


def report(data: dict[str, Any]) -> Any:
    types = ", ".join(f"{many} {kind}" for kind, many in data["by_type"].items())
    return facts(data | {"by_type": types})
