"""Writes facts.json from an OpenAPI document: what a machine can check, and no prose.

python tests/contract/write_facts.py DOCUMENT
"""

import json
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("facts.json")
REF = "#/components/schemas/"
OF_A_SCHEMA = (
    "type",
    "format",
    "enum",
    "const",
    "default",
    "required",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)


def main() -> None:
    document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    facts = {
        "operations": {
            f"{method.upper()} {path}": _operation(operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        },
        "schemas": {
            _short(name): _schema(schema)
            for name, schema in document["components"]["schemas"].items()
        },
    }
    FACTS.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "parameters": [
            {
                "name": one["name"],
                "in": one["in"],
                "required": one.get("required", False),
                "schema": _schema(one["schema"]),
            }
            for one in operation.get("parameters", [])
        ],
        "responses": {
            status: {"content": _content(answer)}
            for status, answer in operation["responses"].items()
        },
    }
    if "requestBody" in operation:
        body = operation["requestBody"]
        facts["requestBody"] = {
            "required": body.get("required", False),
            "content": _content(body),
        }
    return facts


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {
        kind: {"schema": _schema(one["schema"])}
        for kind, one in body.get("content", {}).items()
    }


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    facts = {key: schema[key] for key in OF_A_SCHEMA if key in schema}
    if "$ref" in schema:
        facts["$ref"] = REF + _short(schema["$ref"].removeprefix(REF))
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            facts[union] = [_schema(one) for one in schema[union]]
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            facts[inner] = _schema(schema[inner])
        elif inner in schema:
            facts[inner] = schema[inner]
    if "properties" in schema:
        facts["properties"] = {
            name: _schema(one) for name, one in schema["properties"].items()
        }
    return facts


def _short(name: str) -> str:
    """Drop the module from names like `package__module__Name`."""
    return name.rpartition("__")[2]


if __name__ == "__main__":
    main()
