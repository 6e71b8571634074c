"""What sources say, in a form that PostgreSQL and the index take."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from wellhead.domain.entities import NOT_TOLD, Access, Breadcrumb, Entity
from wellhead.domain.errors import EntityError, JobError

REFUSED_JSON = re.compile(r"\\u(?:0000|d[89a-f]..)", re.IGNORECASE)
"""Escapes that PostgreSQL refuses; those of whole surrogate pairs are among them."""
MOST_ID_CHARACTERS = 8_192
MOST_STEPS = 1_000
MOST_SCOPE_BYTES = 2_000
"""An index of PostgreSQL takes little more."""
_VERSION_CHARACTERS = 1_000
_PIECE = 1_000_000
_LOOK_BACK = 10_000
_WRAPPED = "$json"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LIKE_ESCAPED = re.compile(r"\\(?=\{(?:0|5c|d[89a-f][0-9a-f]{2})\})")
_ESCAPED = re.compile(r"\\\{(0|5c|d[89a-f][0-9a-f]{2})\}")
_STARTERS = re.compile(
    "[\x01-\x7f\u0400-\u0482\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
"""Characters that never join with the one before: a text may be cut there."""


def clean(text: str) -> str:
    """Return text for people to read: no NULs, no lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def canonical_text(text: str) -> str:
    """Return text as it is compared and indexed: clean, and NFC."""
    text = clean(text)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def canonical_pieces(parts: Iterable[str]) -> Iterator[str]:
    """Yield canonical text in pieces of about a megabyte, cut where nothing joins.

    Each step holds the interpreter's lock for milliseconds, however long the text.
    """
    rest = ""
    for part in parts:
        for start in range(0, len(part), _PIECE):
            rest += part[start : start + _PIECE]
            if len(rest) < _PIECE:
                continue
            end = _last_start(rest)
            yield canonical_text(rest[:end])
            rest = rest[end:]
    yield canonical_text(rest)


def _last_start(text: str) -> int:
    for position in range(len(text) - 1, len(text) - _LOOK_BACK, -1):
        if _STARTERS.match(text, position):
            return position
    return len(text)


def storable(text: str) -> str:
    r"""Return an identifier as PostgreSQL takes it, one to one.

    A NUL becomes \{0}, a lone surrogate \{dcff}, and a backslash that would look like
    one of these \{5c}; every other text stays as it is.
    """
    if "\\{" in text:
        text = _LIKE_ESCAPED.sub(r"\\{5c}", text)
    if "\x00" not in text and (text.isascii() or not _UNSTORABLE.search(text)):
        return text
    return _UNSTORABLE.sub(lambda found: f"\\{{{ord(found[0]):x}}}", text)


def original(text: str) -> str:
    """Return the identifier that `storable` was given."""
    if "\\{" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def stored_version(version: str | None) -> str | None:
    """Return a source version to store and compare; a long one by its digest."""
    if version is None or len(version) <= _VERSION_CHARACTERS:
        return None if version is None else storable(version)
    digest = blake2b(version.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"blake2b:{digest.hexdigest()}"


def version_of(entity: Entity) -> str | None:
    return version_with(entity.source_version, entity.access)


def version_with(version: str | None, access: Access) -> str | None:
    """Return the source's version of an entity, and of who may see it, in one.

    Sources seldom count a change of access as a new version, and it must not wait.
    """
    version = stored_version(version)
    if version is None or access is NOT_TOLD or access == NOT_TOLD:
        return version
    return f"{version} access:{_digest_of(access)}"


@lru_cache(maxsize=1_000)
def _digest_of(access: Access) -> str:
    """Many entities are seen by the same."""
    viewers = access.viewers
    listed = None if viewers is None else sorted(viewers)
    told = json.dumps([access.is_public, listed])
    return blake2b(told.encode(), digest_size=8).hexdigest()


def stored_scope(scope: str) -> str:
    """Raises JobError for a scope that no index can hold."""
    stored = storable(scope)
    if len(stored.encode()) > MOST_SCOPE_BYTES:
        raise JobError(
            f"the source named a part of itself with {len(scope)} characters:"
            f" {stored[:100]}…"
        )
    return stored


def stored_form(entity: Entity) -> Entity:
    """Return what is stored of an entity besides its text and its raw fields.

    Raises EntityError.
    """
    _refuse_outsized(entity)
    return Entity(
        type=storable(entity.type),
        source_id=storable(entity.source_id),
        name=clean(entity.name),
        source_version=version_of(entity),
        created_at=utc(entity.created_at),
        updated_at=utc(entity.updated_at),
        breadcrumbs=_stored_way(entity.breadcrumbs),
        url=clean(entity.url),
        access=stored_access(entity.access),
    )


def stored_access(access: Access) -> Access:
    if access.viewers is None:
        return access
    return replace(access, viewers=tuple(map(storable, access.viewers)))


@lru_cache(maxsize=1_000)
def _stored_way(steps: tuple[Breadcrumb, ...]) -> tuple[Breadcrumb, ...]:
    """Many entities share the way to them."""
    return tuple(
        Breadcrumb(
            storable(step.entity_id), clean(step.name), storable(step.entity_type)
        )
        for step in steps
    )


def _refuse_outsized(entity: Entity) -> None:
    longest = max(len(entity.source_id), len(entity.type))
    if longest > MOST_ID_CHARACTERS:
        raise EntityError(
            f"its id has {longest} characters, at most {MOST_ID_CHARACTERS} are kept"
        )
    if len(entity.breadcrumbs) > MOST_STEPS:
        raise EntityError(
            f"the way to it has {len(entity.breadcrumbs)} steps,"
            f" at most {MOST_STEPS} are kept"
        )


def utc(moment: datetime | None) -> datetime | None:
    """Return the moment in UTC; one without a time zone is taken to be in it."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # before the first or after the last moment there is
        return moment.replace(tzinfo=UTC)


def stored_token(token: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint as jsonb takes it; `original_token` returns it unchanged.

    Raises JobError for what is not JSON, but for the numbers that are none.
    """
    try:
        plain = json.dumps(token)
    except (TypeError, ValueError, RecursionError) as error:
        raise JobError(f"a checkpoint of the source is not JSON: {error}") from error
    if _WRAPPED in token or REFUSED_JSON.search(plain) or not _is_finite(token):
        return {_WRAPPED: plain}
    return dict(token)


def original_token(token: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the checkpoint that the source gave."""
    if token is None or _WRAPPED not in token:
        return None if token is None else dict(token)
    read: dict[str, Any] = json.loads(token[_WRAPPED])
    return read


def _is_finite(token: Mapping[str, Any]) -> bool:
    try:
        json.dumps(token, allow_nan=False)
    except ValueError:
        return False
    return True
