"""The comparison of documents sees what is planted, and only that."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.contract.differences import differences

FACTS = json.loads(Path(__file__).with_name("facts.json").read_text("utf-8"))
Document = dict[str, Any]


def _document() -> Document:
    """The contract itself, in the form of our document."""
    paths: dict[str, Any] = {}
    for name, facts in deepcopy(FACTS["operations"]).items():
        method, path = name.split()
        paths.setdefault(path, {})[method.lower()] = facts
    return {"paths": paths, "components": {"schemas": deepcopy(FACTS["schemas"])}}


def test_a_document_does_not_differ_from_itself() -> None:
    assert differences(FACTS, _document()) == []


def _schema(document: Document, name: str) -> Any:
    return document["components"]["schemas"][name]


def _field(document: Document, name: str, field: str) -> Any:
    return _schema(document, name)["properties"][field]


def _list(document: Document) -> Any:
    return document["paths"]["/collections"]["get"]


def _create(document: Document) -> Any:
    return document["paths"]["/collections"]["post"]


PLANTED: list[tuple[Callable[[Document], object], str]] = [
    (lambda d: d["paths"].pop("/sources"), "GET /sources: is missing"),
    (
        lambda d: d["paths"]["/collections"].pop("post"),
        "POST /collections: is missing",
    ),
    (
        lambda d: _list(d)["parameters"].pop(0),
        "GET /collections query.skip: is not taken",
    ),
    (
        lambda d: _list(d)["parameters"][1].update(required=True),
        "GET /collections query.limit: is required here",
    ),
    (
        lambda d: _list(d)["parameters"].append(
            {"name": "x", "in": "header", "required": True, "schema": {}}
        ),
        "GET /collections header.x: is required here",
    ),
    (
        lambda d: _list(d)["parameters"][1]["schema"].update(maximum=200),
        "GET /collections query.limit: maximum is 200, not 1000",
    ),
    (
        lambda d: _list(d)["parameters"][1]["schema"].update(default=10),
        "GET /collections query.limit: is 10 by default, not 100",
    ),
    (
        lambda d: _list(d)["parameters"][2]["schema"].update(type="integer"),
        "GET /collections query.search: string is not taken",
    ),
    (
        lambda d: _list(d)["responses"].pop("429"),
        "GET /collections 429: is not declared",
    ),
    (
        lambda d: _create(d)["responses"]["200"]["content"].clear(),
        "POST /collections 200: has no application/json",
    ),
    (
        lambda d: _create(d)["requestBody"]["content"].clear(),
        "POST /collections body: is not taken as application/json",
    ),
    (
        lambda d: d["paths"]["/source-connections/{source_connection_id}/run"][
            "post"
        ].update(requestBody={"required": True, "content": {}}),
        "POST /source-connections/{source_connection_id}/run body: is required here",
    ),
    (
        lambda d: _field(d, "CollectionCreate", "name").update(minLength=5),
        "POST /collections body.name: minLength is 5, not 4",
    ),
    (
        lambda d: _field(d, "CollectionCreate", "name").update(pattern="^a"),
        "POST /collections body.name: pattern is ^a, not None",
    ),
    (
        lambda d: _schema(d, "CollectionCreate")["properties"].pop("readable_id"),
        "POST /collections body.readable_id: is not taken",
    ),
    (
        lambda d: _schema(d, "CollectionCreate")["required"].append("readable_id"),
        "POST /collections body.readable_id: is required here",
    ),
    (
        lambda d: _field(d, "CollectionCreate", "sync_config")["anyOf"].pop(1),
        "POST /collections body.sync_config: null is not taken",
    ),
    (
        lambda d: _schema(d, "FilterOperator")["enum"].remove("in"),
        "POST /collections/{readable_id}/search/instant "
        "body.filter[].conditions[].operator: 'in' is not taken",
    ),
    (
        lambda d: _field(d, "FilterCondition", "value")["anyOf"].pop(4),
        "POST /collections/{readable_id}/search/instant "
        "body.filter[].conditions[].value[]: integer is not taken",
    ),
    (
        lambda d: _field(d, "CreateSubscriptionRequest", "event_types").update(
            maxItems=1
        ),
        "POST /webhooks/subscriptions body.event_types: maxItems is 1, not None",
    ),
    (
        lambda d: _field(d, "DirectAuthentication", "credentials").update(
            additionalProperties=False
        ),
        "POST /source-connections body.authentication.credentials: "
        "other names are not taken",
    ),
    (
        lambda d: _schema(d, "Collection")["properties"].pop("vector_size"),
        "POST /collections 200.vector_size: is missing",
    ),
    (
        lambda d: _schema(d, "Collection")["required"].remove("readable_id"),
        "POST /collections 200.readable_id: may be absent here",
    ),
    (
        lambda d: _field(d, "Collection", "vector_size").update(type="string"),
        "POST /collections 200.vector_size: string is not expected",
    ),
    (
        lambda d: _field(d, "Collection", "name").update(
            anyOf=[{"type": "string"}, {"type": "null"}]
        ),
        "POST /collections 200.name: null is not expected",
    ),
    (
        lambda d: _field(d, "Collection", "id").pop("format"),
        "POST /collections 200.id: format is None, not uuid",
    ),
    (
        lambda d: _schema(d, "CollectionStatus")["enum"].append("LOST"),
        "POST /collections 200.status: 'LOST' is not expected",
    ),
    (
        lambda d: _schema(d, "CollectionStatus").pop("enum"),
        "POST /collections 200.status: may be any string here",
    ),
    (
        lambda d: _field(d, "EntitySummary", "by_type").update(
            additionalProperties={"type": "integer"}
        ),
        "POST /source-connections 200.entities.by_type: integer is not expected",
    ),
    (
        lambda d: _field(d, "Fields", "fields")["items"].update(
            {"$ref": "#/components/schemas/EntityTypeStats"}
        ),
        "GET /sources 200[].config_fields.fields[].title: is missing",
    ),
]


@pytest.mark.parametrize(("plant", "said"), PLANTED, ids=[said for _, said in PLANTED])
def test_a_planted_difference_is_found(
    plant: Callable[[Document], object], said: str
) -> None:
    document = _document()
    plant(document)

    assert said in differences(FACTS, document)


HARMLESS: list[Callable[[Document], object]] = [
    lambda d: d["paths"].update({"/more": {}}),
    lambda d: _list(d)["parameters"].append(
        {"name": "more", "in": "query", "schema": {"type": "string"}}
    ),
    lambda d: _list(d)["parameters"][1]["schema"].update(maximum=5000),
    lambda d: _list(d)["responses"].update({"418": {}}),
    lambda d: _field(d, "CollectionCreate", "name").update(minLength=1),
    lambda d: _schema(d, "CollectionCreate")["properties"].update(more={}),
    lambda d: _schema(d, "FilterOperator")["enum"].append("near"),
    lambda d: _schema(d, "Collection")["properties"].update(more={"type": "string"}),
    lambda d: _schema(d, "Collection")["required"].append("status"),
    lambda d: _schema(d, "CollectionStatus")["enum"].remove("ERROR"),
    lambda d: _field(d, "SearchResult", "relevance_score").update(type="integer"),
]


@pytest.mark.parametrize("widen", HARMLESS)
def test_taking_more_and_answering_with_more_is_no_difference(
    widen: Callable[[Document], object],
) -> None:
    document = _document()
    widen(document)

    assert differences(FACTS, document) == []
