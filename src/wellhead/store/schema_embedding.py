"""The tables of a change of the embedder."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from wellhead.store.schema import metadata

_Time = TIMESTAMP(timezone=True)

reembedding = Table(
    "reembedding",
    metadata,
    Column(
        "collection_id",
        ForeignKey("collection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("table_id", UUID(as_uuid=True), nullable=False),
    Column("embedding_model_name", Text, nullable=False),
    Column("vector_size", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("chunks", BigInteger, nullable=False, server_default=text("0")),
    Column("copied", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("started_at", _Time, nullable=False),
    Column("moved_at", _Time, nullable=False),
    CheckConstraint("phase IN ('copying','closing')", name="phase"),
)

retired_table = Table(
    "retired_table",
    metadata,
    Column("table_id", UUID(as_uuid=True), primary_key=True),
    Column("collection_id", UUID(as_uuid=True), nullable=False),
    Column("not_before", _Time, nullable=False),
    Column("passes", SmallInteger, nullable=False),
)
