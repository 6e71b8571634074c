"""The table of who changed what."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

from wellhead.store.schema import metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("actor_key_id", UUID(as_uuid=True)),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Index(None, "organization_id", "id"),
    Index(None, "organization_id", "action", "id"),
)
