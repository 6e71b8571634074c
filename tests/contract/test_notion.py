"""What is asked of Notion is what its published description of the API takes."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.vendors.notion import Workspace, block

from wellhead.domain.items import Ref, Upsert
from wellhead.sources.connectors.notion.places import DATABASE, PAGE
from wellhead.sources.testing.stage import stage

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / ".venv-clients/package/scripts/notion-openapi.json"


@pytest.fixture(scope="module")
def published(require: Callable[[str | Path], str]) -> dict[str, Any]:
    return dict(json.loads(Path(require(PUBLISHED)).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def requests() -> list[httpx.Request]:
    """Everything that a source asks for, in its whole life."""
    return asyncio.run(_live())


async def _live() -> list[httpx.Request]:
    async with stage(Workspace, records=150) as on:
        account = on.vendor
        assert isinstance(account, Workspace)
        pages = [one for one in account.things.values() if one["object"] == "page"]
        page, row = pages[1], pages[2]
        [toggle] = account.write(page["id"], block("toggle", "More"))
        account.write(toggle["id"], *(block("paragraph", "x") for _ in range(120)))
        page["parent"] = {"type": "block_id", "block_id": toggle["id"]}
        relation = {"id": "b%3Ac", "type": "relation", "has_more": True}
        row["properties"]["See"] = {**relation, "relation": [{"id": page["id"]}]}
        account.most_results = 140
        source = on.connect()
        await source.check()
        async for item in source.read(None):
            if isinstance(item, Upsert) and item.entity.source_id in (
                page["id"],
                row["id"],
            ):
                assert item.entity.blob is not None
                await asyncio.to_thread(item.entity.blob.open)
        data_source = next(iter(set(account.things) - {one["id"] for one in pages}))
        refs = [Ref(PAGE, page["id"]), Ref(DATABASE, data_source)]
        for listing in (source.ids(), source.fetch(refs)):
            assert listing is not None
            async for _ in listing:
                pass
        await source.close()
        return account.requests


def _operation(
    published: dict[str, Any], request: httpx.Request
) -> tuple[str, dict[str, Any]]:
    [found] = [
        (path, methods[request.method.lower()])
        for path, methods in published["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.url.path)
    ]
    return found


def _wrong(published: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": published["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole)
    return [error.message for error in validator.iter_errors(value)]


def test_all_of_the_source_is_seen(
    published: dict[str, Any], requests: list[httpx.Request]
) -> None:
    asked = {(one.method, _operation(published, one)[0]) for one in requests}

    assert asked == {
        ("POST", "/v1/search"),
        ("POST", "/v1/data_sources/{data_source_id}/query"),
        ("GET", "/v1/data_sources/{data_source_id}"),
        ("GET", "/v1/pages/{page_id}"),
        ("GET", "/v1/pages/{page_id}/properties/{property_id}"),
        ("GET", "/v1/blocks/{block_id}"),
        ("GET", "/v1/blocks/{block_id}/children"),
    }


def test_queries_and_bodies_are_what_notion_takes(
    published: dict[str, Any], requests: list[httpx.Request]
) -> None:
    for one in requests:
        path, operation = _operation(published, one)
        parameters = [each for each in operation["parameters"] if "name" in each]
        known = {each["name"] for each in parameters if each["in"] == "query"}
        assert set(one.url.params) <= known, one.url
        if one.method == "POST":
            body = json.loads(one.content)
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert set(body) <= set(schema["properties"]), path
            for sort in body.pop("sorts", []):
                # the document knows sorts by a property only, the reference both
                assert set(sort) == {"timestamp", "direction"}
            assert _wrong(published, schema, body) == [], body


def test_the_version_is_the_one_that_is_described(
    published: dict[str, Any], requests: list[httpx.Request]
) -> None:
    schema = published["components"]["parameters"]["notionVersion"]["schema"]

    assert {one.headers["notion-version"] for one in requests} == {schema["default"]}
