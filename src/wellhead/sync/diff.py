"""Deciding what changed (sync protocol, section 3): pure, one entity at a time."""

import json
import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from wellhead.domain.entities import Entity
from wellhead.domain.errors import FailureClass
from wellhead.store.ledger import Known
from wellhead.store.quarantine import OpenFailure


class Verdict(StrEnum):
    """What to do with an entity."""

    KEEP = "keep"
    SKIP = "skip"
    """A permanent failure that nothing has changed about."""
    LOOK = "look"
    """The content must be compared."""
    WRITE = "write"


def by_version(
    entity: Entity,
    known: Known | None,
    failure: OpenFailure | None,
    fingerprint: str,
) -> Verdict:
    """Decide without the content, if the source gave a version."""
    version = entity.source_version
    if failure is not None:
        unchanged = (
            failure.failure_class is FailureClass.PERMANENT
            and version is not None
            and failure.source_version == version
            and failure.pipeline_fingerprint == fingerprint
        )
        return Verdict.SKIP if unchanged else Verdict.LOOK
    if known is not None and version is not None and known.source_version == version:
        return Verdict.KEEP
    return Verdict.LOOK


def by_content(
    known: Known | None,
    failure: OpenFailure | None,
    content_hash: bytes,
    meta_hash: bytes,
) -> Verdict:
    """Decide with the content: equal in every part is kept, all else is written."""
    if known is None or failure is not None:
        return Verdict.WRITE
    same = known.content_hash == content_hash and known.meta_hash == meta_hash
    return Verdict.KEEP if same else Verdict.WRITE


def canonical_text(text: str) -> str:
    """Return text as it is stored: NFC, without what PostgreSQL or UTF-8 refuse."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = unicodedata.normalize("NFC", text)
    return text.replace("\x00", "")


def text_digest(text: str) -> bytes:
    """Return the content hash of canonical text."""
    return blake2b(text.encode(), digest_size=16).digest()


def meta_json(entity: Entity) -> str:
    """Return the metadata of an entity as canonical JSON that PostgreSQL takes."""
    meta = {
        "name": entity.name,
        "created_at": _utc(entity.created_at),
        "updated_at": _utc(entity.updated_at),
        "breadcrumbs": [
            [b.entity_id, b.name, b.entity_type] for b in entity.breadcrumbs
        ],
        "url": entity.url,
        "download_url": None,
        "viewers": None
        if entity.access.viewers is None
        else sorted(entity.access.viewers),
        "is_public": entity.access.is_public,
        "raw": entity.raw,
    }
    try:
        dumped = _dump(meta)
    except ValueError:  # not a number, or a container that holds itself
        return _dump(_clean(meta))
    return _dump(_clean(meta)) if _UNSTORABLE.search(dumped) else dumped


def meta_digest(meta: str) -> bytes:
    """Return the hash of `meta_json`."""
    return blake2b(meta.encode(), digest_size=16).digest()


_UNSTORABLE = re.compile(r"\\u(?:0000|d[89ab]..)", re.IGNORECASE)


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _dump(value: object) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str
    )


def _clean(value: Any, depth: int = 0) -> Any:  # any JSON
    match value:
        case _ if depth > 50:
            return None
        case str():
            return canonical_text(value)
        case dict():
            return {
                canonical_text(str(key)): _clean(item, depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_clean(item, depth + 1) for item in value]
        case float() if value != value or value in (float("inf"), float("-inf")):
            return None
        case _:
            return value
