"""Where one OpenAPI document falls short of what another one's clients rely on."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
REF = "#/components/schemas/"
ANY = "any"
UNIONS = ("anyOf", "oneOf")
LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def differences(contract: Schema, ours: Schema) -> list[str]:
    """Return every way in which `ours` asks for more or answers with less.

    Requests may only become wider: what the contract lets a client send is taken.
    Answers may only become narrower: what we send is something the contract allows.
    """
    paths = ours["paths"]
    compared = Comparison(contract["schemas"], ours["components"]["schemas"])
    found: list[str] = []
    for name, facts in contract["operations"].items():
        method, path = name.split()
        operation = paths.get(path, {}).get(method.lower())
        if operation is None:
            found.append(f"{name}: is missing")
        else:
            found += [f"{name} {one}" for one in compared.operation(facts, operation)]
    return found


class Comparison:
    """Schemas of both sides, each with its own definitions."""

    def __init__(self, theirs: dict[str, Schema], ours: dict[str, Schema]) -> None:
        self._theirs = theirs
        self._ours = ours

    def operation(self, facts: Schema, operation: Schema) -> Iterator[str]:
        yield from self._parameters(facts["parameters"], operation)
        yield from self._body(
            facts.get("requestBody"), operation.get("requestBody", {})
        )
        for status, answer in facts["responses"].items():
            ours = operation["responses"].get(status)
            if ours is None:
                yield f"{status}: is not declared"
                continue
            for kind, content in answer["content"].items():
                schema = schema_of(ours.get("content", {}).get(kind))
                if schema is None:
                    yield f"{status}: has no {kind}"
                else:
                    yield from self.answer(content["schema"], schema, status)

    def _parameters(self, theirs: list[Schema], operation: Schema) -> Iterator[str]:
        ours = {
            (one["in"], one["name"]): one for one in operation.get("parameters", [])
        }
        for one in theirs:
            place = f"{one['in']}.{one['name']}"
            mine = ours.pop((one["in"], one["name"]), None)
            if mine is None:
                yield f"{place}: is not taken"
                continue
            if mine.get("required", False) and not one["required"]:
                yield f"{place}: is required here"
            yield from self.request(one["schema"], mine["schema"], place)
        for (where, name), mine in ours.items():
            if mine.get("required", False):
                yield f"{where}.{name}: is required here"

    def _body(self, theirs: Schema | None, ours: Schema) -> Iterator[str]:
        required = ours.get("required", False)
        if required and (theirs is None or not theirs["required"]):
            yield "body: is required here"
        if theirs is None:
            return
        for kind, content in theirs["content"].items():
            schema = schema_of(ours.get("content", {}).get(kind))
            if schema is None:
                yield f"body: is not taken as {kind}"
            else:
                yield from self.request(content["schema"], schema, "body")

    def request(self, theirs: Schema, ours: Schema, where: str) -> list[str]:
        """Say what of their values we do not take, and other meanings of nothing."""
        found = []
        default, mine = theirs.get("default"), ours.get("default")
        if default != mine and "default" in theirs and default not in ([], {}):
            found.append(f"{where}: is {mine!r} by default, not {default!r}")
        takers = alternatives(ours, self._ours)
        for sent in alternatives(theirs, self._theirs):
            found += _fewest(
                [self._taken(sent, taker, where) for taker in takers],
                f"{where}: {sent['type']} is not taken",
            )
        return found

    def answer(self, theirs: Schema, ours: Schema, where: str) -> list[str]:
        """Say what of our values they do not expect."""
        found = []
        expected = alternatives(theirs, self._theirs)
        for sent in alternatives(ours, self._ours):
            found += _fewest(
                [self._expected(one, sent, where) for one in expected],
                f"{where}: {sent['type']} is not expected",
            )
        return found

    def _taken(self, sent: Schema, taker: Schema, where: str) -> list[str] | None:
        """Return what is in the way, or None when the kinds do not even match."""
        if not _is_kind_of(sent["type"], taker["type"]):
            return None
        found = [*_narrower(sent, taker, where)]
        if taker["type"] == ANY:
            return found
        if sent["type"] == "array":
            items = sent.get("items", {}), taker.get("items", {})
            found += self.request(*items, f"{where}[]")
        if sent["type"] == "object":
            found += self._fields_taken(sent, taker, where)
        return found

    def _fields_taken(self, sent: Schema, taker: Schema, where: str) -> Iterator[str]:
        fields = taker.get("properties", {})
        is_closed = taker.get("additionalProperties") is False
        for name, schema in sent.get("properties", {}).items():
            if name in fields:
                yield from self.request(schema, fields[name], f"{where}.{name}")
            elif fields or is_closed:
                yield f"{where}.{name}: is not taken"
        for name in _required(taker) - _required(sent):
            yield f"{where}.{name}: is required here"
        if sent.get("additionalProperties", False) and is_closed:
            yield f"{where}: other names are not taken"

    def _expected(self, one: Schema, sent: Schema, where: str) -> list[str] | None:
        if one["type"] == ANY:
            return []
        if not _is_kind_of(sent["type"], one["type"]):
            return None
        found = [*_wider(one, sent, where)]
        if one["type"] == "array":
            items = one.get("items", {}), sent.get("items", {})
            found += self.answer(*items, f"{where}[]")
        if one["type"] == "object":
            found += self._fields_expected(one, sent, where)
        return found

    def _fields_expected(self, one: Schema, sent: Schema, where: str) -> Iterator[str]:
        fields = sent.get("properties", {})
        for name, schema in one.get("properties", {}).items():
            if name in fields:
                yield from self.answer(schema, fields[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: is missing"
        for name in (_required(one) - _required(sent)) & set(fields):
            yield f"{where}.{name}: may be absent here"
        values = one.get("additionalProperties")
        if isinstance(values, dict):
            mine = sent.get("additionalProperties", {})
            yield from self.answer(
                values, mine if isinstance(mine, dict) else {}, where
            )


def alternatives(schema: Schema, schemas: dict[str, Schema]) -> list[Schema]:
    """Return what a value may be, one type each, with references followed."""
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        named = schemas[schema["$ref"].removeprefix(REF)]
        return alternatives({**named, **beside}, schemas)
    for union in UNIONS:
        if union in schema:
            return [
                one for part in schema[union] for one in alternatives(part, schemas)
            ]
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    kinds = schema.get("type", ANY)
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    return [{**schema, "type": kinds}]


def schema_of(content: Schema | None) -> Schema | None:
    """Return the schema of a body, or of each event of a stream."""
    if content is None:
        return None
    event = content.get("itemSchema", {}).get("properties", {}).get("data", {})
    found: Schema | None = event.get("contentSchema", content.get("schema"))
    return found


def _fewest(found: list[list[str] | None], otherwise: str) -> list[str]:
    tried = [one for one in found if one is not None]
    return min(tried, key=len) if tried else [otherwise]


def _is_kind_of(kind: str, other: str) -> bool:
    return other in (kind, ANY) or (kind, other) == ("integer", "number")


def _required(schema: Schema) -> set[str]:
    return set(schema.get("required", ()))


def _narrower(sent: Schema, taker: Schema, where: str) -> Iterator[str]:
    for bound in (*LEAST, *MOST):
        if bound not in taker:
            continue
        mine, theirs = taker[bound], sent.get(bound)
        if theirs is None:
            is_narrower = bound not in ("minLength", "minItems") or mine > 0
        else:
            is_narrower = mine > theirs if bound in LEAST else mine < theirs
        if is_narrower:
            yield f"{where}: {bound} is {mine}, not {theirs}"
    for only in ("pattern", "format"):
        if only in taker and taker[only] != sent.get(only):
            yield f"{where}: {only} is {taker[only]}, not {sent.get(only)}"
    if "enum" in taker:
        yield from _untaken_values(sent, taker, where)


def _untaken_values(sent: Schema, taker: Schema, where: str) -> Iterator[str]:
    if "enum" not in sent:
        yield f"{where}: takes only some values"
    for value in sent.get("enum", ()):
        if value not in taker["enum"]:
            yield f"{where}: {value!r} is not taken"


def _wider(one: Schema, sent: Schema, where: str) -> Iterator[str]:
    if "format" in one and sent.get("format") != one["format"]:
        yield f"{where}: format is {sent.get('format')}, not {one['format']}"
    if "enum" in one:
        if "enum" not in sent:
            yield f"{where}: may be any {sent['type']} here"
        for value in sent.get("enum", ()):
            if value not in one["enum"]:
                yield f"{where}: {value!r} is not expected"
