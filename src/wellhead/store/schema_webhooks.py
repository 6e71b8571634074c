"""The tables of events and of telling them: outbox, subscriptions, deliveries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

from wellhead.store.schema import metadata

_Time = TIMESTAMP(timezone=True)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    # numbers come again after a restore, and receivers tell messages apart by this
    Column(
        "message_id",
        UUID(as_uuid=True),
        nullable=False,
        unique=True,
        server_default=text("gen_random_uuid()"),
    ),
    Column("organization_id", UUID(as_uuid=True), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("created_at", _Time, nullable=False, index=True),
    Column("published_at", _Time),
    UniqueConstraint("organization_id", "id"),
    Index("ix_event_unpublished", "id", postgresql_where=text("published_at IS NULL")),
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("failing_since", _Time),
    Column("gave_up_at", _Time),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Index(None, "organization_id", "created_at"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("event_id", ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "subscription_id",
        ForeignKey("subscription.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("attempt_id", UUID(as_uuid=True)),
    Column("next_attempt_at", _Time),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    CheckConstraint(
        "(state = 'pending') = (next_attempt_at IS NOT NULL)", name="next_attempt_at"
    ),
    Index(
        "ix_delivery_due",
        "subscription_id",
        "next_attempt_at",
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
    Column("subscription_id", UUID(as_uuid=True), nullable=False),
    Column("url", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("status", Text, nullable=False),
    Column("response_status", Integer, nullable=False, server_default=text("0")),
    Column("response", Text),
    ForeignKeyConstraint(
        ["event_id", "subscription_id"],
        ["delivery.event_id", "delivery.subscription_id"],
        ondelete="CASCADE",
    ),
    Index(None, "event_id", "subscription_id"),
    Index(None, "subscription_id", "at"),
)
