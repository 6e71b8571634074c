"""Every table there is: import `metadata` from here where all of them matter."""

from wellhead.store import (
    schema_audit_log,
    schema_consents,
    schema_console,
    schema_definitions,
    schema_embedding,
    schema_rate_limits,
    schema_webhooks,
)
from wellhead.store.schema import metadata

TOPICS = (
    schema_audit_log,
    schema_console,
    schema_consents,
    schema_definitions,
    schema_embedding,
    schema_rate_limits,
    schema_webhooks,
)
"""Modules whose tables belong to `metadata` once they are imported."""

__all__ = ["TOPICS", "metadata"]
