"""The table of vendors' limits on requests, as far as they are used up."""

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from wellhead.store.schema import metadata

rate_limit = Table(
    "rate_limit",
    metadata,
    Column("short_name", Text, primary_key=True),
    # of an organization or of a connection, as the source's limit says
    Column("owner_id", UUID(as_uuid=True), primary_key=True),
    Column("full_at", TIMESTAMP(timezone=True), nullable=False),
    # written at every other request and worth nothing after a crash
    prefixes=["UNLOGGED"],
)
