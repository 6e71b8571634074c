"""Source connections and their credentials in the ledger."""

from collections.abc import Collection as Ids
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Uuid,
    any_,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.connections import AuthMethod, SourceConnection
from wellhead.store.locks import Lock, locked
from wellhead.store.schema import collection, credential, source_connection

_COLUMNS = tuple(
    column
    for column in source_connection.c
    if column.name in SourceConnection.__dataclass_fields__
)


def _connection(row: Row[*tuple[Any, ...]]) -> SourceConnection:
    method = AuthMethod(row.auth_method)
    return SourceConnection(**{**row._asdict(), "auth_method": method})


def _select() -> Select[Any]:
    return select(
        *_COLUMNS, collection.c.readable_id.label("readable_collection_id")
    ).join(collection, collection.c.id == source_connection.c.collection_id)


async def add(connection: AsyncConnection, new: SourceConnection) -> None:
    await connection.execute(
        insert(source_connection).values(
            id=new.id,
            organization_id=new.organization_id,
            collection_id=new.collection_id,
            short_name=new.short_name,
            name=new.name,
            description=new.description,
            config=new.config,
            auth_method=new.auth_method.value,
            is_authenticated=new.is_authenticated,
            is_federated=new.is_federated,
            schedule_cron=new.schedule_cron,
            next_run_at=new.next_run_at,
            next_full_at=new.next_full_at,
            created_at=new.created_at,
            modified_at=new.modified_at,
        )
    )


async def find(
    connection: AsyncConnection,
    organization_id: UUID,
    connection_id: UUID,
    *,
    lock: Lock | None = None,
) -> SourceConnection | None:
    """Find what its organization may see: not what is being deleted."""
    query = _select().where(
        source_connection.c.id == connection_id,
        source_connection.c.organization_id == organization_id,
        source_connection.c.is_deleting.is_(False),
    )
    row = (
        await connection.execute(locked(query, lock, source_connection))
    ).one_or_none()
    return None if row is None else _connection(row)


async def get(
    connection: AsyncConnection, connection_id: UUID, *, lock: Lock | None = None
) -> SourceConnection | None:
    """Return it by its id, also while it is being deleted."""
    query = _select().where(source_connection.c.id == connection_id)
    row = (
        await connection.execute(locked(query, lock, source_connection))
    ).one_or_none()
    return None if row is None else _connection(row)


async def page(
    connection: AsyncConnection,
    organization_id: UUID,
    *,
    skip: int,
    limit: int,
    readable_collection_id: str | None,
) -> list[SourceConnection]:
    """List connections, newest first."""
    query = (
        _select()
        .where(
            source_connection.c.organization_id == organization_id,
            source_connection.c.is_deleting.is_(False),
        )
        .order_by(source_connection.c.created_at.desc(), source_connection.c.id)
        .offset(skip)
        .limit(limit)
    )
    if readable_collection_id is not None:
        query = query.where(collection.c.readable_id == readable_collection_id)
    return [_connection(row) for row in await connection.execute(query)]


async def in_collections(
    connection: AsyncConnection,
    collection_ids: Ids[UUID],
    *,
    lock: Lock | None = None,
) -> list[SourceConnection]:
    """Return all connections of these collections, oldest first."""
    if not collection_ids:
        return []
    query = (
        _select()
        .where(
            # one array, not one parameter for each: the query stays prepared
            source_connection.c.collection_id
            == any_(literal(list(collection_ids), ARRAY(Uuid))),
            source_connection.c.is_deleting.is_(False),
        )
        .order_by(source_connection.c.created_at, source_connection.c.id)
    )
    rows = await connection.execute(locked(query, lock, source_connection))
    return [_connection(row) for row in rows]


async def change(
    connection: AsyncConnection, connection_id: UUID, values: Mapping[str, Any]
) -> None:
    """Write these columns; who says that people see a change sets `modified_at`."""
    await connection.execute(
        update(source_connection)
        .where(source_connection.c.id == connection_id)
        .values(**values)
    )


async def mark_deleting(
    connection: AsyncConnection, connection_id: UUID, *, at: datetime
) -> None:
    """Hide it and take it off the schedule."""
    await change(
        connection,
        connection_id,
        {
            "is_deleting": True,
            "next_run_at": None,
            "next_full_at": None,
            "modified_at": at,
        },
    )


async def save_credential(
    connection: AsyncConnection,
    connection_id: UUID,
    ciphertext: bytes,
    *,
    at: datetime,
) -> None:
    """Store what the cipher made, in place of what was there."""
    row = {"ciphertext": ciphertext, "modified_at": at}
    await connection.execute(
        upsert(credential)
        .values(connection_id=connection_id, **row)
        .on_conflict_do_update(index_elements=["connection_id"], set_=row)
    )


async def ciphertext(
    connection: AsyncConnection, connection_id: UUID, *, for_update: bool = False
) -> bytes | None:
    """Return what the cipher made; locked, only one process can be replacing it."""
    query = select(credential.c.ciphertext).where(
        credential.c.connection_id == connection_id
    )
    if for_update:
        query = query.with_for_update()
    return (await connection.execute(query)).scalar_one_or_none()


async def take_due(
    connection: AsyncConnection, now: datetime, *, limit: int
) -> list[SourceConnection]:
    """Lock connections whose next run is due, but for those another ticker has."""
    return await _take(connection, source_connection.c.next_run_at, now, limit=limit)


async def take_full_due(
    connection: AsyncConnection, now: datetime, *, limit: int
) -> list[SourceConnection]:
    """Lock those that are due to be read whole, as `take_due` does."""
    return await _take(connection, source_connection.c.next_full_at, now, limit=limit)


async def _take(
    connection: AsyncConnection,
    moment: ColumnElement[Any],
    now: datetime,
    *,
    limit: int,
) -> list[SourceConnection]:
    query = (
        _select()
        .where(moment <= now, ~source_connection.c.is_deleting)
        .order_by(moment)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True, of=source_connection)
    )
    return [_connection(row) for row in await connection.execute(query)]
