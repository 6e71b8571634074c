"""Deciding what changed (sync protocol, section 3): pure, one entity at a time."""

import json
import math
import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from wellhead.domain.entities import Entity
from wellhead.domain.errors import EntityError, FailureClass
from wellhead.store.ledger import Known
from wellhead.store.quarantine import OpenFailure
from wellhead.sync.storable import REFUSED_JSON, clean, version_of

MOST_META_CHARACTERS = 16 * 2**20
MOST_LEVELS = 50
MOST_BITS = 1_024
"""As large as the largest float; readers of JSON give up on longer numbers."""
_HUGE_DIGITS = 309
_HUGE = re.compile(r"[0-9]{309}")
_DIGIT = re.compile(r"[0-9]")


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
    version = version_of(entity)
    if failure is not None:
        is_standing = stands(failure, version, fingerprint)
        return Verdict.SKIP if is_standing else Verdict.LOOK
    if known is not None and version is not None and known.source_version == version:
        return Verdict.KEEP
    return Verdict.LOOK


def stands(failure: OpenFailure, version: str | None, fingerprint: str) -> bool:
    """Tell whether trying again is pointless: it failed for good, nothing changed."""
    return (
        failure.failure_class is FailureClass.PERMANENT
        and not failure.is_due
        and version is not None
        and failure.source_version == version
        and failure.pipeline_fingerprint == fingerprint
    )


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


def text_digest(pieces: Iterable[str]) -> bytes:
    """Return the content hash of canonical text, given in pieces."""
    digest = blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece.encode())
    return digest.digest()


def meta_json(entity: Entity, raw: dict[str, Any]) -> str:
    """Return metadata as canonical JSON: an entity's stored form, and its raw fields.

    What no JSON, PostgreSQL or API can hold is left out: numbers that are none or have
    thousands of digits, and what is nested too deep. Raises EntityError if it is
    larger than any metadata.
    """
    meta = {
        "name": entity.name,
        "created_at": _iso(entity.created_at),
        "updated_at": _iso(entity.updated_at),
        "breadcrumbs": [
            [b.entity_id, b.name, b.entity_type] for b in entity.breadcrumbs
        ],
        "url": entity.url,
        "download_url": None,
        "viewers": None
        if entity.access.viewers is None
        else sorted(entity.access.viewers),
        "is_public": entity.access.is_public,
        "raw": raw,
    }
    dumped = _dumped(meta)
    if len(dumped) > MOST_META_CHARACTERS:
        raise EntityError(
            f"its metadata is {len(dumped) // 2**20} MB large,"
            f" at most {MOST_META_CHARACTERS // 2**20} MB are kept"
        )
    return dumped


def meta_digest(meta: str) -> bytes:
    """Return the hash of `meta_json`."""
    return blake2b(meta.encode(), digest_size=16).digest()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _dumped(meta: dict[str, Any]) -> str:
    try:
        dumped = _dump(meta)
    except (ValueError, TypeError, RecursionError):
        # not a number, a container that holds itself, keys of several types
        return _dump(_clean(meta))
    # so few brackets cannot be nested too deep, so few digits are no huge number
    is_plain = dumped.count("{") + dumped.count("[") <= MOST_LEVELS
    if is_plain and not _is_refused(dumped) and not _has_huge(dumped):
        return dumped
    return _dump(_clean(meta))


def _is_refused(dumped: str) -> bool:
    return "\\u" in dumped and REFUSED_JSON.search(dumped) is not None


def _has_huge(dumped: str) -> bool:
    """Tell whether there is a huge number, which has a digit at one of these places."""
    places = dumped[_HUGE_DIGITS - 1 :: _HUGE_DIGITS]
    return _DIGIT.search(places) is not None and _HUGE.search(dumped) is not None


_dump = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, default=str
).encode


def _clean(value: Any, depth: int = 0) -> Any:  # any JSON
    match value:
        case None | bool():
            return value
        case _ if depth > MOST_LEVELS:
            return None
        case str():
            return clean(value)
        case dict():
            return {
                clean(str(key)): _clean(item, depth + 1) for key, item in value.items()
            }
        case list() | tuple():
            return [_clean(item, depth + 1) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case int():
            return value if value.bit_length() <= MOST_BITS else None
        case _:
            return clean(str(value))
