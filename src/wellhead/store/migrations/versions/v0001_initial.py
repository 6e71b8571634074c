"""The whole schema; tests/write_initial_migration.py writes it."""
# ruff: noqa: E501, PLR0915

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE version_seq AS bigint")
    op.execute("CREATE SEQUENCE job_sequence AS bigint")
    op.create_table(
        "console_sign_out",
        sa.Column("session_id", sa.UUID(), nullable=False),
        sa.Column("until", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_console_sign_out")),
    )
    op.create_table(
        "entity",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("entity_key", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("source_version", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("meta_hash", sa.LargeBinary(), nullable=False),
        sa.Column("pipeline_fingerprint", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("inserted_by", sa.UUID(), nullable=True),
        sa.Column("updated_by", sa.UUID(), nullable=False),
        sa.Column("seen_generation", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "is_stale", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("meta", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "entity_key", name=op.f("pk_entity")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "message_id",
            sa.UUID(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
        ),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("published_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("message_id", name=op.f("uq_event_message_id")),
        sa.UniqueConstraint(
            "organization_id", "id", name=op.f("uq_event_organization_id_id")
        ),
    )
    op.create_index(op.f("ix_event_created_at"), "event", ["created_at"], unique=False)
    op.create_index(
        "ix_event_unpublished",
        "event",
        ["id"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "garbage",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.UUID(), nullable=False),
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("not_before", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "passes", sa.SmallInteger(), server_default=sa.text("1"), nullable=False
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_garbage")),
    )
    op.create_index(
        op.f("ix_garbage_collection_id_not_before"),
        "garbage",
        ["collection_id", "not_before"],
        unique=False,
    )
    op.create_table(
        "intent",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "version", name=op.f("pk_intent")),
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("modified_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
    )
    op.create_table(
        "rate_limit",
        sa.Column("short_name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.UUID(), nullable=False),
        sa.Column("full_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("short_name", "owner_id", name=op.f("pk_rate_limit")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "retired_table",
        sa.Column("table_id", sa.UUID(), nullable=False),
        sa.Column("collection_id", sa.UUID(), nullable=False),
        sa.Column("not_before", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("passes", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("table_id", name=op.f("pk_retired_table")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "source_definition",
        sa.Column("short_name", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("modified_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("short_name", name=op.f("pk_source_definition")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_used_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("rotated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_api_key_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_index(
        op.f("ix_api_key_organization_id"), "api_key", ["organization_id"], unique=False
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("actor_key_id", sa.UUID(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_audit_log_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(
        op.f("ix_audit_log_organization_id_action_id"),
        "audit_log",
        ["organization_id", "action", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_audit_log_organization_id_id"),
        "audit_log",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "collection",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("readable_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "sync_config", postgresql.JSONB(astext_type=sa.Text()), nullable=True
        ),
        sa.Column("vector_size", sa.Integer(), nullable=False),
        sa.Column("embedding_model_name", sa.Text(), nullable=False),
        sa.Column("table_id", sa.UUID(), nullable=True),
        sa.Column(
            "is_deleting", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("maintained_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("modified_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_collection_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection")),
        sa.UniqueConstraint("readable_id", name=op.f("uq_collection_readable_id")),
    )
    op.create_index(
        op.f("ix_collection_organization_id_created_at"),
        "collection",
        ["organization_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "subscription",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column(
            "disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("failing_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("gave_up_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_subscription_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
    )
    op.create_index(
        op.f("ix_subscription_organization_id_created_at"),
        "subscription",
        ["organization_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "delivery",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column(
            "state", sa.Text(), server_default=sa.text("'pending'"), nullable=False
        ),
        sa.Column(
            "attempts", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("attempt_id", sa.UUID(), nullable=True),
        sa.Column(
            "next_attempt_at", postgresql.TIMESTAMP(timezone=True), nullable=True
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_delivery_next_attempt_at"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')",
            name=op.f("ck_delivery_state"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["event.id"],
            name=op.f("fk_delivery_event_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.id"],
            name=op.f("fk_delivery_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "event_id", "subscription_id", name=op.f("pk_delivery")
        ),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["subscription_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_table(
        "expunge",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.UUID(), nullable=False),
        sa.Column("clean_state", sa.BigInteger(), nullable=True),
        sa.Column("rewritten_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collection.id"],
            name=op.f("fk_expunge_collection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_expunge")),
    )
    op.create_index(
        op.f("ix_expunge_collection_id"), "expunge", ["collection_id"], unique=False
    )
    op.create_table(
        "reembedding",
        sa.Column("collection_id", sa.UUID(), nullable=False),
        sa.Column("table_id", sa.UUID(), nullable=False),
        sa.Column("embedding_model_name", sa.Text(), nullable=False),
        sa.Column("vector_size", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column(
            "chunks", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "copied", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("moved_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "phase IN ('copying','closing')", name=op.f("ck_reembedding_phase")
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collection.id"],
            name=op.f("fk_reembedding_collection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_id", name=op.f("pk_reembedding")),
    )
    op.create_table(
        "source_connection",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("collection_id", sa.UUID(), nullable=False),
        sa.Column("short_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("auth_method", sa.Text(), nullable=False),
        sa.Column(
            "is_authenticated",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
        ),
        sa.Column(
            "is_federated",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column(
            "is_deleting", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "needs_full", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column(
            "generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("reconciled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("schedule_cron", sa.Text(), nullable=True),
        sa.Column("next_run_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("next_full_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "full_waits_until", postgresql.TIMESTAMP(timezone=True), nullable=True
        ),
        sa.Column("purged_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("modified_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collection.id"],
            name=op.f("fk_source_connection_collection_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_source_connection_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_connection")),
    )
    op.create_index(
        op.f("ix_source_connection_collection_id"),
        "source_connection",
        ["collection_id"],
        unique=False,
    )
    op.create_index(
        "ix_source_connection_deleting",
        "source_connection",
        ["id"],
        unique=False,
        postgresql_where=sa.text("is_deleting"),
    )
    op.create_index(
        "ix_source_connection_due",
        "source_connection",
        ["next_run_at"],
        unique=False,
        postgresql_where=sa.text("next_run_at IS NOT NULL AND NOT is_deleting"),
    )
    op.create_index(
        "ix_source_connection_full_due",
        "source_connection",
        ["next_full_at"],
        unique=False,
        postgresql_where=sa.text("next_full_at IS NOT NULL AND NOT is_deleting"),
    )
    op.create_index(
        op.f("ix_source_connection_organization_id_created_at"),
        "source_connection",
        ["organization_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "consent",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("link_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("claim_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("session_id", sa.UUID(), nullable=True),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("followed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("returned_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("granted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("verified_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_consent_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_consent")),
        sa.UniqueConstraint("link_hash", name=op.f("uq_consent_link_hash")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_consent_state_hash")),
    )
    op.create_table(
        "credential",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("modified_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_credential_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_credential")),
    )
    op.create_table(
        "delivery_attempt",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "response_status", sa.Integer(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("response", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id", "subscription_id"],
            ["delivery.event_id", "delivery.subscription_id"],
            name=op.f("fk_delivery_attempt_event_id_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempt")),
    )
    op.create_index(
        op.f("ix_delivery_attempt_event_id_subscription_id"),
        "delivery_attempt",
        ["event_id", "subscription_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_delivery_attempt_subscription_id_at"),
        "delivery_attempt",
        ["subscription_id", "at"],
        unique=False,
    )
    op.create_table(
        "failure",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("entity_key", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("source_version", sa.Text(), nullable=True),
        sa.Column("pipeline_fingerprint", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("next_retry_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column(
            "first_failed_at", postgresql.TIMESTAMP(timezone=True), nullable=False
        ),
        sa.Column("failed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("asked_during", sa.UUID(), nullable=True),
        sa.Column(
            "seen_generation",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_failure_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "entity_key", name=op.f("pk_failure")),
    )
    op.create_index(
        "ix_failure_due",
        "failure",
        ["connection_id", "next_retry_at"],
        unique=False,
        postgresql_where=sa.text("next_retry_at IS NOT NULL"),
    )
    op.create_table(
        "scope_hold",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_scope_hold_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "scope", name=op.f("pk_scope_hold")),
    )
    op.create_table(
        "sync_job",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column(
            "earlier_runs", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "earlier_successful",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "earlier_failed",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column(
            "force_full", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("confirm_deletes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("completed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "inserted", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "updated", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "deleted", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("kept", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "chunks", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_category", sa.Text(), nullable=True),
        sa.Column(
            "error_details", postgresql.JSONB(astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("progress_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("waiting_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("checkpoint", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "crashes", sa.SmallInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "deaths", sa.SmallInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "released", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("suspect_key", sa.LargeBinary(), nullable=True),
        sa.Column(
            "rollback", sa.Text(), server_default=sa.text("'none'"), nullable=False
        ),
        sa.Column(
            "keep_data", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.CheckConstraint(
            "(status IN ('completed','failed','cancelled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_sync_job_completed_at"),
        ),
        sa.CheckConstraint(
            "status IN ('pending','running','completed','failed','cancelling','cancelled')",
            name=op.f("ck_sync_job_status"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_sync_job_connection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_sync_job_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_job")),
    )
    op.create_index(
        "ix_sync_job_by_status",
        "sync_job",
        ["connection_id", "status", "sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_sync_job_connection_id_sequence"),
        "sync_job",
        ["connection_id", "sequence"],
        unique=False,
    )
    op.create_index(
        "ix_sync_job_open",
        "sync_job",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'running', 'cancelling')"),
    )
    op.create_index(
        "ix_sync_job_rolling_back",
        "sync_job",
        ["connection_id"],
        unique=False,
        postgresql_where=sa.text("rollback = 'pending'"),
    )
    op.create_index(
        "uq_sync_job_open",
        "sync_job",
        ["connection_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'running', 'cancelling')"),
    )
    op.create_table(
        "tombstone",
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("entity_key", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("erased_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["source_connection.id"],
            name=op.f("fk_tombstone_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "connection_id", "entity_key", name=op.f("pk_tombstone")
        ),
    )
    op.create_table(
        "job_change",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("entity_key", sa.LargeBinary(), nullable=False),
        sa.Column("before", sa.Boolean(), nullable=False),
        sa.Column("after", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["sync_job.id"],
            name=op.f("fk_job_change_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "entity_key", name=op.f("pk_job_change")),
    )
    op.create_table(
        "job_failure",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("entity_key", sa.LargeBinary(), nullable=False),
        sa.Column("failed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "resolved", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["sync_job.id"],
            name=op.f("fk_job_failure_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "entity_key", name=op.f("pk_job_failure")),
    )
    op.create_table(
        "scope_run",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "listed", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "confirmed_empty",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["sync_job.id"],
            name=op.f("fk_scope_run_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "scope", name=op.f("pk_scope_run")),
    )
