"""Organizations in the ledger."""

from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.keys import Organization
from wellhead.store.schema import organization


async def lock_creation(connection: AsyncConnection) -> None:
    """Let one transaction at a time decide whether the first one must be created."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('wellhead.first_organization'))")
    )


async def first(connection: AsyncConnection) -> Organization | None:
    """Return the oldest organization."""
    row = (
        await connection.execute(
            select(organization).order_by(organization.c.created_at).limit(1)
        )
    ).one_or_none()
    return None if row is None else Organization(row.id, row.name, row.created_at)


async def get(connection: AsyncConnection, organization_id: UUID) -> Organization:
    row = (
        await connection.execute(
            select(organization).where(organization.c.id == organization_id)
        )
    ).one()
    return Organization(row.id, row.name, row.created_at)


async def add(connection: AsyncConnection, new: Organization) -> None:
    await connection.execute(
        insert(organization).values(id=new.id, name=new.name, created_at=new.created_at)
    )
