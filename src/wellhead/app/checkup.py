"""What `wellhead doctor` finds out about an installation."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from pydantic import SecretStr

from wellhead.app import logs
from wellhead.app.embedders import choose_embedder
from wellhead.app.home import Home
from wellhead.app.local import database
from wellhead.app.processes import database_url
from wellhead.app.search_probe import searches
from wellhead.app.settings import Settings, variable
from wellhead.app.wiring import open_parts
from wellhead.domain.embedding import same_passages
from wellhead.domain.errors import StartError, WellheadError
from wellhead.index.lance_manifest import missing_files
from wellhead.sources.registry import Registry
from wellhead.store import migrate, reembeddings, stale_passages
from wellhead.store.reading import Reader
from wellhead.worker.scrub import Damage, Finding, ScrubReport, scrub

Check = dict[str, Any]


def list_settings(settings: Settings, options: Sequence[str] = ()) -> list[Check]:
    """Return every setting with its value and where that comes from."""
    return [
        {
            "name": variable(name),
            "value": _shown(getattr(settings, name)),
            "from": _origin(settings, name, options),
            "description": field.description,
        }
        for name, field in type(settings).model_fields.items()
    ]


def whose_settings(settings: Settings) -> str:
    """Say whose settings these are: a server may have been started with others."""
    served = Home(settings.data_dir).served()
    said = "These are the settings that this command was given."
    if served is None:
        return said
    return f"{said} The server at {served.url} has those that it was started with."


def _origin(settings: Settings, name: str, options: Sequence[str]) -> str:
    if name in options:
        return "option"
    return "environment" if name in settings.model_fields_set else "default"


def _shown(value: object) -> str:
    if value is None:
        return ""
    return "(secret)" if isinstance(value, SecretStr) else str(value)


def check_all(settings: Settings) -> list[Check]:
    return [
        *_try("data directory", lambda: _data_dir(settings)),
        *_try("free disk", lambda: _disk(settings)),
        *_try("database", lambda: _database(settings)),
        *_try("index", lambda: _index(settings)),
        *_try("search", lambda: searches(settings)),
        *_try("embedder", lambda: asyncio.run(_embedder(settings))),
        *_try("vectors", lambda: _vectors(settings)),
        *_try("sources", lambda: _sources(settings)),
    ]


def _try(name: str, find: Callable[[], str]) -> Iterator[Check]:
    try:
        yield {"check": name, "ok": True, "found": find()}
    except (WellheadError, OSError, psycopg.Error) as error:
        yield {"check": name, "ok": False, "found": str(error)}


def _data_dir(settings: Settings) -> str:
    path = settings.data_dir
    if not path.exists():
        return f"{path} will be made at the first start"
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartError(f"{path} is not writable for user {os.geteuid()}")
    served = Home(path).served()
    return str(path) if served is None else f"{path}, served at {served.url}"


def _disk(settings: Settings) -> str:
    path = settings.data_dir
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    said = f"{free / 2**30:.1f} GiB free, {settings.min_free_bytes / 2**30:.1f} needed"
    if free < settings.min_free_bytes:
        raise StartError(said)
    return said


def _database(settings: Settings) -> str:
    is_new = not (settings.data_dir / "postgres").exists()
    if settings.database_url is None and is_new:
        return "the embedded one will be made at the first start"
    with database(settings) as running:
        url = database_url(running)
        schema = migrate.current(url)
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.parameter_status("server_version")
    return f"PostgreSQL {version}, schema {schema or 'not made yet'}"


def _index(settings: Settings) -> str:
    folder = Home(settings.data_dir).index
    if not folder.exists():
        return f"{folder} will be made at the first start"
    tables = [one for one in folder.iterdir() if one.suffix == ".lance"]
    missing = [file for table in tables for file in missing_files(table)]
    if missing:
        raise StartError(
            f"{len(missing)} files are missing, such as {missing[0]}: put them back, "
            "or see what `wellhead doctor --scrub --dry-run` finds"
        )
    return f"{folder}, {len(tables)} tables"


async def _embedder(settings: Settings) -> str:
    embedder = choose_embedder(settings)
    try:
        vector = await embedder.embed_query("is anybody there?")
    finally:
        await embedder.close()
    if vector.nbytes != embedder.dimension * 4:
        raise StartError(f"{embedder.name} gave {vector.nbytes} bytes")
    return f"{embedder.name}, {embedder.dimension} dimensions"


def _vectors(settings: Settings) -> str:
    """Tell whether all vectors are this embedder's, and how far that is."""
    is_new = not (settings.data_dir / "postgres").exists()
    if settings.database_url is None and is_new:
        return "none yet"
    with database(settings) as running:
        url = database_url(running)
        if migrate.current(url) is None:
            return "none yet"
        return asyncio.run(_vectors_in(settings, url))


