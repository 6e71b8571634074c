"""Making answers for agents of what services and search return."""

from collections.abc import Iterable, Sequence

from wellhead.api.mcp.addresses import address_of
from wellhead.api.mcp.answers import (
    CollectionShown,
    ConnectionShown,
    FieldShown,
    Hit,
    Job,
    Passages,
    SourceShown,
)
from wellhead.domain.collections import CollectionLine
from wellhead.domain.connections import ConnectionLine
from wellhead.domain.entities import EntityName
from wellhead.domain.errors import CREDENTIALS
from wellhead.domain.jobs import JobStatus, SyncJob
from wellhead.domain.search import SearchResult
from wellhead.services.catalogue import Field, SourceDescription
from wellhead.services.entities import EntityText

ADVICE = {
    JobStatus.PENDING: "It waits for a worker. Ask again in a few seconds.",
    JobStatus.RUNNING: "It is running; search finds each entity once it is synced. "
    "Ask again in a few seconds.",
    JobStatus.CANCELLING: "It is being cancelled. Ask again in a few seconds.",
    JobStatus.FAILED: "If the reason may pass, start it again with trigger_sync; else "
    "tell the user.",
}
OWNER = "Tell the user: its credentials must be renewed before it can sync again."


def next_offset(found: Sequence[object], limit: int, offset: int) -> int | None:
    """Return where the next page begins, None where this was the last."""
    return offset + limit if len(found) == limit else None


def hit(readable_id: str, one: SearchResult) -> Hit:
    entity = EntityName(
        readable_id=readable_id,
        connection_id=one.sync_id,
        entity_type=one.entity_type,
        entity_id=one.original_entity_id,
    )
    return Hit(
        uri=address_of(entity),
        chunk=one.chunk_index,
        name=one.name,
        score=round(one.relevance_score, 4),
        source=one.source_name,
        source_connection_id=str(one.sync_id),
        entity_type=one.entity_type,
        path=_path(step.name for step in one.breadcrumbs),
        updated_at=one.updated_at,
        web_url=one.web_url or None,
        live=one.is_live or None,
        before=list(one.before) or None,
        text=one.text,
        after=list(one.after) or None,
    )


def passages(found: EntityText) -> Passages:
    numbers = list(found.passages)
    after = numbers[-1] + 1 if numbers else found.chunk_count
    return Passages(
        uri=address_of(found.entity),
        name=found.name,
        source=found.source_name,
        path=_path(found.path),
        updated_at=found.updated_at,
        web_url=found.web_url or None,
        first_chunk=numbers[0] if numbers else None,
        last_chunk=numbers[-1] if numbers else None,
        chunk_count=found.chunk_count,
        next_chunk=after if after < found.chunk_count else None,
        content="\n".join(found.passages.values()),
    )


def collection(one: CollectionLine, *, has_sources: bool) -> CollectionShown:
    return CollectionShown(
        readable_id=one.readable_id,
        name=one.name,
        status=one.status,
        sources=[
            f"{member.name} ({member.short_name})"
            for member in one.source_connection_summaries
            if has_sources
        ],
    )


def connection(one: ConnectionLine) -> ConnectionShown:
    return ConnectionShown(
        id=str(one.id),
        name=one.name,
        source=one.short_name,
        collection=one.readable_collection_id,
        status=one.status,
        entities=one.entity_count,
    )


def source(one: SourceDescription, *, has_fields: bool) -> SourceShown:
    return SourceShown(
        short_name=one.short_name,
        name=one.name,
        description=one.description,
        auth_methods=list(one.auth_methods),
        config_fields=_fields(one.config_fields) if has_fields else None,
        credential_fields=_fields(one.credential_fields) if has_fields else None,
    )


def job(one: SyncJob, *, deletes_held: int) -> Job:
    is_failed = one.status is JobStatus.FAILED
    return Job(
        job_id=str(one.id),
        source_connection_id=str(one.connection_id),
        status=one.status,
        started_at=one.started_at,
        completed_at=one.completed_at,
        inserted=one.counts.inserted,
        updated=one.counts.updated,
        deleted=one.counts.deleted,
        kept=one.counts.kept,
        failed=one.counts.failed,
        error=one.error if is_failed else None,
        error_category=one.error_category if is_failed else None,
        advice=_advice(one, deletes_held),
    )


def _advice(one: SyncJob, deletes_held: int) -> str | None:
    said = [ADVICE.get(one.status, "")]
    if one.status is JobStatus.FAILED and one.error_category in CREDENTIALS:
        said = [OWNER]
    if deletes_held:
        said.append(
            f"{deletes_held} deletes are held, because so much is missing from the "
            "source at once: only a person may confirm them (wellhead connections run "
            f"{one.connection_id} --confirm-deletes {deletes_held})."
        )
    return " ".join(one for one in said if one) or None


def _fields(fields: Iterable[Field]) -> list[FieldShown]:
    return [
        FieldShown(
            name=one.name,
            type=one.type,
            required=one.required,
            description=one.description or one.title,
        )
        for one in fields
    ]


def _path(names: Iterable[str]) -> str | None:
    return " / ".join(names) or None
