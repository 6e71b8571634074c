"""Collections in the ledger; one that is being deleted is not found by anyone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.collections import Collection
from wellhead.store.locks import Lock, locked
from wellhead.store.schema import collection

_COLUMNS = tuple(
    column for column in collection.c if column.name in Collection.__dataclass_fields__
)


def _collection(row: Row[*tuple[Any, ...]]) -> Collection:
    return Collection(**row._asdict())


async def add(connection: AsyncConnection, new: Collection) -> None:
    """Insert it; IntegrityError when the readable id is taken."""
    await connection.execute(
        insert(collection).values(
            id=new.id,
            organization_id=new.organization_id,
            readable_id=new.readable_id,
            name=new.name,
            sync_config=new.sync_config,
            vector_size=new.vector_size,
            embedding_model_name=new.embedding_model_name,
            created_at=new.created_at,
            modified_at=new.modified_at,
        )
    )


async def find(
    connection: AsyncConnection,
    organization_id: UUID,
    readable_id: str,
    *,
    lock: Lock | None = None,
) -> Collection | None:
    query = select(*_COLUMNS).where(
        collection.c.readable_id == readable_id,
        collection.c.organization_id == organization_id,
        collection.c.is_deleting.is_(False),
    )
    row = (await connection.execute(locked(query, lock, collection))).one_or_none()
    return None if row is None else _collection(row)


async def get(connection: AsyncConnection, collection_id: UUID) -> Collection | None:
    """Return it by its id, also while it is being deleted."""
    query = select(*_COLUMNS).where(collection.c.id == collection_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _collection(row)


async def change(
    connection: AsyncConnection,
    collection_id: UUID,
    values: Mapping[str, Any],
    *,
    at: datetime,
) -> None:
    await connection.execute(
        update(collection)
        .where(collection.c.id == collection_id)
        .values(**values, modified_at=at)
    )


async def mark_deleting(
    connection: AsyncConnection, doomed: Collection, *, at: datetime
) -> None:
    """Hide it and free its readable id, so that a new collection may take it."""
    freed = f"{doomed.readable_id}--{doomed.id}"
    await change(
        connection, doomed.id, {"is_deleting": True, "readable_id": freed}, at=at
    )
