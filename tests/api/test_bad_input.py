"""Whatever is sent, the answer says what is wrong with it, and is never a 500."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

Given = Any  # the fixture's own class
JSON = {"content-type": "application/json"}
DEEP = b'{"a":' * 900 + b"1" + b"}" * 900
BODIES = {
    "endless brackets": b"[" * 100_000,
    "deep": DEEP,
    "deep inside": b'{"name":"abcd","query":"x","config":%b,"filter":%b,'
    b'"authentication":{"credentials":%b},"sync_config":%b,"event_types":%b}'
    % (DEEP, DEEP, DEEP, DEEP, DEEP),
    "deep filter": b'{"query":"x","filter":'
    + b'{"must":[' * 400
    + b"]}" * 400
    + b',"search_method":"hybrid"}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "NUL": b'{"name":"ab\\u0000cd","query":"a\\u0000","url":"http://a\\u0000b"}',
    "half a pair": b'{"name":"ab\\ud800cd","query":"\\ud800","short_name":"\\ud800"}',
    "odd names": b'{"a\\ud800b":1,"a\\u0000b":1}',
    "long number": b'{"name":' + b"9" * 5000 + b"}",
    "large number": b'{"limit":' + b"9" * 400 + b',"query":"x","offset":-1}',
    "no number": b'{"limit":NaN,"query":"x","name":Infinity}',
    "list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "number": b"1e999",
    "nothing": b"",
    "half": b'{"a"',
}
KINDS = (
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "garbage",
)
STEPS = (
    "a%00b",
    "x" * 5000,
    "%ff%fe",
    "%ed%a0%80",
    "a%0d%0ab",
    "..%2f..",
    "-1",
    "9" * 99,
)
VALUES = ("%00", "-1", "9" * 5000, "NaN", "%ff", "%0d%0a", "", "x" * 5000, "1e999")
NO_MODEL = 503


class Paths:
    """Every operation of the document, with ids that exist where none are told."""

    def __init__(self, app: Any, connection: Any) -> None:
        self._document = app.openapi()["paths"]
        self._known = {
            "source_connection_id": connection["id"],
            "readable_id": connection["readable_collection_id"],
        }

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for path, methods in self._document.items():
            yield from ((method, path) for method in methods)

    def queries(self, method: str, path: str) -> list[str]:
        parameters = self._document[path][method].get("parameters", ())
        return [one["name"] for one in parameters if one["in"] == "query"]

    def filled(self, path: str, **told: str) -> str:
        known = {**self._known, **told}
        return re.sub(r"\{(\w+)\}", lambda n: known.get(n[1]) or str(uuid4()), path)


@pytest.fixture
async def paths(app: Any, given: Given) -> Paths:
    return Paths(app, await given.connection())


def explain(response: httpx.Response) -> None:
    """An answer is readable, and where it refuses in both forms it says where."""
    if response.headers["content-type"].startswith("text/event-stream"):
        return  # it began, so there was nothing to refuse
    said = response.json()
    no_model = response.status_code == NO_MODEL and "No LLM" in response.text
    assert response.status_code < 500 or no_model, response.text
    if response.status_code == 422:
        assert said["errors"], said
        assert said["detail"], said
    elif response.is_error:
        assert said["detail"], said


async def test_no_body_is_a_500(paths: Paths, client: httpx.AsyncClient) -> None:
    for method, path in paths:
        if method not in ("post", "put", "patch"):
            continue
        for body in BODIES.values():
            url = paths.filled(path)
            explain(await client.request(method, url, content=body, headers=JSON))
        for kind in KINDS:
            headers = {"content-type": kind} if kind else {}
            explain(
                await client.request(
                    method, paths.filled(path), content=b"{}", headers=headers
                )
            )


async def test_no_path_or_query_is_a_500(
    paths: Paths, client: httpx.AsyncClient
) -> None:
    for method, path in paths:
        for name in re.findall(r"\{(\w+)\}", path):
            for step in STEPS:
                url = paths.filled(path, **{name: step})
                explain(await client.request(method, url))
        for name in paths.queries(method, path) if method == "get" else ():
            many = "&".join([f"{name}={uuid4()}"] * 1000)
            for query in (*(f"{name}={value}" for value in VALUES), many):
                explain(await client.get(f"{paths.filled(path)}?{query}"))


async def _where(
    client: httpx.AsyncClient, content: bytes, kind: str = "application/json"
) -> list[dict[str, str]]:
    response = await client.post(
        "/collections", content=content, headers={"content-type": kind}
    )
    assert response.status_code == 422, response.text
    found: list[dict[str, str]] = response.json()["errors"]
    return found


async def test_what_is_wrong_with_a_body_is_told(client: httpx.AsyncClient) -> None:
    nul = "Input should not contain NUL characters"

    assert await _where(client, b'{"name":"a\\u0000bcd"}') == [{"body.name": nul}]
    assert await _where(client, BODIES["endless brackets"]) == [
        {"body": "The body is nested too deeply"}
    ]
    assert await _where(client, BODIES["no UTF-8"]) == [
        {"body": "The body is not UTF-8"}
    ]
    assert await _where(client, BODIES["long number"]) == [
        {"body": "The body holds a number that is too long"}
    ]
    assert await _where(client, b'{"name":"abcd"}', "text/plain") == [
        {"body": "Send JSON, and Content-Type: application/json"}
    ]
    # the last one counts, as everywhere
    assert "body.name" in (await _where(client, b'{"name":"abcd","name":5}'))[0]


async def test_what_is_wrong_elsewhere_is_told(
    client: httpx.AsyncClient, given: Given
) -> None:
    query = await client.get("/collections?search=a%00b")
    path = await client.get("/collections/a%00b")
    below = await client.get("/collections?skip=-1")
    connection = await given.connection()
    unknown = await client.get(
        f"/source-connections/{connection['id']}/jobs?status=sleeping"
    )

    assert list(query.json()["errors"][0]) == ["query.search"]
    assert list(path.json()["errors"][0]) == ["path.readable_id"]
    assert list(below.json()["errors"][0]) == ["query.skip"]
    assert list(unknown.json()["errors"][0]) == ["query.status"]
    assert "pending" in unknown.text


async def test_odd_headers_are_refused_by_name(
    client: httpx.AsyncClient, anyone: httpx.AsyncClient, key: str
) -> None:
    organization = {"x-organization-id": "mine"}
    twice = [("x-api-key", key), ("x-api-key", "another")]
    same = [("x-api-key", key), ("x-api-key", key)]

    wrong = await client.get("/collections", headers=organization)
    two = await anyone.get("/collections", headers=twice)

    assert list(wrong.json()["errors"][0]) == ["header.x-organization-id"]
    assert two.status_code == 422
    assert list(two.json()["errors"][0]) == ["header.x-api-key"]
    assert (await anyone.get("/collections", headers=same)).status_code == 200
    for odd in (b"x" * 50_000, b"\xff\xfe", b"a b"):
        refused = await anyone.get("/collections", headers=[(b"x-api-key", odd)])
        assert refused.status_code == 403
    for length in ("9" * 5000, "99999999999999999999"):
        large = await client.post("/collections", headers={"content-length": length})
        assert large.status_code == 413


async def test_names_never_reach_a_header(client: httpx.AsyncClient) -> None:
    name = "Report\r\nX-Evil: 1"
    made = await client.post("/collections", json={"name": name})
    readable_id = made.json()["readable_id"]

    answers = [
        made,
        await client.get("/collections?search=%0d%0aX-Evil:1&limit=1"),
        await client.get(f"/collections/{readable_id}"),
        await client.get("/collections/%0d%0aX-Evil:1"),
        await client.get(
            f"/collections/{readable_id}/entities?limit=1&x=%0d%0aX-Evil:1"
        ),
    ]

    assert made.json()["name"] == name
    for answer in answers:
        raw = b"".join(name + value for name, value in answer.headers.raw)
        assert b"Evil" not in raw or b"%0D%0A" in raw.upper()
        assert b"\r" not in raw
        assert b"\n" not in raw


async def test_what_is_repeated_is_always_json(client: httpx.AsyncClient) -> None:
    """Half a surrogate pair in a name that an answer repeats."""
    response = await client.post(
        "/source-connections",
        content=b'{"short_name":"stub","readable_collection_id":"x",'
        b'"authentication":{"a\\ud800b":1}}',
        headers=JSON,
    )

    assert 400 <= response.status_code < 500
    assert json.loads(response.content)
