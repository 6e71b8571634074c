"""Examples of requests and answers, composed of what each field gives as its own."""

from typing import Any

from wellhead.api.samples import AN_ID, SAMPLES

Schema = dict[str, Any]
REF = "#/components/schemas/"

_BY_FORMAT = {
    "uuid": AN_ID,
    "date-time": "2026-01-02T03:04:05Z",
    "uri": "https://example.com/hooks",
    "email": "ada@example.com",
    "binary": "…",
}
_BY_TYPE: dict[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": False,
    "null": None,
}


def resolve(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """Follow a reference; what stands beside it wins."""
    named = schema.get("$ref")
    if named is None:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**resolve(schemas[named.removeprefix(REF)], schemas), **beside}


def example_of(schema: Schema, schemas: dict[str, Schema]) -> Any:
    """Return a value that fits: the given example, a default, or the plainest."""
    name = schema.get("$ref", "").removeprefix(REF)
    schema = resolve(schema, schemas)
    if "examples" in schema:
        return _with_nulls(schema["examples"][0], schema, schemas)
    given = _given(schema)
    if given is not None:
        return given
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return example_of(schema[union][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), schemas)]
    if schema.get("type") == "object":
        fields = _object(schema, schemas)
        return {**fields, **SAMPLES.get(name.removesuffix("-Input"), {})}
    plainest = _BY_TYPE.get(schema.get("type", "string"))
    return max(plainest or 0, schema["minimum"]) if "minimum" in schema else plainest


def _with_nulls(value: Any, schema: Schema, schemas: dict[str, Schema]) -> Any:
    """Put null where a field may not be absent: FastAPI drops it from examples."""
    schema = resolve(schema, schemas)
    if "anyOf" in schema:
        schema = resolve(schema["anyOf"][0], schemas)
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_with_nulls(one, items, schemas) for one in value]
    if not isinstance(value, dict):
        return value
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    others = others if isinstance(others, dict) else {}
    return dict.fromkeys(schema.get("required", ())) | {
        name: _with_nulls(one, fields.get(name, others), schemas)
        for name, one in value.items()
    }


def _given(schema: Schema) -> Any:
    if "const" in schema:
        return schema["const"]
    if schema.get("default") not in (None, [], {}):
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    return _BY_FORMAT.get(schema.get("format", ""))


def _object(schema: Schema, schemas: dict[str, Schema]) -> dict[str, Any]:
    values = schema.get("additionalProperties")
    found = {
        name: example_of(one, schemas)
        for name, one in schema.get("properties", {}).items()
    }
    if not found and isinstance(values, dict):
        return {"name": example_of(values, schemas)}
    return found
