"""What a federated source found, as results like those of the index."""

import math
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.search import InstantQuery, SearchResult
from wellhead.search.matches import passes
from wellhead.search.recent import recent_first
from wellhead.store.federated import LiveConnection

LONGEST_PASSAGE = 8_000
LONGEST_NAME = 4_096
MOST_LEVELS = 50


def live_results(
    query: InstantQuery, connection: LiveConnection, found: Iterable[Entity]
) -> list[SearchResult]:
    """Return what of it the user's filter and the principal let pass, each once."""
    principal = query.principal
    results: dict[tuple[str, str], SearchResult] = {}
    for entity in found:
        if principal is not None and not principal.may_see(entity.access):
            continue
        one = _result(query, connection, entity)
        if passes(one, query.filter):
            results.setdefault((one.entity_type, one.entity_id), one)
    return recent_first(query.recency, list(results.values()))


def _result(
    query: InstantQuery, connection: LiveConnection, entity: Entity
) -> SearchResult:
    access, source_id = entity.access, _text(entity.source_id)
    return SearchResult(
        entity_id=f"{source_id}__chunk_0",
        name=_text(entity.name)[:LONGEST_NAME],
        relevance_score=0.0,
        breadcrumbs=tuple(
            Breadcrumb(_text(one.entity_id), _text(one.name), _text(one.entity_type))
            for one in entity.breadcrumbs
        ),
        created_at=_utc(entity.created_at),
        updated_at=_utc(entity.updated_at),
        text=unicodedata.normalize("NFC", _text(entity.text or ""))[:LONGEST_PASSAGE],
        source_name=connection.short_name,
        entity_type=_text(entity.type),
        sync_id=connection.id,
        sync_job_id=None,
        chunk_index=0,
        original_entity_id=source_id,
        access=access if query.principal is None else query.principal.shown(access),
        web_url=_text(entity.url),
        raw=_plain(entity.raw),
    )


def _text(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.utcoffset() is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _plain(value: Any, depth: int = 0) -> Any:  # any JSON
    match value:
        case None | bool() | int():
            return value
        case _ if depth > MOST_LEVELS:
            return None
        case str():
            return _text(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return dict(_plain_items(value, depth + 1))
        case list() | tuple():
            return [_plain(one, depth + 1) for one in value]
        case _:
            return _text(str(value))


def _plain_items(given: dict[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        yield _text(str(key)), _plain(value, depth)
