"""Every table of the ledger (sync protocol, section 2)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
_Time = TIMESTAMP(timezone=True)


def _id() -> Column[object]:
    return Column("id", UUID(as_uuid=True), primary_key=True)


def _false(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def _zero(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

organization = Table(
    "organization",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_at", _Time, nullable=False),
    Column("modified_at", _Time),
)

api_key = Table(
    "api_key",
    metadata,
    _id(),
    Column(
        "organization_id", ForeignKey("organization.id"), nullable=False, index=True
    ),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("expires_at", _Time),
    Column("last_used_at", _Time),
    Column("rotated_at", _Time),
    Column("revoked_at", _Time),
)

collection = Table(
    "collection",
    metadata,
    _id(),
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("readable_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("sync_config", JSONB),
    Column("vector_size", Integer, nullable=False),
    Column("embedding_model_name", Text, nullable=False),
    # where the index keeps it; without one under the collection's own id
    Column("table_id", UUID(as_uuid=True)),
    _false("is_deleting"),
    Column("maintained_at", _Time),
    Column("created_at", _Time, nullable=False),
    Column("modified_at", _Time, nullable=False),
    Index(None, "organization_id", "created_at"),
)

source_connection = Table(
    "source_connection",
    metadata,
    _id(),
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("collection_id", ForeignKey("collection.id"), nullable=False, index=True),
    Column("short_name", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("config", JSONB, nullable=False),
    Column("auth_method", Text, nullable=False),
    Column("is_authenticated", Boolean, nullable=False, server_default=text("true")),
    _false("is_federated"),
    _false("is_deleting"),
    Column("paused_reason", Text),
    Column("cursor", JSONB),
    _false("needs_full"),
    _zero("generation"),
    _zero("fence"),
    Column("reconciled_at", _Time),
    Column("schedule_cron", Text),
    Column("next_run_at", _Time),
    Column("next_full_at", _Time),
    Column("full_waits_until", _Time),
    Column("purged_at", _Time),
    Column("created_at", _Time, nullable=False),
    Column("modified_at", _Time, nullable=False),
    Index(None, "organization_id", "created_at"),
    Index(
        "ix_source_connection_due",
        "next_run_at",
        postgresql_where=text("next_run_at IS NOT NULL AND NOT is_deleting"),
    ),
    Index(
        "ix_source_connection_full_due",
        "next_full_at",
        postgresql_where=text("next_full_at IS NOT NULL AND NOT is_deleting"),
    ),
    Index(
        "ix_source_connection_deleting",
        "id",
        postgresql_where=text("is_deleting"),
    ),
)

credential = Table(
    "credential",
    metadata,
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("modified_at", _Time, nullable=False),
)

OPEN_JOB = "status IN ('pending', 'running', 'cancelling')"

sync_job = Table(
    "sync_job",
    metadata,
    _id(),
    # no index of its own: one connection's jobs must never be sought through all jobs
    Column("sequence", BigInteger, nullable=False),
    _zero("earlier_runs"),
    _zero("earlier_successful"),
    _zero("earlier_failed"),
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("status", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    _false("force_full"),
    Column("confirm_deletes", BigInteger),
    Column("created_at", _Time, nullable=False),
    Column("started_at", _Time),
    Column("completed_at", _Time),
    _zero("inserted"),
    _zero("updated"),
    _zero("deleted"),
    _zero("failed"),
    _zero("kept"),
    _zero("chunks"),
    Column("error", Text),
    Column("error_category", Text),
    Column("error_details", JSONB),
    _zero("generation"),
    _zero("fence"),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("lease_until", _Time),
    Column("progress_at", _Time),
    Column("waiting_until", _Time),
    Column("phase", Text),
    Column("checkpoint", JSONB),
    Column("crashes", SmallInteger, nullable=False, server_default=text("0")),
    Column("deaths", SmallInteger, nullable=False, server_default=text("0")),
    _false("released"),
    Column("suspect_key", LargeBinary),
    Column("rollback", Text, nullable=False, server_default=text("'none'")),
    _false("keep_data"),
    CheckConstraint(
        "status IN ('pending','running','completed','failed','cancelling','cancelled')",
        name="status",
    ),
    CheckConstraint(
        "(status IN ('completed','failed','cancelled')) = (completed_at IS NOT NULL)",
        name="completed_at",
    ),
    Index(
        "uq_sync_job_open",
        "connection_id",
        unique=True,
        postgresql_where=text(OPEN_JOB),
    ),
    Index(None, "connection_id", "sequence"),
    Index("ix_sync_job_by_status", "connection_id", "status", "sequence"),
    Index("ix_sync_job_open", "lease_until", postgresql_where=text(OPEN_JOB)),
    Index(
        "ix_sync_job_rolling_back",
        "connection_id",
        postgresql_where=text("rollback = 'pending'"),
    ),
)

entity = Table(
    "entity",
    metadata,
    Column("connection_id", UUID(as_uuid=True), primary_key=True),
    Column("entity_key", LargeBinary, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("source_version", Text),
    Column("content_hash", LargeBinary, nullable=False),
    Column("meta_hash", LargeBinary, nullable=False),
    Column("pipeline_fingerprint", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("inserted_by", UUID(as_uuid=True)),
    Column("updated_by", UUID(as_uuid=True), nullable=False),
    Column("seen_generation", BigInteger, nullable=False),
    Column("committed_at", _Time, nullable=False),
    _false("is_stale"),
    Column("meta", JSONB, nullable=False),
    # leaves room on each page, so marking rows as seen stays within the page
    postgresql_with={"fillfactor": "80"},
)

intent = Table(
    "intent",
    metadata,
    Column("connection_id", UUID(as_uuid=True), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("chunk_count", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
)

garbage = Table(
    "garbage",
    metadata,
    Column("version", BigInteger, primary_key=True),
    Column("collection_id", UUID(as_uuid=True), nullable=False),
    Column("connection_id", UUID(as_uuid=True), nullable=False),
    Column("not_before", _Time, nullable=False),
    Column("passes", SmallInteger, nullable=False, server_default=text("1")),
    Index(None, "collection_id", "not_before"),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("entity_key", LargeBinary, primary_key=True),
    Column("type", Text, nullable=False),
    Column("erased_at", _Time, nullable=False),
)

expunge = Table(
    "expunge",
    metadata,
    Column("version", BigInteger, primary_key=True),
    Column(
        "collection_id",
        ForeignKey("collection.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("clean_state", BigInteger),
    Column("rewritten_at", _Time),
)

job_change = Table(
    "job_change",
    metadata,
    Column("job_id", ForeignKey("sync_job.id", ondelete="CASCADE"), primary_key=True),
    Column("entity_key", LargeBinary, primary_key=True),
    Column("before", Boolean, nullable=False),
    Column("after", Boolean, nullable=False),
)

job_failure = Table(
    "job_failure",
    metadata,
    Column("job_id", ForeignKey("sync_job.id", ondelete="CASCADE"), primary_key=True),
    Column("entity_key", LargeBinary, primary_key=True),
    Column("failed_at", _Time, nullable=False),
    Column("source_id", Text),
    Column("stage", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _false("resolved"),
)

failure = Table(
    "failure",
    metadata,
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("entity_key", LargeBinary, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("source_version", Text),
    Column("pipeline_fingerprint", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    # a job may try more than once; how long to wait depends on how many jobs failed
    Column("jobs", Integer, nullable=False, server_default=text("1")),
    Column("next_retry_at", _Time),
    Column("error", Text, nullable=False),
    Column("first_failed_at", _Time, nullable=False),
    Column("failed_at", _Time, nullable=False),
    Column("job_id", UUID(as_uuid=True), nullable=False),
    Column("asked_during", UUID(as_uuid=True)),
    _zero("seen_generation"),
    Index(
        "ix_failure_due",
        "connection_id",
        "next_retry_at",
        postgresql_where=text("next_retry_at IS NOT NULL"),
    ),
)

scope_run = Table(
    "scope_run",
    metadata,
    Column("job_id", ForeignKey("sync_job.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _zero("listed"),
    _false("confirmed_empty"),
    Column("reason", Text),
)

scope_hold = Table(
    "scope_hold",
    metadata,
    Column(
        "connection_id",
        ForeignKey("source_connection.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("scope", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
)
