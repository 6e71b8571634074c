"""What examples show where the fields' own ones would not belong together."""

from typing import Any

AN_ID = "3f8a1c52-6b1d-4f0e-9a57-2c4b8e7d9f10"
_DONE = {
    "status": "completed",
    "started_at": "2026-01-02T03:04:05Z",
    "completed_at": "2026-01-02T03:04:17Z",
    "duration_seconds": 12.0,
    "entities_inserted": 42,
    "error": None,
    "error_category": None,
}
_NO_TROUBLE = {
    "error_category": None,
    "error_message": None,
    "deletes_held": None,
    "provider_settings_url": None,
    "provider_short_name": None,
}
_NO_PROVIDER = {"provider_readable_id": None, "provider_id": None}

SAMPLES: dict[str, dict[str, Any]] = {
    "SyncJobDetails": _DONE,
    "SourceConnectionJob": {**_DONE, "error_details": None},
    "JobReport": {
        **_DONE,
        "error_details": None,
        "phase": None,
        "waiting_until": None,
    },
    "Source": {
        "name": "Stub",
        "description": "Made-up documents, to try things out",
        "oauth_type": None,
        "rate_limit_level": None,
        "output_entity_definitions": ["SmallStubEntity"],
        "labels": ["Demo"],
        "supported_auth_providers": [],
    },
    "ConfigField": {
        "name": "entity_count",
        "title": "Entity count",
        "description": "How many documents to make up",
        "type": "number",
        "items_type": None,
        "enum_values": None,
    },
    "SourceConnectionCreate": {
        "name": "My stub",
        "sync_immediately": True,
        "redirect_url": None,
    },
    "SourceConnectionUpdate": {"name": "My stub"},
    "SourceConnectionSummary": {"name": "My stub"},
    "SourceConnectionListItem": {
        "name": "My stub",
        "is_authenticated": True,
        "entity_count": 42,
    },
    "SourceConnection": {"name": "My stub", **_NO_TROUBLE},
    "AuthenticationDetails": {
        "authenticated": True,
        "expires_at": None,
        "auth_url": None,
        "auth_url_expires": None,
        "redirect_url": None,
        "claim_token": None,
        **_NO_PROVIDER,
    },
    "SyncDetails": {"total_runs": 1, "successful_runs": 1},
    "EntitySummary": {
        "total_entities": 42,
        "by_type": {
            "SmallStubEntity": {"count": 42, "last_updated": "2026-01-02T03:04:17Z"}
        },
    },
    "FilterCondition": {
        "field": "airweave_system_metadata.source_name",
        "operator": "equals",
        "value": "file_system",
    },
    "SearchBreadcrumb": {"entity_id": "docs", "name": "docs", "entity_type": "Folder"},
    "SearchSystemMetadata": {"sync_id": AN_ID, "sync_job_id": AN_ID},
    "SearchAccessControl": {"viewers": None, "is_public": None},
    "SearchResult": {"url": None},
    "ApiKey": {
        "name": "laptop",
        "expiration_date": "2026-04-02T03:04:05Z",
        "last_used_date": None,
        "rotated_date": None,
        "created_by_email": None,
        "modified_by_email": None,
    },
    "ApiKeyCreate": {"name": "laptop"},
    "Organization": {"name": "Example", "description": None, "enabled_features": []},
    "OrganizationUpdate": {"name": "Example", "description": None},
    "AuditEntry": {"action": "collection.create"},
    "Actor": {"name": "laptop (Zk3v9Q…)"},
    "Subject": {"kind": "collection", "id": AN_ID},
    "WebhookMessage": {"tags": None},
    "WebhookMessageWithAttempts": {"tags": None},
    "WebhookSubscription": {"description": None},
    "WebhookSubscriptionDetail": {"description": None},
    "Readiness": {
        "checks": {"postgres": {"status": "up", "latency_ms": 0.8, "error": None}}
    },
    "DeliveryAttempt": {"url": "https://example.com/hooks"},
}
"""By the name of the model; the other fields show their own example."""
