"""The document says of everything what it is, and shows an example that fits."""

from collections import Counter
from html.parser import HTMLParser
from typing import Any, cast

import httpx
import jsonschema_rs
import pytest

from wellhead.api.application import create_app
from wellhead.api.openapi import ALSO, operations
from wellhead.api.samples import SAMPLES
from wellhead.api.words import WORDS
from wellhead.services.parts import Parts


@pytest.fixture(scope="module")
def app() -> Any:
    # nothing is asked of the parts to say what the routes are
    return create_app(cast("Parts", None), auth=True)


@pytest.fixture(scope="module")
def document(app: Any) -> Any:
    return app.openapi()


def test_every_operation_says_what_it_does(document: Any) -> None:
    described = {one["name"] for one in document["tags"]}

    for method, path, one in operations(document):
        assert one.get("summary"), (method, path)
        assert one.get("description"), (method, path)
        assert set(one["tags"]) <= described, (method, path)


def test_operations_have_names_of_their_own(document: Any) -> None:
    names = Counter(one["operationId"] for _, _, one in operations(document))

    assert [name for name, count in names.items() if count > 1] == []
    assert set(ALSO) <= set(names)


def test_every_field_and_parameter_is_described(document: Any) -> None:
    missing = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if not said.get("description")
    ] + [
        f"{one['operationId']}({parameter['name']})"
        for _, _, one in operations(document)
        for parameter in one.get("parameters", ())
        if not parameter.get("description")
    ]

    assert missing == []


def test_every_word_is_used(document: Any) -> None:
    used = {
        field
        for schema in document["components"]["schemas"].values()
        for field in schema.get("properties", {})
    } | {
        parameter["name"]
        for _, _, one in operations(document)
        for parameter in one.get("parameters", ())
    }

    assert sorted(set(WORDS) - used) == []


def test_every_sample_is_of_a_model_and_its_fields(document: Any) -> None:
    schemas = document["components"]["schemas"]

    assert sorted(set(SAMPLES) - set(schemas)) == []
    for name, sample in SAMPLES.items():
        assert set(sample) <= set(schemas[name]["properties"]), name


def test_every_body_has_an_example_that_fits(document: Any) -> None:
    for method, path, one in operations(document):
        bodies = [one.get("requestBody", {}), one["responses"].get("200", {})]
        contents = [
            body["content"]["application/json"]
            for body in bodies
            if "application/json" in body.get("content", {})
        ]
        assert contents or "text/event-stream" in str(bodies), (method, path)
        for content in contents:
            schema = {**content["schema"], "components": document["components"]}
            wrong = [
                f"{error.instance_path} {error.message}"
                for error in jsonschema_rs.validator_for(schema).iter_errors(
                    content["example"]
                )
            ]
            assert wrong == [], (method, path)


def test_every_refusal_has_a_body(document: Any) -> None:
    for method, path, one in operations(document):
        is_open = one["security"] == []
        assert is_open or {"401", "403", "422", "429"} <= set(one["responses"]), path
        assert {"500", "503", "504"} <= set(one["responses"]), (method, path)
        for status, answer in one["responses"].items():
            if status >= "400" and not path.startswith("/health"):
                schema = answer["content"]["application/json"]["schema"]
                name = "InvalidInput" if status == "422" else "Refusal"
                assert schema["$ref"].endswith(f"/{name}"), (method, path, status)


def test_a_key_goes_in_either_header(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]

    assert schemes["ApiKeyAuth"]["name"] == "x-api-key"
    assert schemes["BearerAuth"]["scheme"] == "bearer"


def test_the_document_is_a_valid_one(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.validator_for({**schema, "components": document["components"]})
        assert "$ref" in schema or "type" in schema or "anyOf" in schema, name


class Page(HTMLParser):
    """What a page would fetch, and the ids it has."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        self.fetched += [
            f"{tag} {value}"
            for name, value in attrs
            if name in ("src", "href") and tag != "a"
        ]
        if tag in ("script", "link", "iframe", "img"):
            self.fetched.append(tag)
        link = given.get("href") or ""
        if link.startswith("#"):
            self.links.append(link.removeprefix("#"))
        if given.get("id"):
            self.ids.append(str(given["id"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/"])
async def test_pages_need_no_network(app: Any, document: Any, path: str) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as anyone:
        answer = await anyone.get(path)
        redoc = await anyone.get("/redoc")

    page = Page()
    page.feed(answer.text)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page.fetched == []
    assert page.open == []
    if path != "/":
        models = {f"model-{name}" for name in document["components"]["schemas"]}
        assert set(page.ids) == models | {
            one["operationId"] for _, _, one in operations(document)
        }
        assert set(page.links) <= set(page.ids)
    assert redoc.status_code == 404
