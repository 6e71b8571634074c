"""The table of consents: at most one for each connection, the latest."""

from sqlalchemy import Column, ForeignKey, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from wellhead.store.schema import metadata

_Time = TIMESTAMP(timezone=True)

consent = Table(
    "consent",
    metadata,
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("link_hash", LargeBinary, nullable=False, unique=True),
    Column("state_hash", LargeBinary, nullable=False, unique=True),
    Column("claim_hash", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("redirect_url", Text),
    Column("session_id", UUID(as_uuid=True)),
    Column("expires_at", _Time, nullable=False),
    Column("followed_at", _Time),
    Column("returned_at", _Time),
    Column("granted_at", _Time),
    Column("verified_at", _Time),
)
