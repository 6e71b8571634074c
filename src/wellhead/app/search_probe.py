"""What `wellhead doctor` says of the speed and the exactness of searches."""

import asyncio
from pathlib import Path
from uuid import UUID

import psycopg

from wellhead.app.home import Home
from wellhead.app.local import database
from wellhead.app.processes import database_url
from wellhead.app.settings import Settings
from wellhead.domain.errors import StartError
from wellhead.index.lance_probe import DEPTH, Probe, probe_tables
from wellhead.index.lance_upkeep import Upkeep

QUERIES = 30
LEAST_RECALL = 0.9


def searches(settings: Settings, *, least_chunks: int | None = None) -> str:
    """Ask large collections for what they hold. Raises StartError if much is missed.

    The smaller ones have no vector index: all their vectors are compared.
    """
    least = Upkeep().vector_rows if least_chunks is None else least_chunks
    folder = Home(settings.data_dir).index
    try:
        probes = asyncio.run(_probes(folder, least)) if folder.exists() else []
    except (RuntimeError, ValueError) as error:
        raise StartError(f"a table cannot be searched: {error}") from error
    if not probes:
        return (
            f"exact: no collection has {least:,} chunks, from which on one is indexed"
        )
    names = _names(settings)
    told = "; ".join(_told(one, names.get(one.table, one.table)) for one in probes)
    if any(one.recall is not None and one.recall < LEAST_RECALL for one in probes):
        raise StartError(f"{told}: the vector index misses too much")
    return told


async def _probes(folder: Path, least: int) -> list[Probe]:
    found = probe_tables(folder, queries=QUERIES, least_chunks=least)
    return [one async for one in found]


def _names(settings: Settings) -> dict[str, str]:
    with (
        database(settings) as running,
        psycopg.connect(database_url(running), connect_timeout=10) as connection,
    ):
        rows = connection.execute(
            "SELECT coalesce(table_id, id), readable_id FROM collection"
        ).fetchall()
    return {UUID(str(one)).hex: name for one, name in rows}


def _told(one: Probe, name: str) -> str:
    exactness = (
        "exact, as the vector index is not made yet"
        if one.recall is None
        else f"{one.recall:.1%} of the {DEPTH} nearest found"
    )
    semantic, keyword = one.semantic_seconds * 1000, one.keyword_seconds * 1000
    return (
        f"{name}: {one.chunks:,} chunks, {semantic:.0f} ms by meaning, "
        f"{keyword:.0f} ms by words, {exactness}"
    )
