"""The table of definitions: sources that people added, for the whole installation."""

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from wellhead.store.schema import metadata

_Time = TIMESTAMP(timezone=True)

source_definition = Table(
    "source_definition",
    metadata,
    Column("short_name", Text, primary_key=True),
    Column("definition", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("modified_at", _Time, nullable=False),
)
