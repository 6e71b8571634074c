"""Rows of databases as entities: what all databases tell in the same way."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any
from urllib.parse import quote, unquote

from pydantic import Field

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.items import Ref

ENTITY_TYPE = "TableRow"
UPDATED_NAMES = (
    "updated_at",
    "modified_at",
    "last_modified",
    "updated_on",
    "modified_on",
)
CREATED_NAMES = ("created_at", "inserted_at", "created_on", "created")
_LONGEST_NAME = 200

IdColumns = Annotated[
    list[str],
    Field(
        title="ID columns",
        description="Columns that identify a row; by default the primary key.",
    ),
]
TitleColumn = Annotated[
    str | None,
    Field(
        title="Title column",
        description="Column with a row's name; by default the first text column.",
    ),
]
TextColumns = Annotated[
    list[str],
    Field(
        title="Text columns",
        description="Columns to search in; by default all that hold text.",
    ),
]
PageSize = Annotated[
    int, Field(ge=1, le=10_000, title="Page size", description="Rows read at a time.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the rows of one table are shown; `way` leads to the table."""

    label: str
    title: str | None
    texts: tuple[str, ...]
    created: str | None
    updated: str | None
    way: tuple[Breadcrumb, ...]

    def entity(self, source_id: str, raw: dict[str, Any], version: str) -> Entity:
        """Describe a row, of which `raw` has the columns."""
        lines = (
            f"{name}: {shown(raw[name])}"
            for name in self.texts
            if raw[name] is not None
        )
        title = raw[self.title] if self.title else None
        name = " ".join(shown(title).split())[:_LONGEST_NAME] if title else ""
        return Entity(
            type=ENTITY_TYPE,
            source_id=source_id,
            name=name or source_id,
            text="\n".join(lines) or source_id,
            source_version=version,
            created_at=moment(raw[self.created]) if self.created else None,
            updated_at=moment(raw[self.updated]) if self.updated else None,
            breadcrumbs=self.way,
            raw=raw,
        )


def row_id(label: str, key: Sequence[Any]) -> str:
    """Name a row by its table and key."""
    if len(key) == 1:
        return f"{label}/{_quoted(key[0])}"
    return f"{label}/{'/'.join(map(_quoted, key))}"


def digest(told: str) -> str:
    """Return the version of a row of which this is all that is told."""
    return blake2b(told.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def key_of(ref: Ref) -> tuple[str, list[str]]:
    """Return the label of the table and the key of a reference."""
    label, *parts = ref.source_id.split("/")
    return label, [unquote(part) for part in parts]


def plain_label(name: str) -> str:
    """Return the name without the dots and slashes that labels are made with."""
    return quote(name, safe=" ").replace(".", "%2E")


def json_value(value: Any) -> Any:
    """Return the value as JSON holds it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict):
        return {str(name): json_value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(one) for one in value]
    return str(value)


def shown(value: Any) -> str:
    """Return the value as people read it."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def moment(value: Any) -> datetime | None:
    """Return the time that a text tells, in UTC if it names no zone."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _quoted(part: Any) -> str:
    text = str(part)
    is_plain = text.isascii() and text.isalnum()
    return text if is_plain else quote(text, safe=" @:+,;=")
