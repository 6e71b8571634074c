"""JSON schemas as every agent's client takes them: without references and nulls."""

from typing import Any, Literal

from pydantic import BaseModel

Schema = dict[str, Any]
_LEFT_OUT = ("$defs", "title")
_PREFIX = "#/$defs/"


def schema_of(
    model: type[BaseModel], mode: Literal["validation", "serialization"] = "validation"
) -> Schema:
    """Return the schema of what a tool takes, or of what it gives."""
    whole = model.model_json_schema(mode=mode)
    made: Schema = _plain(whole, whole.get("$defs", {}))
    made.pop("description", None)  # that of the tool says more
    return made


def _plain(part: Any, models: Schema) -> Any:
    if isinstance(part, list):
        return [_plain(one, models) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        part = {**models[part["$ref"].removeprefix(_PREFIX)], **part}
        del part["$ref"]
    part = _without_null(part)
    if "properties" in part:  # names of fields, not words of the schema
        fields = part["properties"].items()
        part["properties"] = {name: _plain(one, models) for name, one in fields}
    return {
        word: value if word in ("properties", "examples") else _plain(value, models)
        for word, value in part.items()
        if word not in _LEFT_OUT
    }


def _without_null(part: Schema) -> Schema:
    """What may be left out need not be null as well."""
    part = dict(part)
    if part.get("default", 0) is None:
        del part["default"]
    kinds = [one for one in part.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del part["anyOf"]
        return {**kinds[0], **part}
    if kinds:
        part["anyOf"] = kinds
    return part
