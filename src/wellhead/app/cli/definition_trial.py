"""`wellhead sources try`: reads a little of what a file declares, writes nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from wellhead.app.cli.definition_files import read
from wellhead.app.cli.server import CommandError
from wellhead.app.cli.target import read_pairs
from wellhead.domain.entities import Entity
from wellhead.domain.errors import SyncError
from wellhead.domain.items import Failure, Item, Upsert
from wellhead.sources.declared.definition import Definition
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.source import DeclaredSource, source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and how much of it."""

    file: Path
    config: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list, repr=False)
    stream: str | None = None
    limit: int = 5


def tried(trial: Trial) -> dict[str, Any]:
    """Return the first entities, as they would be stored; raises CommandError."""
    definition = load(read(trial.file))
    wanted = None
    if trial.stream is not None:
        if trial.stream not in definition.streams:
            known = ", ".join(definition.streams)
            raise CommandError(f"there is no stream '{trial.stream}'; known: {known}")
        wanted = definition.streams[trial.stream].type
        definition = _only(definition, trial.stream)
    try:
        source = source_of(definition).create(
            read_pairs(trial.config), read_pairs(trial.credentials)
        )
        return asyncio.run(_read(source, wanted, trial.limit))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        raise CommandError(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)
        ) from None
    except SyncError as error:
        raise CommandError(str(error)) from error


def told(data: dict[str, Any]) -> str:
    """Lay out what was read for people."""
    parts = []
    for one in data["entities"]:
        head = [f"--- {one['type']} {one['id']}", one["name"], one["url"]]
        parts.append("\n".join(filter(None, head)) + f"\n\n{one['text']}")
    parts += [f"--- failed: {one}" for one in data["failures"]]
    return "\n".join(parts) or "nothing was found"


def _only(definition: Definition, name: str) -> Definition:
    """Leave a stream, and those that it is read for."""
    kept = {}
    step: str | None = name
    while step is not None:
        kept[step] = definition.streams[step]
        step = definition.streams[step].for_each
    return definition.model_copy(update={"streams": kept})


async def _read(
    source: DeclaredSource, wanted: str | None, limit: int
) -> dict[str, Any]:
    entities: list[dict[str, Any]] = []
    failures: list[str] = []
    try:
        await source.check()
        items = cast(AsyncGenerator[Item], source.read(None))
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Failure):
                    failures.append(item.reason)
                elif isinstance(item, Upsert) and wanted in (None, item.entity.type):
                    entities.append(await asyncio.to_thread(_shown, item.entity))
                if len(entities) >= limit or len(failures) >= limit:
                    break
    finally:
        await source.close()
    return {"entities": entities, "failures": failures}


def _shown(entity: Entity) -> dict[str, Any]:
    text = entity.text if entity.blob is None else entity.blob.open().read_text("utf-8")
    return {
        "type": entity.type,
        "id": entity.source_id,
        "name": entity.name,
        "url": entity.url,
        "updated_at": None if entity.updated_at is None else str(entity.updated_at),
        "breadcrumbs": [one.name for one in entity.breadcrumbs],
        "text": text,
        "raw": entity.raw,
    }
