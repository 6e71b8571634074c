"""What is asked of GitHub, and what its stand-in answers, is as GitHub publishes it."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.vendors.github import Account, Remark

from wellhead.domain.items import Upsert
from wellhead.sources.base import Source
from wellhead.sources.testing.stage import stage

ROOT = Path(__file__).parents[2]
PUBLISHED = (
    ROOT / ".venv-clients/node_modules/@octokit/openapi/generated/api.github.com.json"
)


@dataclass(frozen=True)
class Exchange:
    request: httpx.Request
    response: httpx.Response


@pytest.fixture(scope="module")
def published(require: Callable[[str | Path], str]) -> dict[str, Any]:
    text = Path(require(PUBLISHED)).read_text(encoding="utf-8")
    return dict(json.loads(text, object_hook=_eased))


def _eased(part: dict[str, Any]) -> dict[str, Any]:
    """As JSON Schema knows it, and without what a stand-in may leave out."""
    if isinstance(part.get("required"), list):
        del part["required"]
    if "oneOf" in part:
        part["anyOf"] = part.pop("oneOf")
    if part.pop("nullable", False):
        return {"anyOf": [part, {"type": "null"}]}
    return part


@pytest.fixture(scope="module")
def exchanges() -> list[Exchange]:
    """Everything that a source asks for, in its whole life."""
    return asyncio.run(_live())


async def _live() -> list[Exchange]:
    async with stage(Account, records=150) as on:
        account = on.vendor
        assert isinstance(account, Account)
        found: list[Exchange] = []
        answer = account.answer

        def noting(request: httpx.Request) -> httpx.Response:
            response = answer(request)
            found.append(Exchange(request, response))
            return response

        account.answer = noting  # type: ignore[method-assign]
        pull = account.issues[3]
        account.say(pull, "Nice.")
        pull.reviews = [Remark(1, "bob", "No.", pull.updated_at, state="DISMISSED")]
        pull.review_comments = [Remark(2, "bob", "Why?", pull.updated_at, path="a.py")]
        first = await on.first_read()
        for _ in range(3):
            first = await on.read(cursor=first.checkpoint)
        source = on.connect()
        await source.check()
        await _read_all(source, account)
        await source.close()
    return found


async def _read_all(source: Source, account: Account) -> None:
    async for item in source.read(None):
        if isinstance(item, Upsert) and item.entity.source_id in ("3", "4"):
            assert item.entity.blob is not None
            await asyncio.to_thread(item.entity.blob.open)
    gone = account.remove()
    for listing in (source.ids(), source.fetch([account.issues[3].ref, gone])):
        assert listing is not None
        async for _ in listing:
            pass


def _operation(
    published: dict[str, Any], request: httpx.Request
) -> tuple[str, dict[str, Any]]:
    found = [
        (path, methods[request.method.lower()])
        for path, methods in published["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.url.path)
    ]
    assert len(found) == 1, request.url
    return found[0]


def _wrong(published: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    # to look through all components takes seconds
    shared = {"components": published["components"]} if "$ref" in str(schema) else {}
    validator = jsonschema_rs.Draft202012Validator({**schema, **shared})
    return [error.message for error in validator.iter_errors(value)]


def _parameters(
    published: dict[str, Any], operation: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    shared = published["components"]["parameters"]
    resolved = (
        shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in operation["parameters"]
    )
    return {one["name"]: one["schema"] for one in resolved if one["in"] == "query"}


def test_all_of_the_source_is_seen(
    published: dict[str, Any], exchanges: list[Exchange]
) -> None:
    paths = {_operation(published, one.request)[0] for one in exchanges}

    assert paths == {
        "/repos/{owner}/{repo}",
        "/repos/{owner}/{repo}/issues",
        "/repos/{owner}/{repo}/issues/{issue_number}",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments",
        "/repos/{owner}/{repo}/pulls/{pull_number}/comments",
        "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    }


def test_requests_are_what_github_takes(
    published: dict[str, Any], exchanges: list[Exchange]
) -> None:
    for one in exchanges:
        _, operation = _operation(published, one.request)
        known = _parameters(published, operation)
        for name, text in one.request.url.params.items():
            assert name in known, f"{one.request.url}: no {name}"
            is_number = known[name].get("type") == "integer"
            value = int(text) if is_number else text
            assert _wrong(published, known[name], value) == [], one.request.url


def test_the_stand_in_answers_as_github_does(
    published: dict[str, Any], exchanges: list[Exchange]
) -> None:
    checked = set()
    for one in exchanges:
        path, operation = _operation(published, one.request)
        status = str(one.response.status_code)
        if (path, status) in checked or status == "304":
            continue
        checked.add((path, status))
        answer = operation["responses"][status]
        if "$ref" in answer:
            name = answer["$ref"].rpartition("/")[2]
            answer = published["components"]["responses"][name]
        schema = answer["content"]["application/json"]["schema"]
        wrong = _wrong(published, schema, one.response.json())
        assert wrong == [], f"{one.request.url}: {wrong[:3]}"

    assert len(checked) == 7
