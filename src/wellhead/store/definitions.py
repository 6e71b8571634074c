"""Definitions of sources in the ledger, which all processes share."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.catalogue import KeptDefinition
from wellhead.store.schema import source_connection
from wellhead.store.schema_definitions import source_definition

_t = source_definition.c


async def digests(connection: AsyncConnection) -> dict[str, str]:
    """Return, by short name, what tells one text from another."""
    rows = await connection.execute(select(_t.short_name, _t.digest))
    return {row.short_name: row.digest for row in rows}


async def read(
    connection: AsyncConnection, short_names: Iterable[str]
) -> list[KeptDefinition]:
    query = select(source_definition).where(_t.short_name.in_(list(short_names)))
    return [KeptDefinition(**row._asdict()) for row in await connection.execute(query)]


async def hold(
    connection: AsyncConnection, short_name: str, *, to_change: bool = False
) -> KeptDefinition | None:
    """Return one, locked: it stays until the end of the caller's transaction.

    Connections hold it while they are made, so that it is not removed meanwhile.
    """
    query = select(source_definition).where(_t.short_name == short_name)
    found = await connection.execute(query.with_for_update(read=not to_change))
    row = found.one_or_none()
    return None if row is None else KeptDefinition(**row._asdict())


async def add(connection: AsyncConnection, new: KeptDefinition) -> bool:
    """Write a definition, unless there is one of its name; waits for who is adding it.

    Returns whether it was written.
    """
    done = await connection.execute(
        insert(source_definition)
        .values(**asdict(new))
        .on_conflict_do_nothing()
        .returning(_t.short_name)
    )
    return done.one_or_none() is not None


async def replace(connection: AsyncConnection, new: KeptDefinition) -> None:
    await connection.execute(
        update(source_definition)
        .where(_t.short_name == new.short_name)
        .values(**asdict(new))
    )


async def remove(connection: AsyncConnection, short_name: str) -> None:
    await connection.execute(
        delete(source_definition).where(_t.short_name == short_name)
    )


async def connections_of(connection: AsyncConnection, short_name: str) -> int:
    """Count the connections that use a source, in all organizations."""
    query = select(func.count()).where(source_connection.c.short_name == short_name)
    return int((await connection.execute(query)).scalar_one())
