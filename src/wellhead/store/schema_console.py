"""The table of console sessions that were ended before their time."""

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from wellhead.store.schema import metadata

console_sign_out = Table(
    "console_sign_out",
    metadata,
    Column("session_id", UUID(as_uuid=True), primary_key=True),
    # after it no copy of the session's cookie lives
    Column("until", TIMESTAMP(timezone=True), nullable=False),
)