async def _vectors_in(settings: Settings, url: str) -> str:
    embedder = choose_embedder(settings)
    reads = Reader(url)
    await reads.open()
    try:
        others = await reembeddings.concerned(reads, embedder.name, embedder.dimension)
        under_way = await reembeddings.under_way(reads)
        stale = await stale_passages.by_connection(reads, same_passages(embedder))
    finally:
        await reads.close()
        await embedder.close()
    stuck = [f"{one.readable_id}: {one.error}" for one in under_way if one.error]
    if stuck:
        raise StartError(f"embedding anew does not go on: {'; '.join(stuck)}")
    said = [f"{one.readable_id} {one.percent} %" for one in under_way]
    waiting = len(others) - len(under_way)
    said += [f"{waiting} collections wait for a worker"] if waiting else []
    told = f"all of {embedder.name}"
    if said:
        told = f"embedding anew with {embedder.name}: {', '.join(said)}"
    if stale:
        entities = sum(one.entities for one in stale)
        told += f"; {entities} entities were cut otherwise, see `wellhead reindex`"
    return told


def _sources(settings: Settings) -> str:
    found = Registry.load(include_demo=settings.enable_demo_sources).all()
    names = ", ".join(one.info.short_name for one in found)
    demo = "listed" if settings.enable_demo_sources else "hidden"
    return f"{names} (demo sources {demo})"


EXPLAINED = {
    Damage.MISSING: ("entities without their chunks", "the next job writes them anew"),
    Damage.INCOMPLETE: (
        "entities with a part of their chunks",
        "hidden; the next job writes them anew",
    ),
    Damage.FOREIGN: (
        "entities whose chunks name another",
        "hidden; the next job writes them anew",
    ),
    Damage.DOUBLED: ("entities with doubled chunks", "the next job writes them anew"),
    Damage.MISLABELLED: (
        "entities whose chunks name a wrong job",
        "the next job writes them anew",
    ),
    Damage.STRAY: ("versions that the ledger does not know", "removed"),
    Damage.NO_TABLE: ("table that is missing", "the next job makes it anew"),
    Damage.UNREADABLE: ("table that cannot be read", ""),
    Damage.STRAY_TABLE: ("tables of no collection", "dropped"),
    Damage.OWNERLESS: ("rows of no connection or collection", "removed"),
    Damage.CONDEMNED: ("live versions about to be thrown away", "kept"),
    Damage.STRANDED: ("half-written versions of no open job", "made garbage"),
    Damage.OVERDUE: ("versions that should have left the index", "removed"),
    Damage.SEQUENCE: ("version numbers that would have been used twice", "skipped"),
}
_UNREADABLE_ADVICE = (
    "not repaired: restore a backup, or stop the server, move the table's folder away "
    "and scrub again; the next jobs fill a new one"
)


def scrub_all(settings: Settings, *, repair: bool) -> dict[str, Any]:
    """Compare the index with the ledger, on a running server or without one."""
    logs.configure(logging.ERROR, secrets=settings.secrets)
    is_new = not (settings.data_dir / "postgres").exists()
    if settings.database_url is None and is_new:
        raise StartError(f"there is nothing to scrub in {settings.data_dir} yet")
    with database(settings) as running:
        url = database_url(running)
        migrate.upgrade(url)
        return _told(asyncio.run(_scrub(running, url, repair=repair)), repair=repair)


async def _scrub(settings: Settings, url: str, *, repair: bool) -> ScrubReport:
    async with open_parts(settings, url) as parts:
        return await scrub(parts, repair=repair)


def _told(report: ScrubReport, *, repair: bool) -> dict[str, Any]:
    return {
        "dry_run": not repair,
        "is_well": report.is_well,
        "entities": report.entities,
        "versions": report.versions,
        "findings": [_finding(one) for one in report.findings],
        "waiting_for_a_job": report.waiting,
        "connections_to_run": [str(one) for one in report.to_run],
    }


def _finding(one: Finding) -> dict[str, Any]:
    what, repair = EXPLAINED[one.damage]
    said = f" ({one.said})" if one.said else ""
    done = repair if one.is_repaired else "not repaired (dry run)"
    if one.damage is Damage.UNREADABLE:
        done = _UNREADABLE_ADVICE
    return {
        "damage": one.damage.value,
        "collection": one.collection,
        "count": one.count,
        "found": what + said,
        "is_repaired": one.is_repaired,
        "repair": done,
    }
