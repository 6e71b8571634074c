"""Organizations in the ledger."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.keys import Organization
from wellhead.store.schema import organization


def _organization(row: Row[Any]) -> Organization:
    return Organization(**row._asdict())


async def lock_creation(connection: AsyncConnection) -> None:
    """Let one transaction at a time decide whether one must be created."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('wellhead.first_organization'))")
    )


async def first(connection: AsyncConnection) -> Organization | None:
    """Return the oldest organization."""
    row = (
        await connection.execute(
            select(organization)
            .order_by(organization.c.created_at, organization.c.id)
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else _organization(row)


async def get(connection: AsyncConnection, organization_id: UUID) -> Organization:
    query = select(organization).where(organization.c.id == organization_id)
    return _organization((await connection.execute(query)).one())


async def named(connection: AsyncConnection, name: str) -> list[Organization]:
    """Return those of exactly this name; nothing keeps two from having the same."""
    query = select(organization).where(organization.c.name == name)
    rows = await connection.execute(query.order_by(organization.c.created_at))
    return [_organization(row) for row in rows]


async def every(connection: AsyncConnection) -> list[Organization]:
    """List all of the installation, oldest first."""
    query = select(organization).order_by(organization.c.created_at, organization.c.id)
    return [_organization(row) for row in await connection.execute(query)]


async def add(connection: AsyncConnection, new: Organization) -> None:
    await connection.execute(
        insert(organization).values(id=new.id, name=new.name, created_at=new.created_at)
    )


async def change(
    connection: AsyncConnection,
    organization_id: UUID,
    values: Mapping[str, Any],
    *,
    at: datetime,
) -> None:
    await connection.execute(
        update(organization)
        .where(organization.c.id == organization_id)
        .values(**values, modified_at=at)
    )
