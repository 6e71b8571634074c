"""Config and credential models as lists of form fields."""

from dataclasses import dataclass
from typing import Any

from wellhead.sources.base import Config

_TYPES = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfoRecord:
    """One field as people fill it in; the types are those of the public contract."""

    name: str
    title: str
    type: str
    required: bool
    description: str | None = None
    items_type: str | None = None
    is_secret: bool = False
    enum_values: tuple[str, ...] | None = None
    default: Any = None
    """What is meant where nothing is given, for forms to begin with."""


def fields_of(model: type[Config]) -> list[FieldInfoRecord]:
    """Return the fields of the model in their order."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        _field(name, _resolve(part, schema), is_required=name in required)
        for name, part in schema.get("properties", {}).items()
    ]


def _field(name: str, part: dict[str, Any], *, is_required: bool) -> FieldInfoRecord:
    kind = _TYPES.get(str(part.get("type", "string")), "string")
    values = part.get("enum")
    return FieldInfoRecord(
        name=name,
        title=part.get("title", name),
        description=part.get("description"),
        type=kind,
        required=is_required,
        items_type=_items_type(part) if kind == "array" else None,
        is_secret=bool(part.get("is_secret", False)),
        enum_values=tuple(map(str, values)) if values else None,
        default=part.get("default"),
    )


def _items_type(part: dict[str, Any]) -> str:
    return _TYPES.get(part.get("items", {}).get("type", "string"), "string")


def _resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference and drop the null of an optional; own titles win."""
    options = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    found = {**options[0], **part} if options else part
    if "$ref" in found:
        name = found["$ref"].rpartition("/")[2]
        found = {**schema["$defs"][name], **found}
    return found
