"""What fields and parameters mean that many requests and answers share.

A field that says it itself, by `Field(description=…)`, is not looked up here.
"""

from typing import Any

Word = str | tuple[str, Any]
"""What it means, and an example where the plainest value would mislead."""

NAMES: dict[str, Word] = {
    "id": "The id.",
    "name": ("The name, for people.", "My notes"),
    "title": ("The name, for people.", "Path"),
    "description": ("More about it, for people.", "All that I write down"),
    "short_name": ("The short name of the source, as in the catalogue.", "stub"),
    "readable_id": ("The name of the collection in addresses.", "my-notes"),
    "readable_collection_id": ("The collection it belongs to.", "my-notes"),
    "organization_id": "The organization it belongs to.",
    "source_connection_id": "The source connection.",
    "job_id": "The sync job.",
    "sync_id": "The sync of the connection; here it has the connection's own id.",
    "sync_job_id": "The sync job.",
    "key_id": "The API key.",
    "subscription_id": ("The subscription.", "ep_2mNQ8r4VtZbXyK7hWcJd5L"),
    "message_id": ("The message.", "msg_2mNQ8r4VtZbXyK7hWcJd5L"),
    "request_id": "What the caller gave as `X-Request-ID`.",
    "entity_id": ("The id of the entity.", "docs/plan.pdf"),
    "entity_type": ("The kind of entity, as the source names it.", "File"),
    "entity_key": (
        "A hash of the entity's type and id, in hex.",
        "9b2f0c61d3a84e57a1c4f6b8d0e2735a",
    ),
    "kind": ("What sort it is.", "api_key"),
    "at": "When it happened.",
    "created_at": "When it was made.",
    "modified_at": "When it was last changed.",
    "updated_at": "When it was last changed.",
    "started_at": "When a worker first took it up; null if none did.",
    "completed_at": "When it ended, however it ended; null before.",
    "expires_at": "When it expires; null if never.",
    "timestamp": "When it happened.",
    "created_by_email": ("Who made it, where that is known.", "ada@example.com"),
    "modified_by_email": ("Who changed it last, if known.", "ada@example.com"),
}
PAGES: dict[str, Word] = {
    "skip": "How many to leave out at the beginning.",
    "limit": "How many to return at most.",
    "offset": "How many to leave out at the beginning.",
    "after": "The last key of the page before.",
    "before": "The last id of the page before: only older ones follow.",
    "search": "Only those whose name or readable id holds this text.",
    "collection": "Only those of this collection, by its readable id.",
    "action": "What is done.",
    "query": ("What to look for.", "how to renew a certificate"),
    "filter": "What must hold: one of these groups, and all conditions of it.",
}
JOBS: dict[str, Word] = {
    "status": "Where it is in its life.",
    "duration_seconds": "From its start to its end; null while either is missing.",
    "entities_inserted": "Entities that were new, so far while it runs.",
    "entities_updated": "Entities that had changed, so far while it runs.",
    "entities_deleted": "Entities that were gone, so far while it runs.",
    "entities_failed": "Entities that failed and are not well since.",
    "error": ("Why it failed; null unless it did.", "The source did not answer"),
    "error_category": "The kind of trouble that its owner has to mend, if it is one.",
    "stage": "Where on its way it failed.",
    "class": "Whether trying the same content again can help.",
    "reason": ("Why it failed.", "The file is damaged"),
    "failed_at": "When it failed last.",
    "force_full_sync": "Read everything again, not only what changed.",
    "confirm_deletes": (
        "Let this many held deletes happen, as `deletes_held` says.",
        3,
    ),
    "keep_data": "Keep what the job inserted.",
    "allow_return": "Let the next sync bring it back.",
}
CONNECTIONS: dict[str, Word] = {
    "auth": "How it authenticates.",
    "auth_method": "How it authenticates.",
    "method": "How it authenticates.",
    "is_authenticated": "Whether it may be synced.",
    "authenticated": "Whether it may be synced.",
    "authenticated_at": "Since when.",
    "authentication": "How to authenticate; the keys tell the variants apart.",
    "auth_url": (
        "Where a person lets us in.",
        "https://wellhead.example/source-connections/authorize/k3v9Zq2m",
    ),
    "auth_url_expires": "Until when that address works.",
    "redirect_url": ("Where to go afterwards.", "https://example.com/done"),
    "redirect_uri": ("Where to go afterwards.", "https://example.com/done"),
    "claim_token": "Proves, afterwards, that it was you who asked; shown once.",
    "provider_readable_id": ("The connection that keeps the account.", "my-provider"),
    "provider_id": ("The connection that keeps the account.", "my-provider"),
    "provider_config": ("What that provider asks for.", {"account_id": "acc_1"}),
    "provider_short_name": ("The kind of provider.", "custom"),
    "provider_settings_url": (
        "Where the account is to be mended.",
        "https://example.com/settings",
    ),
    "credentials": ("The source's `auth_fields`, filled in.", {"stub_key": "stub"}),
    "access_token": ("A token of the source.", "token-of-the-source"),
    "refresh_token": ("Makes the next token, where the source has one.", "token"),
    "client_id": ("Your own OAuth 2 client.", None),
    "client_secret": ("Its secret.", None),
    "consumer_key": ("Your own OAuth 1 consumer.", None),
    "consumer_secret": ("Its secret.", None),
    "config": ("The source's `config_fields`, filled in.", {"entity_count": 10}),
    "schedule": "When it is synced by itself.",
    "cron": ("Five fields, in UTC; null means never by itself.", "0 3 * * *"),
    "next_run": "The next time.",
    "continuous": "Taken from clients that send it; it changes nothing.",
    "cursor_field": ("Taken from clients that send it; it changes nothing.", None),
    "cursor_value": ("Always null: cursors are not shown.", None),
    "sync": "Its jobs, once there was one.",
    "sync_immediately": "Whether a first job is made at once.",
    "total_runs": "How many jobs there were.",
    "successful_runs": "How many were completed.",
    "failed_runs": "How many failed.",
    "last_job": "The newest job.",
    "entities": "What it holds, once it holds something.",
    "entity_count": "How many entities it holds.",
    "total_entities": "How many entities it holds.",
    "by_type": "The same by kind of entity.",
    "last_updated": "When the last of them changed.",
    "count": "How many.",
    "scopes": ("How many, by part of the source.", {"docs": 3}),
    "confirm_with": (
        "The request that confirms them.",
        "POST /source-connections/{id}/run?confirm_deletes=3",
    ),
    "deletes_held": "Deletes that wait to be confirmed.",
    "error_message": ("What its owner has to do.", "Update the credentials."),
    "federated_search": "Whether it is asked at every search instead of synced.",
}
SOURCES: dict[str, Word] = {
    "class_name": ("The name of the code.", "StubSource"),
    "auth_methods": "How it can be authenticated.",
    "auth_fields": "What it asks for to authenticate; null if nothing.",
    "config_fields": "What else it asks for.",
    "fields": "The fields, in the order to show them.",
    "required": "Whether it must be filled in.",
    "is_secret": "Whether to hide what is typed.",
    "enum_values": ("What may be chosen, where that is limited.", ["a", "b"]),
    "items_type": ("What an array holds.", "string"),
    "feature_flag": ("Always null: nothing is hidden here.", None),
    "type": ("The kind of value.", "string"),
    "oauth_type": "How its tokens live.",
    "requires_byoc": "Whether you need an OAuth client of your own.",
    "auth_config_class": ("Always null.", None),
    "config_class": ("Always null.", None),
    "output_entity_definitions": ("The kinds of entities it has.", ["File"]),
    "labels": ("What it is about.", ["Files"]),
    "supports_continuous": "Whether it may be synced every few minutes.",
    "supports_temporal_relevance": "Whether its entities have a time.",
    "supports_access_control": "Whether it tells who may read what.",
    "rate_limit_level": ("Whom its own limit is for.", "org"),
    "supports_browse_tree": "Whether parts of it can be chosen.",
    "supported_auth_providers": ("Who may keep its accounts.", ["custom"]),
}
ORGANIZATIONS: dict[str, Word] = {
    "prefix": ("The first characters of the key, to tell it from others.", "Zk3v9Q"),
    "expiration_days": "After how many days it expires.",
    "expiration_date": "When it expires.",
    "last_used_date": "When it was last used, to a few minutes.",
    "rotated_date": "Since when another key stands in for it.",
    "decrypted_key": (
        "The key itself, where it was just made; it is not kept.",
        "Zk3v9Q…",
    ),
    "role": "What you may do: a key may do all that its organization may.",
    "is_primary": "Whether requests mean it unless they say otherwise.",
    "enabled_features": ("Features that are switched on.", []),
    "org_metadata": ("Always null.", None),
    "billing": ("Always null: nothing costs anything.", None),
    "actor": "Who did it.",
    "subject": "What it was done to.",
    "details": ("More about it.", {"name": "My notes"}),
}
WEBHOOKS: dict[str, Word] = {
    "event_types": ("Only these events.", ["sync.completed"]),
    "include_attempts": "Show the attempts to deliver it, too.",
    "include_secret": "Show the secret, too.",
}
SEARCHES: dict[str, Word] = {
    "airweave_system_metadata": "Where it comes from.",
    "access": "Who may read it at its source.",
    "tier": "The kind of search.",
}
WORDS = {
    **NAMES,
    **PAGES,
    **JOBS,
    **CONNECTIONS,
    **SOURCES,
    **ORGANIZATIONS,
    **WEBHOOKS,
    **SEARCHES,
}


def explain(name: str, said: dict[str, Any]) -> None:
    """Give a field or a parameter the words of its name, where it has none."""
    word = WORDS.get(name)
    if word is None:
        return
    meaning, *example = (word,) if isinstance(word, str) else word
    is_own = "description" in said
    said.setdefault("description", meaning)
    if example and not is_own and "default" not in said:
        said.setdefault("examples", example)
