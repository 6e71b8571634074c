"""Files that declare sources, as commands read, check and add them."""

from pathlib import Path
from typing import Any

from wellhead.app.cli.local import ask_database
from wellhead.app.cli.server import CommandError
from wellhead.services import definitions, organizations
from wellhead.services.parts import Parts
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.marks import DefinitionError
from wellhead.sources.declared.source import source_of


def read(file: Path) -> str:
    """Return the text of a definition that is good; raises CommandError."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    try:
        load(text)
    except DefinitionError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise CommandError(f"{file} is no definition of a source:\n{lines}") from error
    return text


def checked(file: Path) -> dict[str, Any]:
    """Return what a file declares; raises CommandError."""
    info = source_of(load(read(file))).info
    return {
        "short_name": info.short_name,
        "name": info.name,
        "entity_types": list(info.entity_types),
        "is_incremental": info.is_incremental,
    }


def add_locally(text: str, data_dir: Path | None, *, replace: bool) -> dict[str, Any]:
    """Add it in the database itself, whether a server runs or not."""

    async def ask(parts: Parts) -> dict[str, Any]:
        first = await organizations.ensure_organization(parts)
        kept = await definitions.add(parts, first.id, text, replace=replace)
        return {"short_name": kept.short_name}

    return ask_database(data_dir, ask)


def remove_locally(short_name: str, data_dir: Path | None) -> dict[str, Any]:
    async def ask(parts: Parts) -> dict[str, Any]:
        first = await organizations.ensure_organization(parts)
        await definitions.remove(parts, first.id, short_name)
        return {"short_name": short_name}

    return ask_database(data_dir, ask)
