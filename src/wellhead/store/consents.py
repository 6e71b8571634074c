"""Consents in the ledger: asked, followed, come back, granted, verified."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.consents import Consent
from wellhead.store.schema_consents import consent


async def put(connection: AsyncConnection, new: Consent) -> None:
    """Write a new question; one that was asked before is void from now on."""
    row = asdict(new)
    await connection.execute(
        upsert(consent)
        .values(**row)
        .on_conflict_do_update(index_elements=["connection_id"], set_=row)
    )


async def find(connection: AsyncConnection, connection_id: UUID) -> Consent | None:
    """Return a connection's latest question."""
    query = select(consent).where(consent.c.connection_id == connection_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Consent(**row._asdict())


async def of(connection: AsyncConnection, connection_id: UUID) -> Consent | None:
    """Return it locked: the caller decides about it."""
    return await _locked(connection, consent.c.connection_id == connection_id)


async def by_link(connection: AsyncConnection, link_hash: bytes) -> Consent | None:
    return await _locked(connection, consent.c.link_hash == link_hash)


async def by_state(connection: AsyncConnection, state_hash: bytes) -> Consent | None:
    return await _locked(connection, consent.c.state_hash == state_hash)


async def _locked(
    connection: AsyncConnection, which: ColumnElement[bool]
) -> Consent | None:
    query = select(consent).where(which).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Consent(**row._asdict())


async def change(
    connection: AsyncConnection, connection_id: UUID, values: Mapping[str, Any]
) -> None:
    await connection.execute(
        update(consent).where(consent.c.connection_id == connection_id).values(**values)
    )


async def verify(
    connection: AsyncConnection, connection_id: UUID, *, at: datetime
) -> bool:
    """Verify what was granted; False if nothing waits for that."""
    found = await connection.execute(
        update(consent)
        .where(
            consent.c.connection_id == connection_id,
            consent.c.granted_at.is_not(None),
            consent.c.verified_at.is_(None),
        )
        .values(verified_at=at)
    )
    return found.rowcount == 1
